"""Domains by UUID, as a connection has them.

To list the domains of a host anew for each look of each connection took a tenth of a
sweep. What stands for a domain in libvirt is found by its UUID in each call, so it may
be older than the domain's last restart; one that is gone says so when it is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from weakref import WeakKeyDictionary

import libvirt

_listed: WeakKeyDictionary[libvirt.virConnect, dict[str, libvirt.virDomain]] = (
    WeakKeyDictionary()
)


def by_uuid(
    connection: libvirt.virConnect, wanted: Collection[str]
) -> Mapping[str, libvirt.virDomain]:
    """Those of `wanted` that the host has, or had a while ago; others may be in it.

    Their names may be old, too.
    """
    listed = _listed.get(connection)
    if listed is None or not listed.keys() >= set(wanted):
        listed = {each.UUIDString(): each for each in connection.listAllDomains()}
        _listed[connection] = listed
    return listed


def forget(connection: libvirt.virConnect) -> None:
    """Before it is closed: each of the domains would keep it open."""
    _listed.pop(connection, None)
