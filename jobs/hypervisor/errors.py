"""Errors of a hypervisor, typed, each with its cause and what to do about it."""

from __future__ import annotations

from jobs.said import say


class HypervisorError(Exception):
    """Something that a host refused or could not do.

    `code` is libvirt's error number, None where libvirt did not speak; `text` is
    libvirt's own message. `cause` is one sentence for people and `remedy` what they
    can do. `retryable` says that the same call may well succeed later by itself.
    """

    cause: str = say("The host refused the request.")
    remedy: str = say("Read libvirt's message; it names the reason.")
    retryable = False

    def __init__(
        self,
        text: str = "",
        *,
        code: int | None = None,
        cause: str = "",
        remedy: str = "",
        retryable: bool | None = None,
    ) -> None:
        self.cause = cause or self.cause
        self.remedy = remedy or self.remedy
        self.retryable = self.retryable if retryable is None else retryable
        self.code = code
        self.text = text or self.cause
        super().__init__(self.text)

    def __str__(self) -> str:
        return self.text

    @property
    def told(self) -> str:
        """The cause, with libvirt's own words behind it: never those alone."""
        return self.cause if self.text == self.cause else f"{self.cause} ({self.text})"


class HostUnreachable(HypervisorError):
    """No connection, or one that broke; what was asked may have happened or not."""

    cause = say("The host does not answer.")
    remedy = say(
        "Check that the machine is up, that its libvirt daemon runs and "
        "that the console may reach it; the console keeps trying."
    )
    retryable = True


class HostBusy(HypervisorError):
    """Another call holds the domain (68), or its QEMU does not answer."""

    cause = say("The guest's QEMU process is busy or stuck and did not answer in time.")
    remedy = say(
        "Wait and try again; if it stays so, look at the guest and at "
        "the storage of its disks and destinations."
    )
    retryable = True


class NoAnswer(HostBusy):
    """We stopped waiting. The call is still under way and may yet take effect."""

    cause = say("The host took the request but has not answered it yet.")


class DomainNotFound(HypervisorError):
    """The host knows no such domain (42); a transient one is gone when it stops."""

    cause = say("The host has no such domain.")
    remedy = say("Read the host's inventory again; the domain may have been removed.")


class DomainNotRunning(HypervisorError):
    """Only a running domain has block jobs (55)."""

    cause = say("The domain is not running.")
    remedy = say(
        "Start the domain first; the disk of a domain that is off can "
        "be copied as a file."
    )


class DiskNotFound(HypervisorError):
    """The domain has no disk with that target (8)."""

    cause = say("The domain has no such disk.")
    remedy = say(
        "Read the host's inventory again and choose one of the domain's disks."
    )


class JobActive(HypervisorError):
    """The disk has a block job already (83)."""

    cause = say("Another block job is active on this disk.")
    remedy = say("Wait for that job to end, or end it first.")
    retryable = True


class NotReady(HypervisorError):
    """A pivot before the mirror is ready (83); the job goes on unharmed."""

    cause = say("The copy is not mirroring yet.")
    remedy = say("Wait until the copy is ready, then pivot.")
    retryable = True


class NoJob(HypervisorError):
    """The disk has no block job (8); says nothing about how the last one ended."""

    cause = say("The disk has no active block job.")
    remedy = say("Look at the domain's live source to see how the job ended.")


class StillEnding(HypervisorError):
    """The block job is being ended already (55)."""

    cause = say("The block job on this disk is just being ended.")
    remedy = say("Wait a moment and look again.")
    retryable = True


class DestinationExists(HypervisorError):
    """A file with content is at the destination (67)."""

    cause = say("There is a file at the destination already.")
    remedy = say("Choose another path, remove the file, or allow it to be reused.")


class DestinationUnusable(HypervisorError):
    """The destination cannot be created or opened (missing directory, rights, …)."""

    cause = say("The destination cannot be used.")
    remedy = say("Check the path, its directory and the rights on the host.")


class KeyNotTimed(DestinationUnusable):
    """QEMU could not measure how long a key takes to derive; see `keys`."""

    cause = say("The host was too busy to prepare the encryption of the destination.")
    remedy = say("Try again, when the host is less busy.")
    retryable = True


class DestinationUnsound(HypervisorError):
    """What lies at the destination is not what was mirrored to; nothing was asked."""

    cause = say("The destination is not what was copied to any more.")
    remedy = say(
        "Do not pivot: cancel and copy again to a new destination. The "
        "guest is unharmed as long as it mirrors."
    )


class PivotFailed(HypervisorError):
    """The destination failed while pivoting (9); the guest stays on its source."""

    cause = say(
        "The destination failed during the pivot; the guest runs on its source."
    )
    remedy = say(
        "Check the destination's storage, then copy again to a new destination."
    )


class IdentityMismatch(HypervisorError):
    """The copy on the host is not the one that was meant; nothing was touched."""

    cause = say("The copy on the host is not the one that was started.")
    remedy = say("Look at what the host shows now; someone else may have changed it.")


class InvalidOption(HypervisorError):
    """An option has a value that it cannot have. `field` names it where known."""

    cause = say("An option of the copy has an impossible value.")
    remedy = say("Correct the value.")

    field = ""

    @classmethod
    def of(cls, field: str, message: str, remedy: str) -> InvalidOption:
        """An error of our own about one option, and what is right instead."""
        error = cls(message, cause=message, remedy=remedy)
        error.field = field
        return error


class AgentUnavailable(HypervisorError):
    """The guest has no agent, or it does not answer (86, 74); nothing was frozen."""

    cause = say("No guest agent answers in the guest.")
    remedy = say(
        "Install qemu-guest-agent in the guest, and give the domain its "
        "channel (org.qemu.guest_agent.0)."
    )


class Refused(HypervisorError):
    """Everything else that libvirt says no to."""
