"""What is true of each disk: read from the daemons' own files, without asking them.

libvirt writes down each change of a running domain, its mirrors included. The files
are there while a daemon is frozen or a QEMU hangs, and to read them disturbs nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from bench.chaos.plan import Place
from bench.chaos.scene import Scene


@dataclass(frozen=True)
class Seen:
    """The truth about one disk. Without a run of the domain `domain_id` is None.

    `unsure`: the file is just being written, or shows a job that is concluding.
    """

    domain_id: int | None = None
    live: str = ""
    persistent: str = ""
    mirror: str = ""
    ready: bool = False
    unsure: bool = False


def look(scene: Scene) -> dict[Place, Seen]:
    """What is true of every disk of the cast now."""
    found = {}
    for plan in scene.cast:
        host = scene.hosts[plan.host]
        status = host.socket.parent / "qemu" / "run" / f"{plan.name}.xml"
        config = host.directory / "config/libvirt/qemu" / f"{plan.name}.xml"
        live, lasting = _read(status), _read(config)
        for number in range(len(plan.disks)):
            place = Place(plan.name, f"vd{'abcd'[number]}")
            found[place] = _seen(live, lasting, place.target)
    return found


def _read(path: Path) -> ElementTree.Element | None:
    """None if there is no such file; an empty element if it can't be read just now."""
    try:
        return ElementTree.fromstring(path.read_text())
    except FileNotFoundError:
        return None
    except ElementTree.ParseError:
        return ElementTree.Element("unsure")


def _seen(
    status: ElementTree.Element | None,
    config: ElementTree.Element | None,
    target: str,
) -> Seen:
    if config is None or "unsure" in (config.tag, getattr(status, "tag", "")):
        return Seen(unsure=True)
    lasting = _source(_disk(config, target))
    if status is None:
        return Seen(persistent=lasting)
    domain = status.find("domain")
    disk = _disk(status, target)
    if domain is None or disk is None:
        return Seen(unsure=True)
    mirror = disk.find("mirror")
    ready = mirror.get("ready", "") if mirror is not None else ""
    concluding = mirror is not None and (not mirror.get("job") or ready == "abort")
    return Seen(
        int(domain.get("id", "0")),
        _source(disk),
        lasting,
        _source(mirror),
        ready == "yes",
        unsure=concluding or ready == "pivot",
    )


def _disk(element: ElementTree.Element, target: str) -> ElementTree.Element | None:
    return element.find(f".//devices/disk/target[@dev='{target}']/..")


def _source(element: ElementTree.Element | None) -> str:
    source = element.find("source") if element is not None else None
    if source is None:
        return ""
    host = source.find("host")
    if host is not None:
        place = f"{host.get('name')}:{host.get('port')}"
        return f"{source.get('protocol')}://{place}/{source.get('name')}"
    return source.get("file") or source.get("dev") or ""
