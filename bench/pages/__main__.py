"""python -m bench.pages: see the package."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import bench.pages
from lab.postgres import PrivatePostgres
from lab.stack import Stack

SMALL = (
    "--hosts 50 --domains 1000 --disks 2500 --past 5000 --active 200 --entries 20000"
)


def main() -> int:
    """Bring everything up, measure and print; the exit status."""
    parser = argparse.ArgumentParser(
        description=bench.pages.__doc__,
        allow_abbrev=False,
        prog="bench.pages",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--small", action="store_true", help="a fleet that is soon made"
    )
    parser.add_argument("--database", help="a made-up fleet's, to be used as it is")
    parser.add_argument("--requests", type=int, default=40, help="of each page")
    parser.add_argument("--only", default="", help="pages whose name holds this")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        rig(Path(directory), given.database, small=given.small) as stack,
    ):
        os.environ.update(stack.environment)
        import django

        django.setup()
        from bench.pages.measuring import measure

        return measure(stack.port, given.requests, given.only)


@contextmanager
def rig(directory: Path, database: str | None, *, small: bool) -> Iterator[Stack]:
    """A web server over a made-up fleet; nobody is there to look at its hosts."""
    with ExitStack() as up:
        url = database
        if url is None:
            server = up.enter_context(PrivatePostgres(directory / "postgresql"))
            url = server.url()
        environment = {
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "bench.pages.settings",
            "BLOCKCOPY_AUDIT_KEY": "only-for-the-bench-and-long-enough",
            "BLOCKCOPY_LOG_LEVEL": "WARNING",
        }
        stack = Stack(directory / "console", environment)
        up.callback(stack.stop)
        stack.prepare()
        if database is None:
            print("Making a fleet up …", file=sys.stderr, flush=True)
            size = SMALL.split() if small else []
            stack.manage("made_up_fleet", *size, timeout=3600)
        stack.web.start()
        stack.web.wait_until(stack.answers)
        yield stack


if __name__ == "__main__":
    sys.exit(main())
