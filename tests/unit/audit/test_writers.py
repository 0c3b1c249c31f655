"""Many processes write at once, on a real database: one chain, no deadlock, no gap."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from jobs.audit.log import Verdict, verify
from jobs.models import AuditEntry

# A console beside the tests' own database: SQLite's is in the memory of one process.
BESIDE = f"beside_the_tests_{os.environ.get('PYTEST_XDIST_WORKER', '')}"
RUN = "import django; django.setup(); from tests.unit.audit.writer import main; main()"


class Console:
    """A database with the console's tables, and processes that write to it."""

    def __init__(self, url: str) -> None:
        self.environment = {
            **os.environ,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "blockcopy_web.settings",
            "BLOCKCOPY_DATABASE_CONNECTIONS": "2",
        }

    def start(self, what: str, count: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", RUN, what, str(count)],
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        )


def finished(*processes: subprocess.Popen[str]) -> None:
    """Wait for processes to end well."""
    for process in processes:
        _, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors


@pytest.fixture
def console(
    tmp_path: Path, django_db_blocker: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Console]:
    """A database of its own, that `jobs.models` of this process reads too."""
    with django_db_blocker.unblock():
        original = connections["default"]
        if connection.vendor == "postgresql":
            with original.cursor() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS {BESIDE}")
                cursor.execute(f"CREATE DATABASE {BESIDE}")
            name, url = BESIDE, _renamed(os.environ["DATABASE_URL"], BESIDE)
        else:
            name = str(tmp_path / "beside.sqlite3")
            url = f"sqlite:///{name}"
        made = Console(url)
        finished(made.start("migrate", 0))
        beside = original.copy("default")
        beside.settings_dict = {**original.settings_dict, "NAME": name}
        beside.settings_dict["OPTIONS"] = {
            key: value
            for key, value in original.settings_dict["OPTIONS"].items()
            if key != "pool"
        }
        connections["default"] = beside
        try:
            yield made
        finally:
            beside.close()
            connections["default"] = original
            if connection.vendor == "postgresql":
                with original.cursor() as cursor:
                    cursor.execute(f"DROP DATABASE {BESIDE} WITH (FORCE)")
            original.close()


def _renamed(url: str, name: str) -> str:
    return f"{url.rpartition('/')[0]}/{name}"


def whole() -> Verdict:
    found = verify()
    assert found.intact, found.sentence
    return found


def deadlocks() -> int:
    """How many PostgreSQL has broken up; it counts a moment later."""
    if connection.vendor != "postgresql":
        return 0
    time.sleep(1)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = %s", [BESIDE]
        )
        return int(cursor.fetchone()[0])


def test_processes_that_move_jobs_write_one_chain(console: Console) -> None:
    finished(*(console.start("move", 40) for _ in range(4)))
    assert whole().entries == 160
    assert deadlocks() == 0


def test_entries_between_changes_of_jobs_deadlock_nobody(console: Console) -> None:
    """The chain's lock is every transaction's last, wherever `record` is called."""
    finished(*(console.start("mixed", 40) for _ in range(3)), console.start("move", 40))
    assert whole().entries == 3 * 40 * 3 + 40
    assert deadlocks() == 0


def test_writers_killed_at_any_moment_leave_no_gap(console: Console) -> None:
    for pause in (1.2, 1.5, 1.9):
        writers = [console.start("mixed", 10_000) for _ in range(2)]
        time.sleep(pause)
        for writer in writers:
            writer.kill()
            writer.communicate()
    finished(console.start("move", 1))
    found = whole()
    assert AuditEntry.objects.count() == found.entries
    assert (found.entries - 1) % 3 == 0  # no transaction was written by half
