"""What every test may use: the cast, a small fleet in the database, a real Redis."""

from __future__ import annotations

import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.db.backends.base.operations import BaseDatabaseOperations
from django.test import Client, TransactionTestCase
from django.utils import timezone, translation
from hypothesis import HealthCheck
from hypothesis import settings as examples

from jobs import live
from jobs.actor import Actor
from jobs.audit import guard
from jobs.models import ChainLink, Disk, Domain, Host, Site, StoragePool
from jobs.roles import ADMINISTRATOR, OPERATOR, VIEWER
from lab.redis import PrivateRedis

PROJECT = Path(__file__).parent.parent
PASSWORD = "correct horse battery"

# No example fails for being slow: on a busy machine any of them is, at times.
examples.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
examples.load_profile("patient")


@pytest.fixture(autouse=True, scope="session")
def _catalogs_are_compiled() -> None:
    """As set-up does it, for whoever has changed texts since then."""
    compiling = ". script/setup.sh && ensure_catalogs"
    subprocess.run(["bash", "-c", compiling], cwd=PROJECT, check=True)


@pytest.fixture(autouse=True)
def _next_one_reads_english() -> Iterator[None]:
    """A request leaves its reader's language to the thread, and so to the next test."""
    yield
    translation.deactivate()


# --- The database ------------------------------------------------------------------


@pytest.fixture(autouse=True, scope="session")
def _flush_empties_the_audit_log() -> Iterator[None]:
    """Let Django empty the database after a test, which the audit log's guard refuses.

    Only that: the guard stands while a test runs.
    """
    flush = BaseDatabaseOperations.execute_sql_flush

    def execute_sql_flush(self: Any, statements: list[str]) -> None:
        with transaction.atomic(using=self.connection.alias):
            guard.remove(self.connection)
            flush(self, statements)
            guard.install(self.connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseOperations, "execute_sql_flush", execute_sql_flush)
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The database; on SQLite a test without a transaction ends with a fresh copy.

    To flush it and make its permissions and roles anew takes a hundred times as long.
    """
    if connection.vendor != "sqlite":
        yield
        return
    with (
        closing(sqlite3.connect(":memory:")) as fresh,
        pytest.MonkeyPatch.context() as patch,
    ):
        with django_db_blocker.unblock():
            connection.ensure_connection()
            connection.connection.backup(fresh)

        def restore(_: TransactionTestCase) -> None:
            connection.ensure_connection()
            fresh.backup(connection.connection)

        patch.setattr(TransactionTestCase, "_fixture_teardown", restore)
        yield


# --- The cast ----------------------------------------------------------------------


def _person(name: str, role: str = "") -> User:
    user = User.objects.create_user(name, password=PASSWORD)
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


@pytest.fixture
def olga(db: None) -> User:
    """The operator."""
    return _person("olga", OPERATOR)


@pytest.fixture
def victor(db: None) -> User:
    """The viewer."""
    return _person("victor", VIEWER)


@pytest.fixture
def ada(db: None) -> User:
    """The administrator."""
    return _person("ada", ADMINISTRATOR)


@pytest.fixture
def otto(db: None) -> User:
    """The outsider: he can sign in and has no role."""
    return _person("otto")


def actor_of(user: User) -> Actor:
    """Return the actor that `user` is on the console."""
    return Actor(name=user.username, channel="console", user=user)


def signed_in(user: User) -> Client:
    """Return a client in which `user` is signed in."""
    client = Client()
    client.force_login(user)
    return client


# --- A small fleet -----------------------------------------------------------------


@pytest.fixture
def site(db: None) -> Site:
    return Site.objects.get(name="default")


@pytest.fixture
def host(site: Site) -> Host:
    """A host that answered just now."""
    now = timezone.now()
    return Host.objects.create(
        name="alder",
        site=site,
        transport="local",
        reported_name="alder",
        libvirt_version=9_000_000,
        hypervisor_version=7_002_000,
        hypervisor="QEMU",
        last_seen_at=now,
        synced_at=now,
    )


@pytest.fixture
def pool(host: Host) -> StoragePool:
    return StoragePool.objects.create(
        host=host,
        uuid="0f1e7f7e-0000-4000-8000-000000000001",
        name="images",
        kind="dir",
        active=True,
        path="/srv/images",
        capacity=100 * 2**30,
        allocation=40 * 2**30,
        available=60 * 2**30,
        seen_at=timezone.now(),
    )


@pytest.fixture
def domain(host: Host) -> Domain:
    """A running, persistent domain."""
    return Domain.objects.create(
        host=host,
        uuid="6f9619ff-8b86-4011-b42d-00cf4fc964ff",
        name="web",
        libvirt_id=7,
        state="running",
        persistent=True,
        seen_at=timezone.now(),
    )


@pytest.fixture
def disk(domain: Domain) -> Disk:
    """A disk with a backing file."""
    path = "/srv/images/web.qcow2"
    disk = Disk.objects.create(
        domain=domain,
        target="vda",
        bus="virtio",
        device="disk",
        format="qcow2",
        source=path,
        source_kind="file",
        persistent_source=path,
        capacity=10 * 2**30,
        allocation=4 * 2**30,
        physical=4 * 2**30,
    )
    for depth, location in enumerate((path, "/srv/images/base.qcow2")):
        ChainLink.objects.create(
            disk=disk, depth=depth, location=location, kind="file", format="qcow2"
        )
    return disk


# --- Redis -------------------------------------------------------------------------


@pytest.fixture(scope="session")
def redis_server() -> Iterator[PrivateRedis]:
    """A Redis of this test run's own, on a Unix socket."""
    with (
        tempfile.TemporaryDirectory(prefix="blockcopy-") as directory,
        PrivateRedis(Path(directory)) as server,
    ):
        yield server


@pytest.fixture
def redis(redis_server: PrivateRedis, settings: Any) -> Iterator[None]:
    """An empty Redis behind `jobs.live`."""
    settings.REDIS_URL = redis_server.url
    live.client.cache_clear()
    live.client().flushall()
    yield
    live.client().close()
    live.client.cache_clear()
