"""Transient storage pools: put over a directory for one look, and taken away again.

Those of a worker that was killed stay; the next look at the host recognises them by
their name, which says when they were made, and takes them away.
"""

from __future__ import annotations

import random
import re
import time
from contextlib import suppress
from xml.etree import ElementTree

import libvirt

from jobs.hypervisor.errors import HypervisorError
from jobs.hypervisor.link import Link

PREFIX = "blockcopy-look-"
# A look is over long before.
STALE_SECONDS = 300
DESTROY_SECONDS = 5.0

_NAME = re.compile(rf"{PREFIX}(\d{{1,12}})-[0-9a-f]{{8}}")
_OUR_DOTS = re.compile(r"(/\.)+(?=')")


def new_name() -> str:
    """A name that nobody else has, with the time in it."""
    return f"{PREFIX}{int(time.time())}-{random.getrandbits(32):08x}"


def is_own(name: str) -> bool:
    """Whether a pool is one of a look, of this worker or any other."""
    return _NAME.fullmatch(name) is not None


def is_stale(name: str) -> bool:
    """Whether it is one of a look that must be over."""
    found = _NAME.fullmatch(name)
    return found is not None and int(found[1]) < time.time() - STALE_SECONDS


def create(name: str, path: str, connection: libvirt.virConnect) -> None:
    """Put a pool over a directory; it reads what is there, and writes nothing.

    libvirt allows one pool for one directory and compares the text of its path, so
    each look says the path in another way: some other pool may be defined there, and
    other workers may look at the same moment.
    """
    another = "/." * random.randint(1, 60)  # noqa: S311  it is no secret
    pool = ElementTree.Element("pool", type="dir")
    ElementTree.SubElement(pool, "name").text = name
    target = ElementTree.SubElement(pool, "target")
    ElementTree.SubElement(target, "path").text = path.rstrip("/") + another
    connection.storagePoolCreateXML(ElementTree.tostring(pool, encoding="unicode"))


def as_asked(words: str) -> str:
    """libvirt's words, with the path as it was asked for."""
    return _OUR_DOTS.sub("", words)


def destroy(link: Link, names: list[str]) -> None:
    """Take pools away. What fails is found and done by a later look."""

    def call(connection: libvirt.virConnect) -> None:
        for name in names:
            with suppress(libvirt.libvirtError):
                connection.storagePoolLookupByName(name).destroy()

    if names:
        with suppress(HypervisorError):
            link.ask(DESTROY_SECONDS, call, about="end of a look")
