"""Leases are shared, renewed, taken over and given back; and who is well."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.utils import timezone

from jobs import live
from jobs.leases import LEASE_SECONDS, Leases, is_alive, listeners_of
from jobs.models import Host, Site


@pytest.fixture
def fleet(site: Site) -> list[Host]:
    return [
        Host.objects.create(name=f"host{number}", site=site, transport="local")
        for number in range(4)
    ]


def lapse(name: str) -> None:
    """Let a listener die a while ago: its leases lapsed, its heartbeat is gone."""
    Host.objects.filter(listener=name).update(
        listener_until=Now() - timedelta(seconds=1)
    )
    Leases(name, []).fall_silent()


def holders() -> list[str]:
    return list(Host.objects.order_by("pk").values_list("listener", flat=True))


@pytest.mark.usefixtures("redis")
def test_a_lone_listener_takes_the_whole_fleet(fleet: list[Host]) -> None:
    one = Leases("one", ["default"])
    one.beat()

    held = one.hold()

    assert sorted(held) == [host.pk for host in fleet]
    assert held[fleet[0].pk].site == "default"
    until_ = Host.objects.get(pk=fleet[0].pk).listener_until
    assert until_ is not None
    left = (until_ - timezone.now()).total_seconds()
    assert LEASE_SECONDS - 5 < left <= LEASE_SECONDS


@pytest.mark.usefixtures("redis")
def test_two_listeners_share_a_fleet_whoever_comes_first(fleet: list[Host]) -> None:
    one, two = Leases("one", ["default"]), Leases("two", ["default"])
    one.beat()
    assert len(one.hold()) == 4

    two.beat()
    assert two.hold() == {}  # all are held; none is taken away
    assert len(one.hold()) == 2  # it leaves those above its share
    assert len(two.hold()) == 2

    assert sorted(holders()) == ["one", "one", "two", "two"]
    assert not one.hold().keys() & two.hold().keys()


@pytest.mark.usefixtures("redis")
def test_a_dead_listeners_hosts_are_taken_over_when_its_leases_end(
    fleet: list[Host],
) -> None:
    one, two = Leases("one", ["default"]), Leases("two", ["default"])
    for leases in (one, two, one, two):
        leases.beat()
        leases.hold()
    one.fall_silent()
    assert len(two.hold()) == 2  # dead, but its leases still run

    lapse("one")

    assert len(two.hold()) == 4
    assert set(holders()) == {"two"}


@pytest.mark.usefixtures("redis")
def test_leases_that_lapsed_are_not_held_twice(fleet: list[Host]) -> None:
    """A listener that slept through its lease finds that another has the host."""
    one, two = Leases("one", ["default"]), Leases("two", ["default"])
    one.beat()
    one.hold()
    lapse("one")
    two.beat()
    two.hold()

    one.beat()
    assert one.hold() == {}


@pytest.mark.usefixtures("redis")
def test_what_is_given_back_is_free_at_once(fleet: list[Host]) -> None:
    one, two = Leases("one", ["default"]), Leases("two", ["default"])
    one.beat()
    one.hold()

    one.fall_silent()
    one.give_back()

    two.beat()
    assert len(two.hold()) == 4


@pytest.mark.usefixtures("redis")
def test_hosts_that_are_disabled_or_elsewhere_are_left(fleet: list[Host]) -> None:
    far = Site.objects.create(name="far")
    one = Leases("one", ["default"])
    one.hold()

    Host.objects.filter(pk=fleet[0].pk).update(enabled=False)
    Host.objects.filter(pk=fleet[1].pk).update(site=far)

    assert sorted(one.hold()) == [fleet[2].pk, fleet[3].pk]
    assert holders() == ["", "", "one", "one"]


@pytest.mark.usefixtures("redis")
def test_listeners_of_other_sites_do_not_count(fleet: list[Host]) -> None:
    Leases("two", ["far"]).beat()

    assert listeners_of("default", "one") == 1
    assert len(Leases("one", ["default"]).hold()) == 4


def test_without_redis_a_listener_takes_what_is_free(
    fleet: list[Host], settings: Any
) -> None:
    settings.REDIS_URL = "unix:///nonexistent/redis.sock"
    live.client.cache_clear()
    one, two = Leases("one", ["default"]), Leases("two", ["default"])

    one.beat()
    assert len(one.hold()) == 4
    assert two.hold() == {}
    assert len(one.hold()) == 4
    live.client.cache_clear()


@pytest.mark.usefixtures("redis")
def test_a_restart_under_the_same_name_goes_on_at_once(fleet: list[Host]) -> None:
    Leases("one", ["default"]).hold()

    assert len(Leases("one", ["default"]).hold()) == 4


@pytest.mark.usefixtures("redis", "db")
def test_two_of_one_name_are_told_so(caplog: pytest.LogCaptureFixture) -> None:
    first, second = Leases("one", ["default"]), Leases("one", ["default"])

    first.beat()
    second.beat()  # perhaps a restart
    assert "--name" not in caplog.text
    first.beat()

    assert "--name" in caplog.text


@pytest.mark.usefixtures("redis", "db")
def test_the_check_tells_whether_the_listener_is_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(CommandError, match="no sign for 15 seconds"):
        call_command("listen", "--check", "--name", "one")

    Leases("one", ["default"]).beat()
    call_command("listen", "--check", "--name", "one")

    assert "is well" in capsys.readouterr().out
    assert is_alive("one")
    assert live.client().ttl("blockcopy:listener:one") <= LEASE_SECONDS


@pytest.mark.usefixtures("db")
def test_the_check_fails_without_redis(settings: Any) -> None:
    settings.REDIS_URL = "unix:///nonexistent/redis.sock"
    live.client.cache_clear()
    with pytest.raises(CommandError, match="Redis does not answer"):
        call_command("listen", "--check", "--name", "one")
    live.client.cache_clear()
