"""The storage pools of all hosts: what is free, promised, left and written in each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from jobs.console.pools import ShownPool, show_pools
from jobs.hypervisor import destination_to_json
from jobs.hypervisor.destination import Destination
from jobs.lifecycle import State
from jobs.models import Disk, Host, Site, StoragePool
from tests.conftest import signed_in
from tests.console.fleet_rows import HOSTILE_NAMES, add_disk, add_domain
from tests.console.rows import add_leftover, job_in, queries_of, seen, text_of

PAGE = "/storage/"
GIB = 2**30


def add_pool(host: Host, name: str, **fields: Any) -> StoragePool:
    """Add an empty pool of 100 GiB over a folder of its own."""
    return StoragePool.objects.create(
        **{
            "host": host,
            "uuid": f"{host.pk}-{name}"[:36],
            "name": name,
            "kind": "dir",
            "active": True,
            "path": f"/srv/{name}",
            "capacity": 100 * GIB,
            "allocation": 0,
            "available": 100 * GIB,
            "seen_at": timezone.now(),
            **fields,
        }
    )


@pytest.fixture
def birch(site: Site) -> Host:
    """A second host, which answers."""
    return Host.objects.create(
        name="birch", site=site, transport="local", last_seen_at=timezone.now()
    )


def shown(pool: StoragePool) -> ShownPool:
    fresh = StoragePool.objects.select_related("host__site").get(pk=pool.pk)
    return show_pools([fresh])[0]


def copy_to(disk: Disk, place: str, state: State = State.COPYING) -> Any:
    """Add a job of 10 GiB that copies to a file."""
    return job_in(state, disk, destination=place, capacity=10 * GIB)


def page(client: Client, **wanted: str) -> str:
    response = client.get(PAGE, wanted)
    assert response.status_code == 200
    return text_of(response)


# --- The ladder ----------------------------------------------------------------------


def test_ladder(otto: User, victor: User, pool: StoragePool) -> None:
    assert Client().get(PAGE).status_code == 302
    assert signed_in(otto).get(PAGE).status_code == 403
    client = signed_in(victor)
    for method in ("post", "put", "delete"):
        assert getattr(client, method)(PAGE).status_code == 405
    text = page(client)
    for words in ("images", "/srv/images", "60 GiB", "40 % of 100 GiB used", "alder"):
        assert words in text
    assert '<a href="/storage/" aria-current="page">Storage</a>' in text


def test_nothing_yet(victor: User, db: None) -> None:
    assert "No pools yet." in page(signed_in(victor))


def test_what_is_gone_is_not_listed(victor: User, pool: StoragePool) -> None:
    StoragePool.objects.update(gone_at=timezone.now())
    assert "/srv/images" not in page(signed_in(victor))


# --- What is promised ----------------------------------------------------------------


def test_what_jobs_will_take_is_promised(
    redis: None, victor: User, disk: Disk, pool: StoragePool
) -> None:
    job = copy_to(disk, "/srv/images/new.qcow2")
    seen(job, GIB, 10 * GIB)
    row = shown(pool)
    assert (row.least, row.most) == (3 * GIB, 9 * GIB)
    text = page(signed_in(victor))
    assert "3 GiB to 9 GiB" in text
    assert reverse("job", args=[job.pk]) in text


def test_ended_and_other_places_promise_nothing(disk: Disk, pool: StoragePool) -> None:
    copy_to(disk, "/srv/images/a.qcow2", State.CANCELLED)
    other = add_disk(add_domain(disk.domain.host, "mail"))
    copy_to(other, "/srv/images/below/b.qcow2")
    assert shown(pool).promised == []


def test_a_volume_is_promised_by_its_pool_s_name(disk: Disk, pool: StoragePool) -> None:
    place = Destination("volume", pool="images", volume="copy", format="qcow2")
    job = job_in(
        State.QUEUED,
        disk,
        destination_spec=destination_to_json(place),
        destination_kind="volume",
        destination="images/copy",
        capacity=10 * GIB,
    )
    assert [each.job for each in shown(pool).promised] == [job]


def test_what_writes_stands_before_what_waits(disk: Disk, pool: StoragePool) -> None:
    host = disk.domain.host
    jobs = [
        copy_to(add_disk(add_domain(host, f"d{n}")), f"/srv/images/{n}", state)
        for n, state in enumerate([State.QUEUED, State.COPYING, State.MIRRORING])
    ]
    more = copy_to(disk, "/srv/images/3", State.COPYING)
    row = shown(pool)
    assert jobs[0] not in row.jobs
    assert {more, jobs[1], jobs[2]} == set(row.jobs)
    assert row.more_jobs == 1


@pytest.mark.parametrize(
    ("available", "words"),
    [
        (3 * GIB, "more than is free"),
        (5 * GIB, "may not fit"),
        (50 * GIB, None),
    ],
)
def test_too_much_promised_is_said(
    victor: User, disk: Disk, pool: StoragePool, available: int, words: str | None
) -> None:
    StoragePool.objects.update(available=available)
    copy_to(disk, "/srv/images/new.qcow2")
    text = page(signed_in(victor))
    for each in ("more than is free", "may not fit"):
        assert (each in text) == (each == words)


# --- What is left --------------------------------------------------------------------


def test_leftovers_are_summed_where_they_lie(
    victor: User, disk: Disk, pool: StoragePool
) -> None:
    inner = add_pool(disk.domain.host, "inner", path="/srv/images/inner")
    for place in ("/srv/images/a", "/srv/images/b", "/srv/images/inner/c", "/srv/d"):
        add_leftover(disk, location=place)
    add_leftover(disk, location="/srv/images/e", bytes=None)
    add_leftover(disk, location="/srv/images/f", removed_at=timezone.now())
    assert (shown(pool).left_bytes, len(shown(pool).left)) == (6 * GIB, 3)
    assert shown(inner).left_bytes == 3 * GIB
    text = page(signed_in(victor))
    assert "6 GiB in 3 leftovers" in text
    assert "1 not measured" in text
    link = f"/leftovers/?q=%2Fsrv%2Fimages%2F&amp;host={pool.host_id}"
    assert f'href="{link}"' in text


# --- The same storage on several hosts -----------------------------------------------


def test_the_same_network_storage_is_told_and_counted_once_for_all(
    victor: User, disk: Disk, host: Host, birch: Host
) -> None:
    nfs = {"kind": "netfs", "source": "nfs.example:/export"}
    here = add_pool(host, "nfs", path="/mnt/nfs", **nfs)
    there = add_pool(birch, "shared", path="/mnt/other", **nfs)
    far = add_disk(add_domain(birch, "mail"))
    add_leftover(far, location="/mnt/other/old.qcow2")
    job = copy_to(far, "/mnt/other/new.qcow2")
    for pool in (here, there):
        row = shown(pool)
        assert [each.job for each in row.promised] == [job]
        assert row.left_bytes == 3 * GIB
    text = page(signed_in(victor), host="alder")
    assert "The same storage:" in text
    assert f'<a class="plain" href="/hosts/{birch.pk}/">birch</a>' in text


def test_of_many_hosts_with_the_same_storage_some_are_named(
    victor: User, host: Host
) -> None:
    nfs = {"kind": "netfs", "source": "nfs.example:/export vm"}
    add_pool(host, "nfs", path="/mnt/nfs", **nfs)
    for number in range(5):
        other = Host.objects.create(
            name=f"birch-{number}", site=host.site, transport="local"
        )
        add_pool(other, "nfs", path="/mnt/nfs", **nfs)
    text = page(signed_in(victor), host="alder")
    assert ">birch-2</a> <a" in text
    assert ">birch-3</a>" not in text
    address = "/storage/?q=nfs.example%3A%2Fexport+vm"
    assert f'<a href="{address}">and 2 more hosts</a>' in text
    assert len(signed_in(victor).get(address).context["rows"]) == 6


@pytest.mark.parametrize(
    "fields",
    [
        {"uuid": "the same"},
        {"kind": "netfs"},
        {"kind": "netfs", "source": "nfs.example:/export", "other": "nfs2:/export"},
    ],
)
def test_what_only_looks_the_same_is_not_told_as_such(
    victor: User, host: Host, birch: Host, fields: dict[str, Any]
) -> None:
    other = fields.pop("other", fields.get("source", ""))
    add_pool(host, "nfs", path="/mnt/nfs", **fields)
    add_pool(birch, "nfs", path="/mnt/nfs", **{**fields, "source": other})
    assert "The same storage:" not in page(signed_in(victor))


# --- Filters, order, pages -----------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["a", "b", "c"]),
        ({"q": "SRV/B"}, ["b"]),
        ({"q": "nfs.example"}, ["c"]),
        ({"host": "birch"}, ["c"]),
        ({"site": "default", "state": "full"}, ["b"]),
        ({"state": "inactive"}, ["a"]),
        ({"state": "shared"}, ["c"]),
        ({"sort": "-full"}, ["b", "c", "a"]),
        ({"sort": "free"}, ["b", "c", "a"]),
        ({"host": "oak"}, []),
        ({"colour": "red"}, []),
        ({"q": "\0"}, []),
    ],
)
def test_filters(
    query: dict[str, str], found: list[str], victor: User, host: Host, birch: Host
) -> None:
    add_pool(host, "a", active=False, capacity=0, allocation=0, available=10**15)
    add_pool(host, "b", available=10 * GIB)
    add_pool(birch, "c", kind="netfs", source="nfs.example:/x", available=11 * GIB)
    response = signed_in(victor).get(PAGE, query)
    assert [row.pool.name for row in response.context["rows"]] == found


def test_nearly_full_is_said_in_words(victor: User, pool: StoragePool) -> None:
    client = signed_in(victor)
    assert "</svg>nearly full</span>" not in page(client)
    StoragePool.objects.update(available=10 * GIB)
    assert "</svg>nearly full</span>" in page(client)
    assert "Nearly full <strong>1</strong>" in page(client)
    StoragePool.objects.update(available=0)
    assert "</svg>full</span>" in page(client)


def test_pages(victor: User, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.console.views.storage.POOLS_PER_PAGE", 2)
    for name in ("a", "b", "c"):
        add_pool(host, name)
    assert "1 to 2 of 3 pools" in page(signed_in(victor))
    assert "/srv/c" in page(signed_in(victor), page="2")


# --- Never stale in silence ----------------------------------------------------------


def test_numbers_tell_their_age(
    victor: User, pool: StoragePool, time_machine: Any
) -> None:
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    StoragePool.objects.update(seen_at=now - timedelta(seconds=4))
    assert "data-age hidden" in page(signed_in(victor))
    StoragePool.objects.update(seen_at=now - timedelta(seconds=40))
    text = page(signed_in(victor))
    assert "data-age hidden" not in text
    assert "as of 40 s ago" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"error": "No route."}, "does not answer, last seen"),
        ({"enabled": False}, "disabled, last seen"),
    ],
)
def test_rows_of_silent_hosts_are_grey(
    victor: User, pool: StoragePool, change: dict[str, Any], words: str
) -> None:
    client, row = signed_in(victor), f'id="pool-{pool.pk}" class="silent"'
    assert row not in page(client)
    Host.objects.update(**change)
    assert row in page(client)
    assert words in page(client)


def test_only_the_list_is_refreshed(victor: User, pool: StoragePool) -> None:
    headers = {"HX-Request": "true", "HX-Target": "live"}
    text = text_of(signed_in(victor).get(PAGE, headers=headers))
    assert "/srv/images" in text
    assert "<html" not in text


def test_needs_no_more_queries_for_more(
    redis: None, victor: User, disk: Disk, pool: StoragePool, site: Site
) -> None:
    client = signed_in(victor)
    copy_to(disk, "/srv/images/0")
    add_leftover(disk, location="/srv/images/left")
    one = queries_of(client, PAGE)
    for number in range(5):
        host = Host.objects.create(name=f"h{number}", site=site, transport="local")
        more = add_disk(add_domain(host))
        add_pool(host, "nfs", kind="netfs", source="nfs.example:/x", path="/mnt")
        copy_to(more, f"/mnt/{number}")
        add_leftover(more, location=f"/mnt/left-{number}")
    assert queries_of(client, PAGE) == one <= 15


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_are_text(name: str, victor: User, disk: Disk, pool: StoragePool) -> None:
    StoragePool.objects.update(name=name, path=f"/{name}", source=name)
    copy_to(disk, f"/{name}/new.qcow2")
    add_leftover(disk, location=f"/{name}/old")
    response = signed_in(victor).get(PAGE, {"q": name})
    html = response.content.decode()
    assert escape(name) in html
    assert "<img" not in html
