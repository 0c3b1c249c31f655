"""Writing down what a host said it has. What vanished is marked, never deleted."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from jobs import live
from jobs.hypervisor import DiskFacts, DomainFacts, Inventory, Mirror, PoolFacts
from jobs.models import ChainLink, Disk, Domain, Host, StoragePool


def store(host: Host, inventory: Inventory) -> None:
    """Make the tables say what `inventory` says, in one transaction."""
    now = timezone.now()
    with transaction.atomic():
        _store_host(host, inventory, now)
        _store_pools(host, inventory.pools, now)
        _store_domains(host, inventory, now)
    live.wake_host(host)


def _store_host(host: Host, inventory: Inventory, now: datetime) -> None:
    facts = inventory.host
    Host.objects.filter(pk=host.pk).update(
        reported_name=facts.hostname,
        uuid=facts.uuid,
        hypervisor=facts.hypervisor,
        libvirt_version=facts.libvirt_version,
        hypervisor_version=facts.hypervisor_version,
        last_seen_at=now,
        synced_at=now,
        error="",
        error_remedy="",
        error_at=None,
    )


def _store_pools(host: Host, pools: tuple[PoolFacts, ...], now: datetime) -> None:
    StoragePool.objects.bulk_create(
        [
            StoragePool(
                host=host,
                uuid=pool.uuid,
                name=pool.name,
                kind=pool.kind,
                active=pool.active,
                path=pool.path,
                capacity=pool.capacity,
                allocation=pool.allocation,
                available=pool.available,
                source=pool.source,
                seen_at=now,
                gone_at=None,
            )
            for pool in pools
        ],
        update_conflicts=True,
        unique_fields=["host", "uuid"],
        update_fields=[
            *("name", "kind", "active", "path", "capacity", "allocation"),
            *("available", "source", "seen_at", "gone_at"),
        ],
    )
    host.pools.filter(gone_at=None, seen_at__lt=now).update(gone_at=now)


def _store_domains(host: Host, inventory: Inventory, now: datetime) -> None:
    Domain.objects.bulk_create(
        [_domain_row(host, facts, now) for facts in inventory.domains],
        update_conflicts=True,
        unique_fields=["host", "uuid"],
        update_fields=[
            *("name", "libvirt_id", "state", "persistent", "unaccounted"),
            *("seen_at", "gone_at"),
        ],
    )
    # A domain that did not answer in time is not gone; nothing new is known of it.
    gone = host.domains.filter(gone_at=None, seen_at__lt=now)
    gone.exclude(uuid__in=inventory.unread).update(gone_at=now, libvirt_id=None)
    uuids = [facts.uuid for facts in inventory.domains]
    rows = {row.uuid: row for row in host.domains.filter(uuid__in=uuids)}
    disks = [
        (rows[facts.uuid], disk) for facts in inventory.domains for disk in facts.disks
    ]
    _store_disks(host, disks, list(rows.values()), now)


def _domain_row(host: Host, facts: DomainFacts, now: datetime) -> Domain:
    return Domain(
        host=host,
        uuid=facts.uuid,
        name=facts.name,
        libvirt_id=facts.domain_id,
        state=facts.state,
        persistent=facts.persistent,
        unaccounted=facts.unaccounted,
        seen_at=now,
        gone_at=None,
    )


_DISK_FIELDS = [
    *("bus", "device", "format", "source", "source_kind", "persistent_source"),
    *("read_only", "shareable", "capacity", "allocation", "physical", "mirror"),
    *("mirror_job", "mirror_kind", "mirror_format", "chain_known", "gone_at"),
]


def _store_disks(
    host: Host,
    found: list[tuple[Domain, DiskFacts]],
    domains: list[Domain],
    now: datetime,
) -> None:
    Disk.objects.bulk_create(
        [_disk_row(domain, facts) for domain, facts in found],
        update_conflicts=True,
        unique_fields=["domain", "target"],
        update_fields=_DISK_FIELDS,
    )
    present = {(domain.pk, facts.target): facts for domain, facts in found}
    rows = {
        (disk.domain_id, disk.target): disk
        for disk in Disk.objects.filter(domain__in=domains)
    }
    vanished = [disk.pk for key, disk in rows.items() if key not in present]
    Disk.objects.filter(pk__in=vanished, gone_at=None).update(gone_at=now)
    off = {domain.pk for domain in domains if domain.libvirt_id is None}
    _store_chains(
        {rows[key].pk: facts for key, facts in present.items()},
        off={rows[key].pk for key in present if key[0] in off},
    )


def _disk_row(domain: Domain, facts: DiskFacts) -> Disk:
    return Disk(
        domain=domain,
        target=facts.target,
        bus=facts.bus,
        device=facts.device,
        format=facts.format,
        source=facts.source,
        source_kind=facts.source_kind,
        persistent_source=facts.persistent_source,
        read_only=facts.read_only,
        shareable=facts.shareable,
        capacity=facts.capacity,
        allocation=facts.allocation,
        physical=facts.physical,
        **mirror_fields(facts.mirror),
        chain_known=facts.chain_known,
        gone_at=None,
    )


def mirror_fields(mirror: Mirror | None) -> dict[str, str]:
    """What a row of a disk says of the block job that the host shows on it."""
    shown = mirror or Mirror("", "", "", "")
    return {
        "mirror": shown.destination,
        "mirror_job": shown.job,
        "mirror_kind": shown.kind,
        "mirror_format": shown.format,
    }


def _store_chains(facts_of: dict[int, DiskFacts], off: set[int]) -> None:
    """Replace the chains that changed; most never do.

    libvirt does not show the chain of a domain that is `off`: where no pool knows it
    either, what it was is kept as long as the disk has the same source, since the next
    boot needs it.
    """
    wanted = {
        (pk, depth): link
        for pk, facts in facts_of.items()
        for depth, link in enumerate(_links(facts))
    }
    stored = {
        (row.disk_id, row.depth): row
        for row in ChainLink.objects.filter(disk__in=facts_of)
    }
    same = {pk for pk in off if _same_top(stored.get((pk, 0)), facts_of[pk])}
    stale = [
        row.pk
        for key, row in stored.items()
        if wanted.get(key) != _as_tuple(row) and not (key[0] in same and key[1] > 0)
    ]
    ChainLink.objects.filter(pk__in=stale).delete()
    told = {
        (pk, depth): capacity
        for pk, facts in facts_of.items()
        for depth, capacity in enumerate(_capacities(facts))
    }
    kept = {key: row for key, row in stored.items() if row.pk not in stale}
    ChainLink.objects.bulk_create(
        ChainLink(
            disk_id=key[0],
            depth=key[1],
            location=link[0],
            kind=link[1],
            format=link[2],
            capacity=told[key],
        )
        for key, link in wanted.items()
        if key not in kept
    )
    _store_capacities(kept, told)


def _store_capacities(
    kept: dict[tuple[int, int], ChainLink], told: dict[tuple[int, int], int | None]
) -> None:
    """Note the sizes that changed; what nobody told this time stays known."""
    changed = []
    for key, row in kept.items():
        capacity = told.get(key)
        if capacity is not None and capacity != row.capacity:
            row.capacity = capacity
            changed.append(row)
    ChainLink.objects.bulk_update(changed, ["capacity"], batch_size=500)


def _capacities(facts: DiskFacts) -> list[int | None]:
    return [facts.capacity, *(link.capacity for link in facts.chain)]


def _same_top(stored: ChainLink | None, facts: DiskFacts) -> bool:
    return (
        stored is not None and stored.location == facts.source and not facts.chain_known
    )


def _links(facts: DiskFacts) -> list[tuple[str, str, str]]:
    if not facts.source:
        return []
    below = [(link.location, link.kind, link.format) for link in facts.chain]
    return [(facts.source, facts.source_kind, facts.format), *below]


def _as_tuple(row: ChainLink) -> tuple[str, str, str]:
    return (row.location, row.kind, row.format)
