"""Whether a copy could make a file in a directory, as far as that can be known.

libvirt tells owner and mode of a directory, and as whom a system daemon runs QEMU. It
does not tell groups, the rights on the way to the directory, file systems that are
read-only, or what SELinux and AppArmor say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import libvirt

from jobs.hypervisor import domain_xml
from jobs.hypervisor.errors import HostUnreachable, HypervisorError
from jobs.hypervisor.looking import Folder, Look
from jobs.hypervisor.records import DiskFacts

WRITE, ENTER = 2, 1


@dataclass(frozen=True)
class QemuUser:
    """As whom QEMU runs: `uid`; `made_by_root` where a system daemon makes the file
    and gives it to QEMU, which then only has to get there."""

    uid: int
    made_by_root: bool


def writable(folder: Folder, user: QemuUser | None) -> bool | None:
    """Whether this user's copies can be made there; None when in doubt."""
    if folder.mode is None or folder.owner is None:
        return None
    if user is not None and user.uid == 0:
        return True
    wanted = ENTER if user is not None and user.made_by_root else ENTER | WRITE
    if user is not None and user.uid == folder.owner:
        return _allows(folder.mode >> 6, wanted)
    if _allows(folder.mode, wanted):
        return True
    in_doubt = user is None or _allows(folder.mode >> 3, wanted)
    return None if in_doubt else False


def qemu_user(look: Look, disk: DiskFacts | None) -> QemuUser | None:
    """As whom the host runs QEMU, None where that can't be known.

    A system daemon says so in its capabilities. A session daemon runs it as itself:
    as the owner of the file that the running `disk` is writing, if only its owner may.
    """
    try:
        model = look.ask(_dac_label, "capabilities")
    except HostUnreachable:
        raise
    except HypervisorError:
        return None
    if model:
        return QemuUser(int(model), made_by_root=True)
    if disk is None or disk.read_only or not disk.source:
        return None
    owner, mode = look.owner_and_mode(disk.source)
    if owner is None or mode is None or mode & 0o022:
        return None
    return QemuUser(owner, made_by_root=False)


def _dac_label(connection: libvirt.virConnect) -> str:
    """The user id in the base label of a system daemon's DAC, "" for a session's."""
    capabilities = domain_xml.parse(connection.getCapabilities())
    for model in capabilities.iterfind("./host/secmodel"):
        if model.findtext("model") == "dac":
            label = model.findtext("baselabel", "")
            if found := re.match(r"\+?(\d+):", label):
                return found[1]
    return ""


def _allows(bits: int, wanted: int) -> bool:
    return bits & wanted == wanted
