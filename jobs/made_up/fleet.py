"""Hosts that never were, and what they have: pools, domains, disks, chains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from jobs.made_up.loading import Row, load
from jobs.made_up.size import Size
from jobs.models import ChainLink, Disk, Domain, Host, Site, StoragePool

TIB, GIB = 2**40, 2**30
_PLACES = (
    *("berlin", "oslo", "nairobi", "osaka", "quito", "lyon", "perth", "montreal"),
)
_TREES = (
    *("alder", "birch", "cedar", "elm", "fir", "hazel", "juniper", "larch", "maple"),
    *("oak", "pine", "rowan", "spruce", "willow", "yew"),
)
_USES = (
    *("web", "orders-db", "mail", "ci-runner", "cache", "ldap", "grafana", "gitlab"),
    *("kafka", "vault", "proxy", "erp", "wiki", "billing-db", "backup", "build"),
)
# Names as people give them, one in forty.
_ODD = (
    "customer 4711 (do not touch!) ",
    "Überwachung München ",
    "legacy-payroll-application-server-of-the-former-subsidiary-to-be-migrated-until-"
    "the-end-of-the-year-see-the-ticket-before-you-do-anything-with-this-machine-",
    "データベース-",
    "<b>test</b> & 'quotes' ",
)
_ERRORS = (
    (
        "The host does not answer.",
        "Look whether it is on, and whether libvirtd listens there.",
    ),
    (
        "The host's certificate is not trusted.",
        "Have it signed by the authority that the console knows.",
    ),
)


@dataclass
class Made:
    """The fleet as rows to be written, and where each disk belongs."""

    sites: list[dict[str, Any]] = field(default_factory=list)
    hosts: list[dict[str, Any]] = field(default_factory=list)
    pools: list[dict[str, Any]] = field(default_factory=list)
    domains: list[dict[str, Any]] = field(default_factory=list)
    disks: list[dict[str, Any]] = field(default_factory=list)

    def domain_of(self, disk: Row) -> Row:
        return self.domains[int(disk["domain_id"]) - 1]

    def host_of(self, row: Row) -> Row:
        """Return the host of a domain or a pool."""
        return self.hosts[int(row["host_id"]) - 1]


def plan(size: Size, chance: Random, now: datetime) -> Made:
    """Make a fleet up, without writing it."""
    made = Made()
    first = Site.objects.count() + 1
    made.sites = [
        {
            "id": first + number,
            "name": f"made-up-{place}",
            "description": "Made up by manage.py made_up_fleet. No worker serves it.",
        }
        for number, place in enumerate(_PLACES)
    ]
    for number in range(1, size.hosts + 1):
        made.hosts.append(_host(number, made.sites, chance, now))
        made.pools += _pools(number, len(made.pools), made, chance, now)
    for number in range(1, size.domains + 1):
        made.domains.append(_domain(number, made, chance, now))
    for number in range(1, size.disks + 1):
        made.disks.append(_disk(number, made, chance))
    return made


def write(made: Made) -> None:
    """Write it down."""
    load(Site, made.sites)
    load(Host, made.hosts)
    load(StoragePool, made.pools)
    load(Domain, made.domains)
    load(Disk, made.disks)
    load(ChainLink, _links(made.disks))


def _uuid(chance: Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))


# --- Hosts -------------------------------------------------------------------------


def _host(
    number: int, sites: list[dict[str, Any]], chance: Random, now: datetime
) -> dict[str, Any]:
    tree = _TREES[number % len(_TREES)]
    name = f"{tree}-{number:04}.made-up"
    seen = now - timedelta(seconds=chance.uniform(0, 60))
    row = {
        "id": number,
        "name": name,
        "site_id": sites[number % len(sites)]["id"],
        "transport": Host.Transport.TLS,
        "host_name": f"{tree}-{number:04}.made-up.invalid",
        "reported_name": name,
        "uuid": _uuid(chance),
        "hypervisor": "QEMU",
        "libvirt_version": 9_000_000,
        "hypervisor_version": 7_002_000,
        "production": number % 5 == 0,
        "last_seen_at": seen,
        "synced_at": seen,
        "inventory_began_at": seen,
    }
    if number % 40 == 7:
        error, remedy = chance.choice(_ERRORS)
        since = now - timedelta(minutes=chance.uniform(1, 3000))
        row |= {"error": error, "error_remedy": remedy, "error_at": since}
        row |= {"last_seen_at": since, "synced_at": since}
    elif number % 60 == 11:
        row["enabled"] = False
    elif number % 200 == 13:
        row |= {"last_seen_at": None, "synced_at": None, "inventory_began_at": None}
    return row


def _pools(
    host: int, before: int, made: Made, chance: Random, now: datetime
) -> list[dict[str, Any]]:
    kinds = [("images", "dir", "/srv/images"), ("fast", "fs", "/srv/fast")]
    if host % 3 == 0:
        kinds.append(("vg0", "logical", "/dev/vg0"))
    if host % 2 == 0:
        kinds.append(("shared", "netfs", "/mnt/shared"))
    rows = []
    for number, (name, kind, path) in enumerate(kinds, before + 1):
        capacity = chance.choice((2, 4, 8, 20)) * TIB
        available = int(capacity * chance.choice((0.02, 0.09, 0.3, 0.5, 0.7)))
        # Ten hosts of a site have the same storage.
        cluster = f"nas-{host // 80}-{host % 8}.made-up.invalid:/export/vm"
        rows.append(
            {
                "id": number,
                "host_id": host,
                "uuid": _uuid(chance),
                "name": name,
                "kind": kind,
                "active": number % 97 != 0,
                "path": path,
                "capacity": capacity,
                "allocation": capacity - available,
                "available": available,
                "source": cluster if kind == "netfs" else "",
                "seen_at": now,
                "gone_at": now if number % 150 == 0 else None,
            }
        )
    return rows


# --- Domains and disks -------------------------------------------------------------


def _domain(number: int, made: Made, chance: Random, now: datetime) -> dict[str, Any]:
    host = (number - 1) % len(made.hosts) + 1
    use = _USES[number % len(_USES)]
    name = f"{_ODD[number // 40 % len(_ODD)]}{use}" if number % 40 == 0 else use
    state = chance.choices(("running", "paused", "shutoff", "crashed"), (83, 3, 13, 1))
    on = state[0] in ("running", "paused")
    return {
        "id": number,
        "host_id": host,
        "uuid": _uuid(chance),
        "name": f"{name}-{number}",
        "libvirt_id": number // len(made.hosts) + 1 if on else None,
        "state": state[0],
        "persistent": number % 50 != 0,
        "seen_at": now,
        "gone_at": now - timedelta(days=3) if number % 60 == 0 else None,
    }


def _disk(number: int, made: Made, chance: Random) -> dict[str, Any]:
    count = len(made.domains)
    domain, target = (number - 1) % count + 1, f"vd{chr(97 + (number - 1) // count)}"
    file_format = "raw" if number % 4 == 0 else "qcow2"
    path = f"/srv/images/{made.domains[domain - 1]['uuid'][:8]}-{target}.{file_format}"
    capacity = chance.choice((10, 20, 50, 100, 500)) * GIB
    allocation = int(capacity * chance.uniform(0.05, 0.9))
    return {
        "id": number,
        "domain_id": domain,
        "target": target,
        "bus": "virtio",
        "device": "disk",
        "format": file_format,
        "source": path,
        "source_kind": "file",
        "persistent_source": path,
        "capacity": capacity,
        "allocation": allocation,
        "physical": allocation,
    }


def _links(disks: list[dict[str, Any]]) -> Iterator[Row]:
    """A third of the qcow2 disks lie over one to four backing files."""
    number = 0
    for disk in disks:
        deep = disk["id"] % 3 == 0 and disk["format"] == "qcow2"
        for depth in range(1 + (deep and 1 + disk["id"] % 4)):
            number += 1
            below = f"/srv/images/base/{disk['id'] % 500}-{depth}.qcow2"
            yield {
                "id": number,
                "disk_id": disk["id"],
                "depth": depth,
                "location": below if depth else disk["source"],
                "kind": "file",
                "format": disk["format"],
            }
