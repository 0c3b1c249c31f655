"""Which pool a file lies in, and the free path that a new copy suggests."""

from __future__ import annotations

from datetime import date

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from jobs.console.pools import show_pools
from jobs.console.storage import pool_of
from jobs.console.suggested import Suggested, suggested
from jobs.lifecycle import State
from jobs.models import ChainLink, CopyJob, Disk, Domain, Host, StoragePool
from tests.conftest import signed_in
from tests.console.fleet_rows import HOSTILE_NAMES, add_disk, add_domain, add_job
from tests.console.rows import add_leftover


def address_of(disk: Disk) -> str:
    return reverse("disk-copy", args=[disk.pk])


TODAY = date(2026, 11, 22)
GIB = 2**30


def add_pool(host: Host, name: str, room: int, kind: str = "dir") -> StoragePool:
    """Add a pool with `room` GiB."""
    return StoragePool.objects.create(
        host=host,
        uuid=name,
        name=name,
        kind=kind,
        active=True,
        path=f"/{name}",
        capacity=2**40,
        allocation=0,
        available=room * GIB,
        seen_at=timezone.now(),
    )


class TestSuggestion:
    def suggested(self, disk: Disk) -> Suggested:
        pools = show_pools(StoragePool.objects.all(), leftovers=False)
        return suggested(disk, pools, "qcow2", TODAY)

    def suggest(self, disk: Disk) -> str:
        return self.suggested(disk).destination

    def suggest_volume(self, disk: Disk) -> tuple[str, str]:
        free = self.suggested(disk)
        return free.pool, free.volume

    def test_beside_the_source(self, disk: Disk, pool: StoragePool) -> None:
        assert self.suggest(disk) == "/srv/images/web-vda-20261122.qcow2"

    def test_beside_the_source_without_pools(self, disk: Disk) -> None:
        assert self.suggest(disk) == "/srv/images/web-vda-20261122.qcow2"

    def test_where_there_is_room(self, disk: Disk, pool: StoragePool) -> None:
        StoragePool.objects.update(available=1)
        for name, room, kind in (
            ("big", 90, "dir"),
            ("bigger", 99, "fs"),
            ("biggest", 200, "logical"),
        ):
            add_pool(disk.domain.host, name, room, kind)
        assert self.suggest(disk) == "/bigger/web-vda-20261122.qcow2"

    @pytest.mark.parametrize("state", [State.QUEUED, State.COPYING, State.REQUESTED])
    def test_room_that_another_copy_will_take_is_none(
        self, state: State, disk: Disk, pool: StoragePool
    ) -> None:
        other = add_disk(add_domain(disk.domain.host, "mail"))
        job = add_job(other, state, destination="/srv/images/m", capacity=55 * GIB)
        for name, room in (("big", 30), ("small", 20)):
            add_pool(disk.domain.host, name, room)
        assert self.suggest(disk).startswith("/big/")
        assert self.suggest_volume(disk)[0] == "big"
        CopyJob.objects.filter(pk=job.pk).update(state=State.CANCELLED)
        assert self.suggest(disk).startswith("/srv/images/")
        assert self.suggest_volume(disk)[0] == "images"

    def test_the_roomiest_is_so_without_what_is_promised(
        self, disk: Disk, pool: StoragePool
    ) -> None:
        StoragePool.objects.update(available=0)
        host = disk.domain.host
        for name, room in (("big", 90), ("small", 40)):
            add_pool(host, name, room)
        other = add_disk(add_domain(host, "mail"))
        add_job(other, State.COPYING, destination="/big/mail", capacity=60 * GIB)
        assert self.suggest(disk).startswith("/small/")
        assert self.suggest_volume(disk)[0] == "small"

    def test_no_place_where_the_copy_could_not_begin(
        self, disk: Disk, pool: StoragePool
    ) -> None:
        StoragePool.objects.update(available=10 * GIB)
        other = add_disk(add_domain(disk.domain.host, "mail"), allocation=7 * GIB)
        add_job(other, State.COPYING, destination="/srv/images/m", capacity=8 * GIB)
        assert self.suggest(disk) == "", "4 GiB are needed, and 3 GiB are left"
        assert self.suggest_volume(disk) == ("", "")
        Disk.objects.filter(pk=other.pk).update(allocation=5 * GIB)
        assert self.suggest(disk).startswith("/srv/images/")

    def test_a_thick_volume_needs_all_of_its_size(
        self, disk: Disk, pool: StoragePool
    ) -> None:
        StoragePool.objects.update(available=5 * GIB, kind="logical")
        assert self.suggest_volume(disk) == ("", "")
        StoragePool.objects.update(available=10 * GIB)
        assert self.suggest_volume(disk)[0] == "images"

    def test_nowhere(self, disk: Disk) -> None:
        disk.source, disk.source_kind = "nbd://birch:10809/web", "network"
        assert self.suggest(disk) == ""

    @pytest.mark.parametrize(
        "how", ["source", "persistent", "mirror", "old source", "job", "left"]
    )
    def test_never_what_a_known_disk_uses(self, how: str, disk: Disk) -> None:
        taken = self.suggest(disk)
        other = add_disk(add_domain(disk.domain.host))
        if how == "source":
            ChainLink.objects.filter(disk=other).update(location=taken)
        elif how == "persistent":
            Disk.objects.filter(pk=other.pk).update(persistent_source=taken)
        elif how == "old source":
            add_leftover(other, location=taken)
        elif how == "mirror":
            Disk.objects.filter(pk=other.pk).update(mirror=taken)
        else:
            state = State.COPYING if how == "job" else State.CANCELLED
            add_job(other, state, destination=taken)
        assert self.suggest(disk) == "/srv/images/web-vda-20261122-2.qcow2"

    def test_is_accepted(self, olga: User, disk: Disk, pool: StoragePool) -> None:
        response = signed_in(olga).get(address_of(disk))
        assert not response.context["form"].errors

    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    def test_is_a_plain_name_for_any_domain(
        self, name: str, olga: User, disk: Disk
    ) -> None:
        Domain.objects.update(name=name)
        disk.domain.name = name
        suggested = self.suggest(disk)
        assert suggested.isascii()
        assert len(suggested.rsplit("/", 1)[-1]) <= 255
        assert not set(suggested) & set("<>'\" {}&;")
        response = signed_in(olga).get(address_of(disk))
        assert not response.context["form"].errors


def test_the_longest_path_is_the_pool(pool: StoragePool) -> None:
    inner = StoragePool(name="inner", path="/srv/images/inner/")
    beside = StoragePool(name="beside", path="/srv/images-old")
    pools = [pool, inner, beside, StoragePool(name="no path", path="")]
    assert pool_of("/srv/images/inner/a", pools) is inner
    assert pool_of("/srv/images/innermost", pools) is pool
    assert pool_of("/srv/images", pools) is None
    assert pool_of("nbd://birch/a", pools) is None
