"""What `job start` and `job check` are asked: the options, and the request of them."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import Any, cast

from django.core.management import CommandParser

from jobs.actions import Invalid
from jobs.commandline import find, values
from jobs.commandline.answer import Failure, Status
from jobs.hypervisor import (
    CopyOptions,
    Destination,
    DestinationError,
    Server,
    from_xml,
)
from jobs.lifecycle import WhenReady
from jobs.models import Disk
from jobs.models.job import AtLimit
from jobs.preflight import CopyRequest, Finding, Level

XML_READ = 256 * 1024  # characters; more is refused by the parser of the XML anyway
FORMATS = ("raw", "qcow2")
SAME = "same"  # as the source
FOUND = "found"  # as what lies at the destination


@dataclass(frozen=True)
class Kind:
    """A kind of destination: the options that say where, needed and possible."""

    needs: tuple[str, ...]
    takes: tuple[str, ...] = ()

    def knows(self, option: str) -> bool:
        return option in self.needs + self.takes


KINDS = {
    "file": Kind(("to",)),
    "block": Kind(("to",)),
    "volume": Kind(("pool", "volume")),
    "nbd": Kind((), ("server", "socket", "name", "tls")),
    "rbd": Kind(("name", "server"), ("user", "secret")),
    "iscsi": Kind(("name", "server"), ("user", "secret")),
    "gluster": Kind(("name",), ("server", "socket")),
}
_LOCAL = ("file", "block", "volume")
_PLACE = ("to", "pool", "volume", "server", "socket", "name", "tls", "user", "secret")
# What XML says itself.
_IN_XML = (*_PLACE, "kind", "format", "luks_secret", "slice")


# --- The options ---------------------------------------------------------------------


def add_copy_options(leaf: CommandParser) -> None:
    """Add what a copy is described by: disk, destination, options, endings."""
    add_disk(leaf)
    _add_destination(leaf.add_argument_group("destination"))
    _add_flags(leaf.add_argument_group("copying"))
    _add_ending(leaf.add_argument_group("when it is ready, and when it is not"))
    leaf.add_argument(
        "--accept",
        action="append",
        default=[],
        metavar="RULE",
        help="start in spite of this rule's warning; needs --reason; repeatable",
    )


def add_disk(leaf: CommandParser) -> None:
    """Add the words that name a disk."""
    leaf.add_argument("host")
    leaf.add_argument("domain", help="name or UUID")
    leaf.add_argument("disk", help="target (vda) or source path")


def _add_destination(group: Any) -> None:
    group.add_argument("--kind", choices=KINDS, help="default: file")
    group.add_argument("--to", metavar="PATH", help="file, block: the path on the host")
    group.add_argument("--pool", help="volume: the storage pool on the host")
    group.add_argument("--volume", metavar="NAME", help="volume: is created there")
    group.add_argument(
        "--server",
        action="append",
        type=values.server,
        metavar="HOST[:PORT]",
        help="nbd, rbd, iscsi, gluster; repeatable for rbd and gluster",
    )
    group.add_argument(
        "--socket", metavar="PATH", help="nbd, gluster: a Unix socket on the host"
    )
    group.add_argument(
        *("--name", "--export"),
        metavar="NAME",
        help="nbd: the export; rbd: POOL/IMAGE; iscsi: IQN/LUN; gluster: VOLUME/PATH",
    )
    group.add_argument("--tls", action="store_true", help="nbd: encrypt the way there")
    group.add_argument("--user", help="rbd, iscsi: sign in as; needs --secret")
    _add_secrets(group)
    group.add_argument(
        "--slice",
        type=values.part,
        metavar="OFFSET:SIZE",
        help="use this part of something larger, such as 0:10GiB",
    )
    group.add_argument(
        "--format",
        choices=(SAME, *FORMATS, FOUND),
        help="same: the source's (the default); found: what a reused file is",
    )
    group.add_argument(
        "--xml",
        metavar="FILE",
        help="the destination as a <disk> instead of all these; - is standard input",
    )


def _add_secrets(group: Any) -> None:
    for option, what in (
        ("secret", "rbd, iscsi: the libvirt secret to sign in with"),
        ("luks-secret", "LUKS, with the passphrase in this libvirt secret"),
    ):
        group.add_argument(
            f"--{option}", type=values.secret, metavar="uuid:U|usage:N", help=what
        )


def _add_flags(group: Any) -> None:
    for flag, what in (
        ("shallow", "copy only the top of the backing chain"),
        ("reuse-external", "use what is there already"),
        ("synchronous-writes", "let the guest wait for the destination"),
        ("target-zeroed", "the destination reads as zeroes: do not zero it first"),
    ):
        group.add_argument(f"--{flag}", action="store_true", help=what)
    for option, what in (
        ("bandwidth", "such as 100MiB (a second); 0 is no limit"),
        ("granularity", "a power of two, 512 to 64MiB; 0 is libvirt's default"),
        ("buf-size", "such as 1MiB; 0 is libvirt's default"),
    ):
        group.add_argument(
            f"--{option}", type=values.size, default=0, metavar="B", help=what
        )


def _add_ending(group: Any) -> None:
    group.add_argument(
        "--when-ready",
        choices=WhenReady.values,
        default=WhenReady.WAIT.value,
        help="default: wait",
    )
    group.add_argument(
        "--consistent",
        action="store_true",
        help="finish with the guest's file systems frozen by its agent",
    )
    for option, what in (
        ("stall-limit", "no progress for so long, such as 10m; 0 is no limit"),
        ("total-limit", "not ready after so long, such as 2h; 0 is no limit"),
    ):
        group.add_argument(
            f"--{option}", type=values.limit, default=0, metavar="TIME", help=what
        )
    group.add_argument(
        "--at-limit",
        choices=AtLimit.values,
        default=AtLimit.FLAG.value,
        help="default: flag, which only tells people",
    )


# --- The request ---------------------------------------------------------------------


def request_of(given: argparse.Namespace) -> CopyRequest:
    """Return the request that the options describe.

    Failure for options that don't go together; the rest is for preflight to judge.
    """
    if given.accept and not given.reason.strip():
        raise _usage("--accept needs --reason: it goes into the audit log.")
    _check_place(given)
    disk = find.disk(find.domain(find.host(given.host), given.domain), given.disk)
    return CopyRequest(
        disk=disk,
        destination=_from_xml(given.xml) if given.xml else _destination(given, disk),
        options=CopyOptions(
            shallow=given.shallow,
            reuse_external=given.reuse_external,
            synchronous_writes=given.synchronous_writes,
            target_zeroed=given.target_zeroed,
            bandwidth=given.bandwidth,
            granularity=given.granularity,
            buf_size=given.buf_size,
        ),
        when_ready=WhenReady(given.when_ready),
        consistent=given.consistent,
        stall_limit=given.stall_limit,
        total_limit=given.total_limit,
        at_limit=AtLimit(given.at_limit),
        accepted=frozenset(given.accept),
        reason=given.reason,
    )


def _check_place(given: argparse.Namespace) -> None:
    """Every option that says where must be one of the kind's, and none may miss."""
    if given.xml:
        for option in _given(given, _IN_XML):
            raise _usage(f"{_written(option)} is said in the XML; leave it off.")
        return
    kind = KINDS[given.kind or "file"]
    for option in _given(given, _PLACE):
        if not kind.knows(option):
            raise _usage(f"{_written(option)} is for --kind {_kinds_with(option)}.")
    for option in kind.needs:
        if not getattr(given, option):
            raise _usage(f"--kind {given.kind or 'file'} needs {_written(option)}.")
    if given.socket and given.server:
        raise _usage("Give --server or --socket, not both.")


