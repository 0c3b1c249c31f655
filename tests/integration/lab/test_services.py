"""Redis and PostgreSQL of our own, and what happens to them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from lab.cell import LabError
from lab.postgres import PrivatePostgres
from lab.redis import PrivateRedis
from lab.service import Service
from tests.integration.lab.processes import (
    PROJECT,
    kill_a_process_that,
    processes_of,
)

pytestmark = pytest.mark.integration


def test_redis_comes_up_and_goes_down(folder: Path) -> None:
    with PrivateRedis(folder) as server:
        assert server.answers()
        assert server.url == f"unix://{server.socket}"
    assert not server.answers()
    assert processes_of(folder) == set()


def test_a_killed_redis_can_be_started_again(folder: Path) -> None:
    with PrivateRedis(folder) as server:
        server.kill()
        assert not server.answers()
        server.start()
        assert server.answers()


def test_a_frozen_redis_does_not_answer(folder: Path) -> None:
    with PrivateRedis(folder) as server:
        server.service.freeze()
        assert not server.answers()
        server.service.thaw()
        assert server.answers()


def test_redis_is_found_in_either_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's redis-tools has the server under another name."""
    monkeypatch.setattr(
        "lab.redis.shutil.which", lambda name, path: name == "redis-check-rdb"
    )
    with PrivateRedis(folder) as server:
        assert server.answers()


def test_postgres_comes_up_keeps_its_data_and_goes_down(folder: Path) -> None:
    cluster = PrivatePostgres(folder)
    where = f"host={cluster.socket.parent} user=blockcopy dbname=postgres"
    with cluster, psycopg.connect(where) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    assert processes_of(folder) == set()
    with cluster:
        cluster.kill()
        cluster.start()
        with psycopg.connect(where) as connection:
            row = connection.execute("SELECT answer FROM kept").fetchone()
    assert row == (42,)


def test_a_command_runs_against_a_postgres_made_for_it() -> None:
    text = "import os, sys; print(os.environ['DATABASE_URL']); sys.exit(3)"
    done = subprocess.run(
        [sys.executable, "-m", "lab.postgres", sys.executable, "-c", text],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout.startswith("postgres://blockcopy@%2F")
    assert not list((PROJECT / "var").glob("postgres-*"))


def test_a_service_that_ends_early_is_told_with_its_last_words(folder: Path) -> None:
    command = ["bash", "-c", "echo hello; echo no such file; exit 1"]
    service = Service("clerk", command, log=folder / "clerk.log")
    service.start()
    with pytest.raises(LabError, match="clerk ended: no such file"):
        service.wait_until(lambda: False)
    service.stop()


def test_a_service_that_does_not_listen_is_ended_all_the_same(folder: Path) -> None:
    command = ["bash", "-c", "trap '' TERM; while :; do sleep 1; done"]
    service = Service("deaf", command, log=folder / "deaf.log")
    service.start()
    service.stop(grace=0.2)
    assert not service.running
    assert processes_of(folder) == set()


def test_a_service_sees_its_own_environment_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://production")
    command = ["bash", "-c", "echo $HOSTNAME $WHO [$DATABASE_URL]; sleep 60"]
    log = folder / "clerk.log"
    with Service("clerk", command, log=log, environment={"WHO": "ada"}) as service:
        service.wait_until(lambda: service.said("\n"))
    assert log.read_text() == "clerk ada []\n"


STARTS = """
from lab.postgres import PrivatePostgres
from lab.redis import PrivateRedis
redis = PrivateRedis(folder / "redis").start()
postgres = PrivatePostgres(folder / "postgres").start()
"""


def test_services_end_with_a_parent_that_is_killed(folder: Path) -> None:
    there, left = kill_a_process_that(STARTS, folder)
    assert len(there) >= 4
    assert left == set()
