"""What a private host's daemon was asked to do to block jobs, as it noted it itself."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from lab.host import PrivateHost

Verb = Literal["start", "pivot", "end", "speed"]
_LOG = "log/calls.log"
_CALL = re.compile(
    r"^(\S+ \S+): \d+: debug : "
    r"virDomain(BlockCopy|BlockJobAbort|BlockJobSetSpeed):\d+ : "
    r".*uuid=([0-9a-f-]{36})\), disk=([^,]+), (?:.*flags=0x([0-9a-f]+))?"
)
_QUESTION = re.compile(r"virDomainGetBlockJobInfo:\d+ : .*VM: name=([^,]+),")
_PIVOT = 0x2  # VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT


@dataclass(frozen=True)
class Call:
    """One call that reached the daemon, whoever made it and whatever came of it."""

    at: datetime
    verb: Verb
    domain_uuid: str
    disk: str


def recording(directory: Path) -> str:
    """The `configuration` with which the PrivateHost in `directory` notes its calls."""
    log = directory.absolute() / _LOG
    return f'log_filters="1:libvirt.domain"\nlog_outputs="1:file:{log}"\n'


def calls_of(host: PrivateHost) -> list[Call] | None:
    """The calls since the host was made, also those to earlier daemons of it.

    None for a host that was not told to note them (`recording`).
    """
    log = host.directory / _LOG
    if not log.exists():
        return None
    lines = log.read_text(errors="replace").splitlines()
    return [_call(found) for line in lines if (found := _CALL.match(line))]


def questions_to(host: PrivateHost) -> Counter[str]:
    """How often the host was asked for the progress of each guest's copies, by name."""
    return Counter(
        _QUESTION.findall((host.directory / _LOG).read_text(errors="replace"))
    )


def _call(found: re.Match[str]) -> Call:
    time, function, uuid, disk, flags = found.groups()
    return Call(datetime.fromisoformat(time), _verb(function, flags), uuid, disk)


def _verb(function: str, flags: str | None) -> Verb:
    if function == "BlockCopy":
        return "start"
    if function == "BlockJobSetSpeed":
        return "speed"
    return "pivot" if int(flags or "0", 16) & _PIVOT else "end"
