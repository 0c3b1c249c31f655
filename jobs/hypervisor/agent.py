"""The guest agent: freezing and thawing the guest's file systems.

A freeze that was asked for and not answered may still happen. So the agent is first
asked for something harmless: what is not there, or does not answer, is not asked to
freeze. A guest that somebody else has frozen refuses a second freeze, and stays as it
is.
"""

from __future__ import annotations

from collections.abc import Callable

import libvirt

from jobs.hypervisor.errors import (
    AgentUnavailable,
    HypervisorError,
    NoAnswer,
)
from jobs.hypervisor.link import Link
from jobs.said import say

Call = Callable[[libvirt.virConnect], int]

# libvirt waits 5 s for an agent to wake up. A freeze writes out what is not on disk.
FREEZE_SECONDS = 30.0
THAW_SECONDS = 15.0

_SILENT = (
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE,
    libvirt.VIR_ERR_AGENT_UNSYNCED,
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
)


def freeze(link: Link, domain_uuid: str) -> int:
    """See Hypervisor.freeze."""

    def call(connection: libvirt.virConnect) -> int:
        domain = connection.lookupByUUIDString(domain_uuid)
        _require_awake(domain)
        _require_agent(domain)
        return domain.fsFreeze()

    try:
        return _ask(link, domain_uuid, FREEZE_SECONDS, call)
    except HypervisorError as error:
        if error.code in _SILENT and not isinstance(error, AgentUnavailable):
            # It fell silent over the freeze itself, which may have taken effect.
            raise NoAnswer(error.text, code=error.code) from error
        raise


def thaw(link: Link, domain_uuid: str) -> int:
    """See Hypervisor.thaw."""

    def call(connection: libvirt.virConnect) -> int:
        domain = connection.lookupByUUIDString(domain_uuid)
        _require_awake(domain)
        return domain.fsThaw()

    try:
        return _ask(link, domain_uuid, THAW_SECONDS, call)
    except HypervisorError as error:
        if error.code in _SILENT:
            raise AgentUnavailable(error.text, code=error.code) from error
        raise


def _ask(link: Link, uuid: str, seconds: float, call: Call) -> int:
    # A stuck agent keeps nobody from asking QEMU.
    return link.ask(seconds, call, about=f"{uuid} agent")


def _require_awake(domain: libvirt.virDomain) -> None:
    """Raise AgentUnavailable for a paused guest, which libvirt calls not running.

    Its run is not over: what is frozen in it is still to be thawed.
    """
    if domain.isActive() and domain.state()[0] != libvirt.VIR_DOMAIN_RUNNING:
        raise AgentUnavailable(say("The guest is paused, and its agent with it."))


def _require_agent(domain: libvirt.virDomain) -> None:
    """Raise AgentUnavailable unless an agent answers."""
    try:
        domain.getTime()
    except libvirt.libvirtError as error:
        if error.get_error_code() in _SILENT:
            text = error.get_error_message() or ""
            raise AgentUnavailable(text, code=error.get_error_code()) from error
        # It answers, if only to say that it does not tell the time.