def _given(given: argparse.Namespace, options: tuple[str, ...]) -> list[str]:
    """Return those of `options` that the command line has, an empty one too."""
    return [name for name in options if getattr(given, name) not in (None, False)]


def _written(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def _kinds_with(option: str) -> str:
    return " or ".join(name for name, kind in KINDS.items() if kind.knows(option))


def _usage(message: str) -> Failure:
    return Failure(message, status=Status.USAGE)


def _destination(given: argparse.Namespace, disk: Disk) -> Destination:
    kind = given.kind or "file"
    offset, length = given.slice or (0, 0)
    sockets = [Server(socket=given.socket)] if given.socket else []
    return Destination(
        kind=cast(Any, kind if kind in _LOCAL else "network"),
        protocol=None if kind in _LOCAL else cast(Any, kind),
        path=given.to or "",
        format=cast(Any, _format(given.format or SAME, disk)),
        pool=given.pool or "",
        volume=given.volume or "",
        name=given.name or "",
        servers=tuple(given.server or sockets),
        tls=given.tls,
        user=given.user or "",
        auth=given.secret,
        encryption=given.luks_secret,
        slice_offset=offset,
        slice_size=length,
    )


def _format(asked: str, disk: Disk) -> str:
    """Return the format to declare; it is looked up, never left to QEMU.

    FOUND is not known yet: whatever is a format will do to look there.
    """
    if asked == FOUND:
        return "raw"
    if asked != SAME:
        return asked
    if disk.format not in FORMATS:
        raise Failure(
            f"{disk.target} is {disk.format or 'of an unknown format'}, which can't be "
            "the format of a copy. Choose --format raw or --format qcow2."
        )
    return disk.format


def _from_xml(path: str) -> Destination:
    try:
        return from_xml(_read(path))
    except DestinationError as error:
        wrong = Finding("destination_makes_sense", Level.STOP, error.cause, field="xml")
        raise Invalid([wrong]) from error


def _read(path: str) -> str:
    try:
        if path == "-":
            return sys.stdin.read(XML_READ)
        with open(path, encoding="utf-8") as file:
            return file.read(XML_READ)
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{path} can't be read: {error}.") from error
