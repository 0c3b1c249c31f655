"""Which versions of libvirt and QEMU a copy and its options take."""

from __future__ import annotations

from dataclasses import dataclass, fields

from jobs.hypervisor.errors import InvalidOption
from jobs.hypervisor.records import CopyOptions, HostFacts
from jobs.said import say

# Block copies over blockdev, in which nothing of the destination is probed.
OLDEST_LIBVIRT = 6_000_000


@dataclass(frozen=True)
class Needed:
    """The versions from which on an option exists; 0 is any."""

    libvirt: int
    qemu: int = 0


NEEDED = {
    "synchronous_writes": Needed(libvirt=8_000_000),
    "target_zeroed": Needed(libvirt=12_002_000, qemu=10_001_000),
}


def version_text(number: int) -> str:
    """libvirt's integer as people write versions: 12002000 is "12.2.0"."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def option_support(host: HostFacts) -> dict[str, str]:
    """For each field of CopyOptions why this host lacks it, "" where it has it.

    The reason is one sentence that names the version from which on the option exists,
    and the host's own.
    """
    whole = host_support(host)
    return {
        option.name: whole or _lacks(NEEDED.get(option.name, Needed(0)), host)
        for option in fields(CopyOptions)
    }


def host_support(host: HostFacts) -> str:
    """Why this host can do no copies at all; "" if it can."""
    return _lacks(Needed(OLDEST_LIBVIRT), host)


def require_support(options: CopyOptions, host: HostFacts) -> None:
    """Raise InvalidOption for an option that is wanted and that the host lacks, or for
    a host that is too old for any."""
    if too_old := host_support(host):
        raise InvalidOption.of("", too_old, say("Update the host."))
    for option, reason in option_support(host).items():
        if reason and getattr(options, option):
            raise InvalidOption.of(
                option, reason, say("Leave it off, or update the host.")
            )


def _lacks(needed: Needed, host: HostFacts) -> str:
    missing = [
        (f"{program} {version_text(version)}", f"{program} {version_text(has)}")
        for program, version, has in (
            ("libvirt", needed.libvirt, host.libvirt_version),
            ("QEMU", needed.qemu, host.hypervisor_version),
        )
        if has < version
    ]
    if not missing:
        return ""
    wanted, present = map(_both, zip(*missing, strict=True))
    return say(
        "This needs %(wanted)s; the host has %(present)s.",
        wanted=wanted,
        present=present,
    )


def _both(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return names[0]
    return say("%(first)s and %(second)s", first=names[0], second=names[1])
