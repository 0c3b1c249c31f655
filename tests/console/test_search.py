"""Searching: any of a row's texts, one index for all of them, and it is used."""

from __future__ import annotations

import re
from random import Random
from string import ascii_letters
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import QuerySet
from django.utils.html import escape

from jobs import audit
from jobs.actor import SYSTEM
from jobs.console.ledger import LeftoverFilter
from jobs.lifecycle import State
from jobs.models import (
    AuditEntry,
    ChainLink,
    CopyJob,
    Disk,
    Domain,
    Host,
    Leftover,
)
from jobs.models.audit import SIGN_INS
from jobs.models.search import (
    PLACES,
    SEARCHED,
    beginning,
    drop_indexes,
    lying_at,
    make_indexes,
    mentioning,
)
from tests.conftest import signed_in
from tests.console.fleet_rows import add_disk, add_domain, add_job
from tests.console.rows import add_leftover

on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has no such index"
)


def test_any_of_the_texts_is_searched(disk: Disk) -> None:
    job = add_job(disk, destination="/srv/Fast/x.qcow2", reason="CHG-1234")
    for text in ("eb", "WEB", "vda", "alder", "images/web", "fast/x", "olga", "g-12"):
        assert list(mentioning(CopyJob.objects.all(), text)) == [job], text
    assert not mentioning(CopyJob.objects.all(), "olgaweb").exists()
    assert not mentioning(CopyJob.objects.all(), "100%").exists()
    assert not mentioning(CopyJob.objects.all(), "e_").exists()


def test_a_text_of_one_column_is_not_found_across_two(disk: Disk) -> None:
    add_job(disk)
    assert not mentioning(CopyJob.objects.all(), "webvda").exists()


def test_a_request_is_found_by_its_id(victor: User) -> None:
    audit.record(SYSTEM, "sync", None, audit.Outcome.DONE, detail="all read")
    entry = AuditEntry.objects.latest("pk")
    assert list(mentioning(AuditEntry.objects.all(), "ALL READ")) == [entry]


def test_leftovers_are_found_by_place_and_by_domain(host: Host) -> None:
    one = add_leftover(add_disk(add_domain(host, "orders")), location="/srv/a.qcow2")
    two = add_leftover(add_disk(add_domain(host, "mail")), location="/srv/b.qcow2")
    found: Any = lambda text: list(LeftoverFilter({"q": text}).leftovers())  # noqa: E731
    assert found("a.QCOW") == [one]
    assert found("ail") == [two]
    assert found("srv") == [two, one]
    assert found("alder") == []


@pytest.mark.parametrize("address", ["/jobs/", "/domains/", "/leftovers/", "/storage/"])
def test_a_host_is_chosen_by_its_name(olga: User, host: Host, address: str) -> None:
    Host.objects.create(name="birch", site=host.site, transport="local")
    key = host.pk if address in ("/jobs/", "/leftovers/") else host.name
    text = signed_in(olga).get(f"{address}?host={key}").content.decode()
    assert f'<option value="{key}" selected>alder</option>' in text
    assert ">birch</option>" in text


def test_what_is_chosen_among_hosts_is_text(olga: User, host: Host) -> None:
    Host.objects.update(name='"><img src=x>')
    text = signed_in(olga).get("/jobs/").content.decode()
    assert "<img src=x" not in text
    assert escape('"><img src=x>') in text


@on_postgresql
def test_the_search_is_what_the_index_holds(host: Host) -> None:
    """PostgreSQL takes an index only for the very expression that it was made of."""
    for model in (CopyJob, AuditEntry, Domain, Disk, Leftover):
        rows: Any = model._default_manager.order_by()
        assert f"{model._meta.db_table}_texts" in plan_of(mentioning(rows, "needle"))
    alone = CopyJob.objects.order_by().filter(destination__icontains="needle")
    assert "jobs_copyjob_texts" in plan_of(alone)


def plan_of(rows: QuerySet[Any]) -> str:
    """Return how PostgreSQL would find the rows, if reading all were no choice."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    return rows.explain()


@on_postgresql
@pytest.mark.django_db
def test_what_is_no_sign_in_is_found_through_its_index() -> None:
    acts = AuditEntry.objects.exclude(SIGN_INS).order_by()  # no other index fits then
    assert "audit_of_acts " in plan_of(acts)


@on_postgresql
def test_a_place_is_found_through_its_index(host: Host) -> None:
    for name, columns in PLACES.items():
        model = apps.get_model("jobs", name)
        for column in columns:
            rows: Any = model._default_manager.order_by()
            # Of disks, few show a mirror at all: their index does as well.
            index = f"(jobs_{name.lower()}_by_{column}|disks_with_{column}) "
            assert re.search(index, plan_of(lying_at(rows, column, {"/srv/a", "/b"})))
            assert re.search(index, plan_of(beginning(rows, column, {"/srv/a"})))


def test_places_longer_than_an_index_holds_are_kept_apart(disk: Disk) -> None:
    """What can't be compressed, and is alike where the index ends."""
    long = "/" + "".join(Random(1).choices(ascii_letters, k=4000))
    link = ChainLink.objects.create(disk=disk, depth=7, location=long, kind="file")
    links = ChainLink.objects.order_by()
    assert list(lying_at(links, "location", {long, "/other"})) == [link]
    assert list(beginning(links, "location", {long[:3000]})) == [link]
    for other in (long[:3000], long[:3999] + "?", long + "x"):
        assert not lying_at(links, "location", {other}).exists()
    assert not beginning(links, "location", {long[:3000] + "?"}).exists()


@on_postgresql
def test_lost_indexes_come_back(db: None) -> None:
    drop_indexes(connection)
    make_indexes("default")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_indexes WHERE indexname ~ '_(texts|by_[a-z_]+)$' "
            "AND indexdef ~ '(gin_trgm|text_pattern)_ops'"
        )
        places = sum(map(len, PLACES.values()))
        assert cursor.fetchone() == (len(SEARCHED) + places,)


def test_jobs_are_filtered_by_one_column_alone(disk: Disk, olga: User) -> None:
    add_job(disk, State.FAILED, destination="/srv/web/x", domain_name="mail")
    rows = signed_in(olga).get("/jobs/?domain=web").context["rows"]
    assert rows == []
