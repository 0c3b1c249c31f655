"""What libvirt says of guests, their agents and their block jobs."""

from __future__ import annotations

from jobs.hypervisor.error_table.row import (
    AGENT_COMMAND_TIMEOUT,
    AGENT_UNRESPONSIVE,
    AGENT_UNSYNCED,
    ARGUMENT_UNSUPPORTED,
    BLOCK_COPY_ACTIVE,
    CONFIG_UNSUPPORTED,
    INTERNAL,
    INVALID_ARG,
    NO_DOMAIN,
    OPERATION_FAILED,
    OPERATION_INVALID,
    OPERATION_TIMEOUT,
    OPERATION_UNSUPPORTED,
    XML_ERROR,
    Row,
    Section,
)
from jobs.hypervisor.errors import (
    DiskNotFound,
    DomainNotFound,
    DomainNotRunning,
    HostBusy,
    JobActive,
    NoJob,
    NotReady,
    PivotFailed,
    Refused,
    StillEnding,
)
from jobs.said import say

_AGENT = say(
    "See that qemu-guest-agent runs in the guest and that the "
    "domain has its channel, or finish without freezing: the copy "
    "is then as after a power cut."
)

JOBS = Section(
    "The guest and its block jobs",
    (
        Row(
            (OPERATION_TIMEOUT,),
            "",
            HostBusy,
            "Timed out during operation: cannot acquire state change lock (held by "
            "monitor=remoteDispatchDomainBlockJobAbort)",
        ),
        Row(
            (AGENT_UNRESPONSIVE, AGENT_UNSYNCED, AGENT_COMMAND_TIMEOUT),
            "",
            Refused,
            "Guest agent is not responding: QEMU guest agent is not connected",
            say("The guest agent does not answer."),
            _AGENT,
        ),
        Row(
            (ARGUMENT_UNSUPPORTED, OPERATION_UNSUPPORTED, OPERATION_INVALID),
            r"guest agent",
            Refused,
            "argument unsupported: QEMU guest agent is not configured",
            say("The guest has no agent."),
            _AGENT,
        ),
        Row(
            (),
            r"agent command",
            Refused,
            "internal error: unable to execute QEMU agent command "
            "'guest-fsfreeze-freeze': The command guest-fsfreeze-freeze has been "
            "disabled for this instance",
            say("The guest agent refused to freeze or thaw the file systems."),
            say(
                "Allow guest-fsfreeze in the guest agent's configuration; read "
                "the guest's own log."
            ),
        ),
        # The domain's QEMU went away during the call; it is not the host that is gone.
        Row(
            (),
            r"qemu monitor|from monitor|guest unexpectedly quit"
            r"|domain is no longer running|domain is not running",
            DomainNotRunning,
            "Requested operation is not valid: domain is not running",
        ),
        Row(
            (BLOCK_COPY_ACTIVE,),
            r"not ready for pivot",
            NotReady,
            "block copy still active: block job 'copy-vda-libvirt-2-format' not ready "
            "for pivot yet",
        ),
        Row(
            (BLOCK_COPY_ACTIVE,),
            "",
            JobActive,
            "block copy still active: disk 'vda' already in active block job",
        ),
        Row(
            (INTERNAL, OPERATION_INVALID),
            r"has a blockjob assigned|domain has active block job"
            r"|device '[^']*' is in use",
            JobActive,
            "internal error: disk 'vda' has a blockjob assigned",
        ),
        Row(
            (OPERATION_INVALID,),
            r"still being ended",
            StillEnding,
            "Requested operation is not valid: block job on disk 'vda' is still being "
            "ended",
        ),
        Row(
            (OPERATION_INVALID,),
            r"domain is not transient",
            Refused,
            "Requested operation is not valid: domain is not transient",
            say(
                "libvirt refuses copies of persistent domains without the "
                "transient-job flag."
            ),
            say(
                "The host's libvirt may be older than 3.5, which the console "
                "cannot use."
            ),
        ),
        Row(
            (NO_DOMAIN,),
            "",
            DomainNotFound,
            "Domain not found: no domain with matching uuid "
            "'6f9619ff-8b86-4011-b42d-00cf4fc964ff'",
        ),
        Row((INVALID_ARG,), r"invalid uuid|valid uuid", DomainNotFound, "Invalid UUID"),
        Row(
            (INVALID_ARG,),
            r"disk .*not found in domain|invalid path",
            DiskNotFound,
            "invalid argument: disk 'vdz' not found in domain",
        ),
        Row(
            (INVALID_ARG,),
            r"does not have an active block job",
            NoJob,
            "invalid argument: disk vda does not have an active block job",
        ),
        Row(
            (OPERATION_FAILED,),
            r"failed while pivoting",
            PivotFailed,
            "operation failed: block job 'copy-vda-libvirt-1-format' failed while "
            "pivoting: Input/output error",
        ),
        Row(
            (INTERNAL,),
            r"failed to update capacity data",
            Refused,
            "internal error: failed to update capacity data for block node '(null)'",
            say("The drive is empty."),
            say("Choose a disk that has a source."),
        ),
        Row(
            (OPERATION_UNSUPPORTED,),
            r"can't pivot a shared disk",
            Refused,
            "Operation not supported: can't pivot a shared disk to a storage volume "
            "not supporting sharing",
            say("A shareable disk can only be copied to a format that can be shared."),
            say("Choose raw as the destination's format."),
        ),
        Row(
            (CONFIG_UNSUPPORTED, XML_ERROR),
            r"device='?lun|'lun'",
            Refused,
            "unsupported configuration: disk device='lun' is only valid for block type "
            "disk source",
            say("A disk that is a passed-through LUN can only be copied to a device."),
            say("Choose a block device in raw format as the destination."),
        ),
        Row(
            (OPERATION_UNSUPPORTED, OPERATION_INVALID, CONFIG_UNSUPPORTED),
            r"vhost-?user|block jobs? (are|is) not supported",
            Refused,
            "Operation not supported: block jobs are not supported on disk 'vda'",
            say(
                "QEMU does not handle this disk itself, so it can't be copied "
                "while the guest runs."
            ),
            say("Copy it by the means of whatever serves it."),
        ),
    ),
)
