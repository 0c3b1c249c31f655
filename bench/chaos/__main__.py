"""Kill something every few seconds, and see whether the console keeps its promises.

    python -m bench.chaos --minutes 5 [--kills 500] [--seed 7] [--guests 6]
        [--database sqlite|postgresql] [--promised 10] [--json]

It goes on for so many minutes, or until so many have died, whichever comes first.
The seed is printed; with the same one the same is done and killed, in the same order.
Exit status 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from bench.chaos.plan import Plan
from bench.chaos.scene import Scene


def main() -> int:
    """Run, print the table, and tell by the exit status."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    seed = arguments.seed
    if seed is None:
        seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}", file=sys.stderr, flush=True)
    plan = Plan(seed, arguments.guests)
    memory = Path("/dev/shm")
    base = memory if memory.is_dir() else None
    with (
        tempfile.TemporaryDirectory(
            prefix="chaos-", dir=base, ignore_cleanup_errors=True
        ) as directory,
        Scene(Path(directory), plan.guests, arguments.database) as scene,
    ):
        try:
            return _run(scene, plan, arguments)
        finally:
            if arguments.keep:
                _keep(scene, arguments.keep)


def _run(scene: Scene, plan: Plan, arguments: argparse.Namespace) -> int:
    os.environ.update(scene.stack.environment)
    os.environ["DJANGO_SETTINGS_MODULE"] = "blockcopy_web.settings"
    import django
    from django.conf import settings

    # A pool would take its time to open a broken connection again.
    settings.DATABASES["default"].get("OPTIONS", {}).pop("pool", None)
    django.setup()
    from bench.chaos.run import Run
    from bench.chaos.table import as_json, as_text

    run = Run(scene, plan, promised=arguments.promised)
    try:
        result = run.go(arguments.minutes * 60, arguments.kills)
    finally:
        run.close()
    print(json.dumps(as_json(result)) if arguments.json else as_text(result))
    return 1 if result.breaks else 0


def _keep(scene: Scene, folder: Path) -> None:
    """Copy the database and the logs, to find out what happened."""
    import shutil

    folder.mkdir(parents=True, exist_ok=True)
    if scene.postgres is not None:
        scene.postgres.dump(folder / "database.sql")
    for path in (scene.directory / "console").glob("*.sqlite3*"):
        shutil.copy(path, folder)
    for log in scene.directory.glob("*/log/*.log"):
        shutil.copy(log, folder / f"{log.parent.parent.name}-{log.name}")


def _interrupt(*_: int | FrameType | None) -> None:
    raise KeyboardInterrupt


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--kills", type=int, default=sys.maxsize)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--guests", type=int, default=6)
    parser.add_argument(
        "--database", choices=("sqlite", "postgresql"), default="sqlite"
    )
    parser.add_argument(
        "--promised", type=float, default=10.0, help="seconds until all is true again"
    )
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    parser.add_argument("--keep", type=Path, help="keep database and logs there")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted; everything was ended")
