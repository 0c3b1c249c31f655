"""A storage pool's volume, read: what an image is, and which images are one file."""

from __future__ import annotations

import json
import posixpath
from typing import Any
from xml.etree.ElementTree import Element

from jobs.hypervisor.evidence import ImageFacts


def image_facts(location: str, volume: Element) -> ImageFacts:
    """The volume's `<volume>` as facts about `location`, by which it was looked up.

    The format is what the header says, and a guest may have written that header.
    """
    kind = volume.get("type", "file")
    backing, backing_format = backing_of(
        volume.findtext("./backingStore/path", ""),
        _attribute(volume, "./backingStore/format", "type"),
    )
    return ImageFacts(
        location=location,
        exists=True,
        kind={"netdir": "dir"}.get(kind, kind),
        format=_attribute(volume, "./target/format", "type"),
        capacity=_bytes(volume, "capacity"),
        allocation=_bytes(volume, "allocation"),
        backing=backing,
        backing_format=backing_format,
        encrypted=volume.find("./target/encryption") is not None,
        fingerprint=_fingerprint(volume, kind),
    )


def device_names(device: Element) -> list[str]:
    """The paths of a node device, its own first, then its links."""
    names = [(node.get("type") != "dev", node.text) for node in device.iter("devnode")]
    return [text for _, text in sorted(names, key=lambda name: name[0]) if text]


def device_facts(location: str, name: str, device: Element) -> ImageFacts:
    """A node device with the path `name`, looked up as `location`; what is written on
    it is not known."""
    size = device.findtext("./capability/size", "")
    return ImageFacts(
        location,
        exists=True,
        kind="block",
        capacity=int(size) if size.isdigit() else None,
        fingerprint=f"device {name}",
    )


def backing_of(path: str, format_: str) -> tuple[str, str]:
    """Where a backing file is and its format, "" where that is not said.

    libvirt has made relative paths absolute already. QEMU also writes `json:{…}` and
    `file:…` for an ordinary file; of the former libvirt says always that it is raw.
    Whatever else QEMU writes is left as it is.
    """
    if path.startswith("json:"):
        return _json_file(path) or (path, format_)
    return without_dots(path.removeprefix("file://").removeprefix("file:")), format_


def without_dots(path: str) -> str:
    """An absolute path without “.” and “//”; “..” may go through a link: it stays."""
    if not path.startswith("/"):
        return path
    names = [name for name in path.split("/") if name not in ("", ".")]
    return "/" + "/".join(names)


def plain(path: str) -> str:
    """An absolute path without “..” too, as if no link were on the way."""
    return "/" + posixpath.normpath(path).lstrip("/")


def same_place(one: str, other: str) -> bool:
    """Whether two locations are written as the same place."""
    if one.startswith("/") and other.startswith("/"):
        return plain(one) == plain(other)
    return one == other


def _json_file(path: str) -> tuple[str, str] | None:
    """The file that QEMU's `json:` names, in either of the two ways of nesting, and
    its format; None for anything but a file."""
    try:
        described = json.loads(path.removeprefix("json:"))
    except (ValueError, RecursionError):
        return None
    format_ = ""
    while isinstance(described, dict):
        name = described.get("filename") or described.get("file.filename")
        if isinstance(name, str) and name.startswith("/"):
            return without_dots(name), format_ or _format(described)
        format_ = format_ or _format(described)
        described = described.get("file")
    return None


def _format(described: dict[str, Any]) -> str:
    """The format of one layer; "file" and the like are no formats."""
    driver = described.get("driver")
    return driver if driver in ("raw", "qcow2", "qed", "vmdk", "luks") else ""


def _fingerprint(volume: Element, kind: str) -> str:
    """The same for every name of one file, and as good as never for two files.

    Of a file the times of its last changes, to the nanosecond, and its sizes, since
    libvirt tells no inode; without the allocation, which some file systems correct
    later without touching the times. Of a device libvirt's own key.
    """
    if kind == "block":
        return f"device {volume.findtext('key', '')}"
    times = [volume.findtext(f"./target/timestamps/{name}", "") for name in _TIMES]
    if kind != "file" or not all(times[:2]):
        return ""
    sizes = [volume.findtext(name, "") for name in ("capacity", "physical")]
    return " ".join(["file", *times, *sizes])


_TIMES = ("mtime", "ctime", "btime")


def _attribute(volume: Element, path: str, name: str) -> str:
    found = volume.find(path)
    return found.get(name, "") if found is not None else ""


def _bytes(volume: Element, name: str) -> int | None:
    text = volume.findtext(name, "")
    return int(text) if text.isdigit() else None
