"""How long the audit log takes to verify, beside a bare SHA-256 of the same rows.

    python -m bench.audit [--entries N] [--postgresql] [--runs N]

The log is filled with entries as long as real ones, with the chain made by the code
that makes it in production. Ratios are what to read: absolute times move with the
machine. The bare loop reads the same columns and hashes their text, and nothing else:
no canonical JSON, no comparing, no signature.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lab.postgres import PrivatePostgres

KEY = "only for the bench, and long enough"
PAGE = 2000
AIM = 10.0  # seconds for 100,000 entries


def main() -> None:
    """Make a database, fill it and measure, in a process that knows where it is."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--postgresql", action="store_true", help="not SQLite")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        if not given.postgresql:
            _measure_in(f"sqlite:///{directory / 'audit.sqlite3'}", given)
            return
        with PrivatePostgres(directory / "postgresql") as server:
            _measure_in(server.url(), given)


def _measure_in(url: str, given: argparse.Namespace) -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "SECRET_KEY": "only for the bench",
        "BLOCKCOPY_AUDIT_KEY": KEY.replace(" ", "-"),
        "DJANGO_SETTINGS_MODULE": "blockcopy_web.settings",
    }
    program = (
        "import django; django.setup(); from bench.audit import measure; measure()"
    )
    command = [sys.executable, "-c", program, str(given.entries), str(given.runs)]
    subprocess.run(command, env=environment, check=True)


# --- In the process with the database -------------------------------------------------


def measure() -> None:
    """Fill the log, verify it again and again, and print the table."""
    from django.core.management import call_command
    from django.db import connection

    entries, runs = int(sys.argv[1]), int(sys.argv[2])
    call_command("migrate", verbosity=0)
    fill(entries)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as PostgreSQL does by itself a minute later
    size = f"{entries:,} entries of {average():.0f} bytes"
    print(f"{size}, {connection.vendor}, {runs} runs")
    print(f"{'':30} {'seconds: median [min..max]':28} {'ratio':>6}", flush=True)
    bare = timed(bare_loop, runs)
    print(row("bare SHA-256 of the rows", bare, bare))
    unsigned = timed(lambda: verify(""), runs)
    print(row("verify, no key", unsigned, bare), flush=True)
    signed = timed(lambda: verify(KEY.replace(" ", "-")), runs)
    print(row("verify with signatures", signed, bare), flush=True)
    export(entries, bare, runs)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    worst = max(signed) * 100_000 / entries
    print(f"100,000 entries: {worst:.1f} s at worst (the aim is under {AIM:.0f} s)")
    print(f"memory of the process at its most: {memory:.0f} MiB")


def fill(count: int) -> None:
    """Append entries a thousand to a transaction, signed, as the console does."""
    from django.db import transaction

    from jobs import audit
    from jobs.actor import Actor

    actor = Actor("olga", "console", address="2001:db8::7", request_id="4f1d" * 9)
    for begin in range(0, count, 1000):
        with transaction.atomic():
            for number in range(begin, min(begin + 1000, count)):
                audit.record(
                    actor,
                    "pivot",
                    None,
                    audit.Outcome.ASKED,
                    intent=f"web-{number} will run from /srv/images/web-{number}-new."
                    "qcow2. The old file /srv/images/web.qcow2 stays and goes stale.",
                    reason=f"ticket {number}: the pool “images” is to be emptied",
                )


def average() -> float:
    """Return the bytes that are hashed of an entry, on average of the first few."""
    from itertools import islice

    from jobs.audit.chain import canonical
    from jobs.audit.log import entries
    from jobs.models import AuditEntry

    some = islice(entries(AuditEntry.objects.all()), 1000)
    return statistics.mean(len(canonical(entry.content)) for entry in some)


def bare_loop() -> None:
    """Read the same columns and hash their text: the least that must be done."""
    from jobs.audit.chain import FIELDS
    from jobs.models import AuditEntry

    rows = AuditEntry.objects.order_by("number").values_list(*FIELDS[1], "hash", "mac")
    last = 0
    while page := list(rows.filter(number__gt=last)[:PAGE]):
        for columns in page:
            hashlib.sha256(repr(columns).encode()).hexdigest()
        last = page[-1][FIELDS[1].index("number")]


def verify(key: str) -> None:
    """Verify the log with a key, or as one who has none; it must be whole."""
    from django.conf import settings

    from jobs.audit import log

    settings.BLOCKCOPY_AUDIT_KEY = key
    found = log.verify()
    if not found.intact:
        raise RuntimeError(found.sentence)


def export(entries: int, bare: list[float], runs: int) -> None:
    """Measure writing an export and verifying it from the file."""
    from jobs.audit import exports, log
    from jobs.models import AuditEntry

    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        path = Path(directory) / "export.jsonl"

        def write() -> None:
            with path.open("w", encoding="utf-8") as file:
                exports.write(log.entries(AuditEntry.objects.all()), file, "jsonl", {})

        print(row("export as JSON Lines", timed(write, runs), bare), flush=True)
        read = timed(lambda: exports.verify_file(path), runs)
        print(row("verify the export", read, bare), flush=True)


def timed(work: Callable[[], object], runs: int) -> list[float]:
    """Return the seconds of each of so many runs, after one that does not count."""
    work()
    seconds = []
    for _ in range(runs):
        begin = time.monotonic()
        work()
        seconds.append(time.monotonic() - begin)
    return seconds


def row(name: str, seconds: list[float], bare: list[float]) -> str:
    """Return a row of the table; the ratio is of the medians."""
    middle = statistics.median(seconds)
    spread = f"{middle:8.2f} [{min(seconds):.2f}..{max(seconds):.2f}]"
    return f"{name:30} {spread:28} {middle / statistics.median(bare):6.2f}"


if __name__ == "__main__":
    main()
