"""Every call that reached a libvirt daemon, by anyone, out of the daemon's own log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

_LINE = re.compile(
    r"^(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3})\+0000: \d+: debug : "
    r"(?P<function>virDomain\w+):\d+ : dom=\S+ \(VM: name=(?P<name>[^,]+), "
    r"uuid=(?P<uuid>[^)]+)\)(?:, (?P<rest>.*))?$"
)
_STARTS = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.")
_PIVOT = 2

# Functions that change something, and what they are called here.
_VERBS = {
    "virDomainBlockCopy": "copy",
    "virDomainBlockRebase": "rebase",
    "virDomainBlockJobAbort": "end",
    "virDomainBlockJobSetSpeed": "speed",
    "virDomainBlockPull": "pull",
    "virDomainBlockCommit": "commit",
    "virDomainBlockResize": "resize",
    "virDomainDestroy": "destroy",
    "virDomainDestroyFlags": "destroy",
    "virDomainShutdown": "shutdown",
    "virDomainShutdownFlags": "shutdown",
    "virDomainReboot": "reboot",
    "virDomainReset": "reset",
    "virDomainSuspend": "suspend",
    "virDomainResume": "resume",
    "virDomainCreate": "start",
    "virDomainCreateWithFlags": "start",
    "virDomainUndefine": "undefine",
    "virDomainUndefineFlags": "undefine",
    "virDomainFSFreeze": "freeze",
    "virDomainSnapshotCreateXML": "snapshot",
}


@dataclass(frozen=True)
class Call:
    """One call; `at` is an epoch second, `destination` that of a copy."""

    at: float
    verb: str
    domain: str
    uuid: str
    disk: str = ""
    destination: str = ""


def read_calls(log: Path) -> list[Call]:
    """The changing calls of a daemon's log, in their order."""
    return list(_calls(log)) if log.exists() else []


def _calls(log: Path) -> Iterator[Call]:
    for text in _entries(log):
        head, _, below = text.partition("\n")
        found = _LINE.match(head)
        if found is None or found["function"] not in _VERBS:
            continue
        rest = found["rest"] or ""
        verb = _VERBS[found["function"]]
        if verb == "end" and _flags(rest) & _PIVOT:
            verb = "pivot"
        at = datetime.strptime(found["time"], "%Y-%m-%d %H:%M:%S.%f")  # noqa: DTZ007
        yield Call(
            at.replace(tzinfo=UTC).timestamp(),
            verb,
            found["name"],
            found["uuid"],
            _word(rest, "disk"),
            _destination(f"{rest}\n{below}") if verb == "copy" else "",
        )


def _entries(log: Path) -> Iterator[str]:
    """Texts with the lines that belong to them."""
    entry: list[str] = []
    with log.open(errors="replace") as lines:
        for line in lines:
            if _STARTS.match(line) and entry:
                yield "".join(entry)
                entry = []
            entry.append(line)
    yield "".join(entry)


def _word(rest: str, name: str) -> str:
    found = re.search(rf"\b{name}=([^,\s]+)", rest)
    return found[1] if found else ""


def _flags(rest: str) -> int:
    return int(_word(rest, "flags") or "0", 16)


def _destination(text: str) -> str:
    """The place that a copy's XML names, as one text."""
    begin, end = text.find("<disk"), text.rfind("</disk>")
    source = ElementTree.fromstring(text[begin : end + 7]).find("source")
    if source is None:
        return ""
    host = source.find("host")
    if host is not None:
        place = f"{host.get('name')}:{host.get('port')}"
        return f"{source.get('protocol')}://{place}/{source.get('name')}"
    return source.get("file") or source.get("dev") or ""
