"""What is left of a code when none of its texts was known."""

from __future__ import annotations

from jobs.hypervisor.error_table.row import (
    ACCESS_DENIED,
    AGENT_COMMAND_FAILED,
    ANY_FAILURE,
    ARGUMENT_UNSUPPORTED,
    CONFIG_UNSUPPORTED,
    INVALID_ARG,
    NO_MEMORY,
    NO_SUPPORT,
    OPERATION_ABORTED,
    OPERATION_DENIED,
    OPERATION_INVALID,
    OPERATION_UNSUPPORTED,
    OVERFLOW,
    RESOURCE_BUSY,
    Row,
    Section,
)
from jobs.hypervisor.errors import (
    InvalidOption,
    Refused,
)
from jobs.said import say

REST = Section(
    "Whatever else comes with these codes",
    (
        Row(
            (NO_SUPPORT,),
            "",
            Refused,
            "this function is not supported by the connection driver: "
            "virDomainBlockCopy",
            say("The host's hypervisor cannot copy disks of running domains."),
            say("Only QEMU can do this."),
        ),
        Row(
            (OPERATION_DENIED, ACCESS_DENIED),
            "",
            Refused,
            "operation virDomainBlockCopy forbidden: read only access prevents "
            "virDomainBlockCopy",
            say("The console has no right to do this on the host."),
            say("Check the host's libvirt access rules."),
        ),
        Row(
            (RESOURCE_BUSY, OPERATION_ABORTED),
            "",
            Refused,
            "resource busy: device is in use",
            say("Something on the host is in use by another operation."),
            say("Wait a moment and try again."),
            retryable=True,
        ),
        Row(
            (NO_MEMORY,),
            "",
            Refused,
            "out of memory",
            say("The host has no memory left for the request."),
            say("Free memory on the host, then try again."),
            retryable=True,
        ),
        Row(
            (AGENT_COMMAND_FAILED,),
            "",
            Refused,
            "guest-fsfreeze-freeze failed",
            say("The guest agent could not do what it was asked for."),
            say(
                "Read the guest's own log, or finish without freezing: the copy "
                "is then as after a power cut."
            ),
        ),
        Row(
            (INVALID_ARG, ARGUMENT_UNSUPPORTED, OVERFLOW),
            "",
            InvalidOption,
            "invalid argument: disk must not be NULL",
        ),
        Row(
            (CONFIG_UNSUPPORTED, OPERATION_UNSUPPORTED),
            "",
            Refused,
            "unsupported configuration: something that this host lacks",
            say("The host's libvirt or QEMU does not support this copy."),
            say(
                "Change the destination or the options; libvirt's own message "
                "says which."
            ),
        ),
        Row(
            (OPERATION_INVALID,),
            "",
            Refused,
            "Requested operation is not valid: something of the moment",
            say("The host can't do this at the moment."),
            say(
                "Look at what else goes on with the guest; libvirt's own "
                "message says it."
            ),
        ),
        Row(
            ANY_FAILURE,
            "",
            Refused,
            "internal error: something that nobody has seen yet",
            say("The host tried and could not do it."),
            say(
                "libvirt's own message and the host's log (journalctl -u "
                "libvirtd, or virtqemud) say why."
            ),
        ),
    ),
)
