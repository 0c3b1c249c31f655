"""QEMU's own words for a copy that failed, which libvirt keeps to itself.

libvirt's event says "failed" and nothing more. The QMP events behind it carry the
reason and come 5 to 15 ms earlier: BLOCK_JOB_ERROR says whether reading or writing
failed, BLOCK_JOB_COMPLETED why. What the words mean is one table, `KNOWN`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import libvirt
import libvirt_qemu
import structlog

from jobs.said import say

log = structlog.get_logger(__name__)

MONITOR_EVENTS = ("BLOCK_JOB_ERROR", "BLOCK_JOB_COMPLETED")
# Milliseconds would do; a loaded machine gets more.
REMEMBERED_SECONDS = 10.0
WHILE_READING = " (while reading the source)"
# libvirt names its job copy-DISK-NODE: copy-vda-libvirt-1-format.
_JOB = re.compile(r"copy-(?P<disk>.+)-libvirt-\d+-\w+\Z")


# --- Hearing ------------------------------------------------------------------------


@dataclass
class Words:
    """What QEMU said of the copies of one host, until libvirt tells of their end.

    Used in the event loop's thread only.
    """

    _said: dict[tuple[str, str], _Said] = field(default_factory=dict)

    def hear(self, domain_uuid: str, event: str, details: str) -> None:
        """Remember an event of QEMU's monitor, if it tells of a copy's failure."""
        told = _told(details)
        job = _JOB.match(str(told.get("device", "")))
        if job is None:
            return
        self._forget_the_old()
        key = (domain_uuid, job["disk"])
        if event == "BLOCK_JOB_ERROR":
            self._said[key] = _Said(operation=str(told.get("operation", "")))
        elif told.get("error"):
            before = self._said.get(key, _Said())
            self._said[key] = _Said(str(told["error"]), before.operation)

    def take(self, domain_uuid: str, disk: str) -> str:
        """Return why the copy of that disk failed, and forget it; "" if not known."""
        self._forget_the_old()
        said = self._said.pop((domain_uuid, disk), None)
        return said.text if said else ""

    def _forget_the_old(self) -> None:
        oldest = time.monotonic() - REMEMBERED_SECONDS
        self._said = {key: said for key, said in self._said.items() if said.at > oldest}


@dataclass(frozen=True)
class _Said:
    error: str = ""
    operation: str = ""
    at: float = field(default_factory=time.monotonic)

    @property
    def text(self) -> str:
        """QEMU's words; "write" is what a destination's failure is anyway."""
        reading = WHILE_READING if self.operation == "read" else ""
        return f"{self.error}{reading}" if self.error else ""


def _told(details: str) -> dict[str, object]:
    try:
        told = json.loads(details)
    except (TypeError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


_without: set[str] = set()


def register(
    connection: libvirt.virConnect, address_uri: str, hear: Callable[..., None]
) -> list[int]:
    """Let `hear` have QEMU's events; return the callbacks' numbers.

    None where the host is no QEMU or does not allow it: the console then goes on
    without reasons, which is said once for each address.
    """
    numbers: list[int] = []
    try:
        if connection.getType() != "QEMU":
            return []
        for event in MONITOR_EVENTS:
            numbers.append(
                libvirt_qemu.qemuMonitorEventRegister(
                    connection, None, event, hear, None
                )
            )
    except libvirt.libvirtError as error:
        if address_uri not in _without:
            _without.add(address_uri)
            log.warning("QEMU's own events are not heard", error=str(error))
    return numbers


def unregister(connection: libvirt.virConnect, number: int) -> None:
    """Stop what `register` began; libvirtError on a broken connection."""
    libvirt_qemu.qemuMonitorEventDeregister(connection, number)


# --- Understanding ------------------------------------------------------------------


@dataclass(frozen=True)
class Reason:
    """What a text of QEMU's means. `cause` is a sentence without its full stop.

    `said` are examples of what QEMU says. `network`: only of destinations that a
    server serves.
    """

    pattern: str
    said: tuple[str, ...]
    cause: str
    remedy: str
    retryable: bool = False
    network: bool = False


_ANOTHER_PLACE = say("start a new copy to a new destination")

KNOWN: tuple[Reason, ...] = (
    Reason(
        r"while reading the source",
        ("Input/output error (while reading the source)",),
        say("The disk's source could not be read"),
        say("Look at the storage of the source first: the guest reads from it too."),
    ),
    Reason(
        r"no space left",
        ("No space left on device",),
        say("The destination's storage is full"),
        say(
            "Free space there and remove the partial copy, or choose "
            "another destination, then start a new copy."
        ),
    ),
    Reason(
        r"disk quota exceeded",
        ("Disk quota exceeded",),
        say("The destination's quota is used up"),
        say("Raise the quota or choose another destination, then start a new copy."),
    ),
    Reason(
        r"file too large",
        ("File too large",),
        say(
            "The destination's file system, or a limit of the host, allows "
            "no file as large as the disk"
        ),
        say("Choose a destination on another file system, then start a new copy."),
    ),
    Reason(
        r"different sizes",
        ("Source and target image have different sizes",),
        say("The destination has another virtual size than the disk"),
        say(
            "Make the destination exactly as large as the disk, to the byte "
            "(use a slice on a larger device), or let the console create "
            "it. Where the size is right, the format that was declared is "
            "wrong."
        ),
    ),
    Reason(
        r"permission denied|operation not permitted",
        ("Permission denied", "Operation not permitted"),
        say("The host was not allowed to write at the destination"),
        say(
            "Let the user that runs QEMU on the host write there; with "
            "SELinux or AppArmor the path must be allowed as well. Then "
            "%(another_place)s.",
            another_place=_ANOTHER_PLACE,
        ),
    ),
    Reason(
        r"read-only file system",
        ("Read-only file system",),
        say("The destination's file system has become read-only"),
        say(
            "Look at that file system on the host: an error may have caused "
            "it. Then %(another_place)s.",
            another_place=_ANOTHER_PLACE,
        ),
    ),
    Reason(
        r"connection (reset|refused|timed out)|broken pipe|not connected"
        r"|end[- ]of[- ]file|shutdown|connection abort|network is unreachable"
        r"|no route to host|timed out",
        ("Connection reset by peer", "Broken pipe", "Connection timed out"),
        say("The connection to the destination's server broke"),
        say(
            "See that the server runs and that the host reaches it, then "
            "copy again; a copy does not survive the loss of its server."
        ),
        retryable=True,
    ),
    Reason(
        r"stale file handle",
        ("Stale file handle",),
        say("The destination's network file system has lost the file"),
        say(
            "Mount it again on the host, then %(another_place)s.",
            another_place=_ANOTHER_PLACE,
        ),
    ),
    Reason(
        r"cannot allocate memory",
        ("Cannot allocate memory",),
        say("QEMU could not get the memory that the copy needs"),
        say(
            "Choose a smaller buffer (buf-size), or leave it to libvirt, "
            "and copy again."
        ),
    ),
    Reason(
        r"no such (file|device)",
        ("No such file or directory", "No such device or address"),
        say("The destination disappeared while the copy ran"),
        say("Find out who removed or detached it, then copy again."),
    ),
    Reason(
        r"image is (corrupt|not in)|invalid argument",
        ("Image is corrupt; cannot be opened read/write", "Invalid argument"),
        say("The destination is not what it was declared to be, or is damaged"),
        say("Declare the format that it really has, or let the console create it."),
    ),
    Reason(
        r"operation not supported|not supported",
        ("Operation not supported",),
        say("The destination's storage can't do what the copy needs"),
        say(
            "Choose another kind of storage or another format, then %(another_place)s.",
            another_place=_ANOTHER_PLACE,
        ),
    ),
    # QEMU's NBD client says the same of a server that is gone and of one whose storage
    # fails.
    Reason(
        r"input/output error",
        ("Input/output error",),
        say(
            "The destination's server ended, could not be reached any more, "
            "or its storage failed"
        ),
        say(
            "See that the server runs, that the host reaches it and that "
            "its storage is well, then copy again; a copy does not survive "
            "the loss of its server."
        ),
        retryable=True,
        network=True,
    ),
    Reason(
        r"input/output error",
        ("Input/output error",),
        say("The destination's storage failed"),
        say(
            "Check that storage, its server and the host's kernel log, then "
            "%(another_place)s.",
            another_place=_ANOTHER_PLACE,
        ),
    ),
)
UNKNOWN = Reason(
    "",
    (),
    say("The copy failed on the host"),
    say(
        "Check the destination's storage, then %(another_place)s.",
        another_place=_ANOTHER_PLACE,
    ),
)


def meaning(text: str, *, network: bool = False) -> Reason:
    """Return what QEMU's words mean; UNKNOWN for words that the table lacks.

    `network` says that the destination is served over a network.
    """
    for known in KNOWN:
        if network >= known.network and re.search(known.pattern, text, re.IGNORECASE):
            return known
    return UNKNOWN
