"""libvirt's errors, as it really words them (9.0.0), and what becomes of them."""

from __future__ import annotations

import inspect
import pickle

import libvirt
import pytest

from jobs.hypervisor import (
    AddressError,
    DestinationError,
    DestinationExists,
    DestinationUnusable,
    DiskNotFound,
    DomainNotFound,
    DomainNotRunning,
    HostBusy,
    HostUnreachable,
    HypervisorError,
    InvalidOption,
    JobActive,
    KeyNotTimed,
    NoAnswer,
    NoJob,
    NotReady,
    PivotFailed,
    Refused,
    StillEnding,
    errors,
)
from jobs.hypervisor.translation import (
    options_translated,
    translate,
    translate_open,
    translated,
)


def libvirt_error(code: int, text: str) -> libvirt.libvirtError:
    error = libvirt.libvirtError(text)
    error.err = (code, 0, text, 2, None, None, None, 0, 0)
    return error


class Connection(libvirt.virConnect):
    """A connection of which only is known whether it is alive."""

    def __init__(self, *, alive: bool) -> None:
        self._o = None
        self.alive = alive

    def isAlive(self) -> int:
        return int(self.alive)


CASES: list[tuple[int, str, type[HypervisorError]]] = [
    (55, "Requested operation is not valid: domain is not transient", Refused),
    (55, "Requested operation is not valid: domain is not running", DomainNotRunning),
    (
        55,
        "Requested operation is not valid: block job on disk 'vda' is still being "
        "ended",
        StillEnding,
    ),
    (55, "Requested operation is not valid: domain has active block job", JobActive),
    (8, "invalid argument: disk 'vdz' not found in domain", DiskNotFound),
    (8, "invalid argument: disk vda does not have an active block job", NoJob),
    (
        8,
        "invalid argument: absolute path must be used as block copy target",
        DestinationUnusable,
    ),
    (8, "invalid argument: granularity must be power of 2", InvalidOption),
    (
        8,
        "invalid argument: bandwidth must be less than '9223372036854775807' bytes/s "
        "(8796093022207 MiB/s)",
        InvalidOption,
    ),
    (
        8,
        "unsupported flags (0x10) in function qemuDomainBlockCopy",
        InvalidOption,
    ),
    (8, "Invalid UUID", DomainNotFound),
    (42, "Domain not found: no domain with matching uuid 'x'", DomainNotFound),
    (
        83,
        "block copy still active: disk 'vda' already in active block job",
        JobActive,
    ),
    (
        83,
        "block copy still active: block job 'copy-vda-libvirt-2-format' not ready for "
        "pivot yet",
        NotReady,
    ),
    (
        67,
        "unsupported configuration: external destination file for disk vda already "
        "exists and is not a block device: /images/b.qcow2",
        DestinationExists,
    ),
    (
        67,
        "unsupported configuration: shallow copy of disk 'vda' into a raw file is not "
        "possible",
        InvalidOption,
    ),
    (
        38,
        "failed to create copy target: No such file or directory",
        DestinationUnusable,
    ),
    (38, "failed to create copy target: Permission denied", DestinationUnusable),
    (
        38,
        "unable to verify existence of block copy target: Permission denied",
        DestinationUnusable,
    ),
    (
        38,
        "missing destination file for disk vda: /b: No such file or directory",
        DestinationUnusable,
    ),
    (
        1,
        "internal error: unable to execute QEMU command 'blockdev-add': Failed to get "
        '"write" lock',
        DestinationUnusable,
    ),
    (
        1,
        "internal error: unable to execute QEMU command 'blockdev-add': Image is not "
        "in qcow2 format",
        DestinationUnusable,
    ),
    (
        1,
        "internal error: unable to execute QEMU command 'blockdev-add': Failed to "
        "connect to '127.0.0.1:26809': Connection refused",
        DestinationUnusable,
    ),
    (
        9,
        "operation failed: failed to format image: 'Could not write qcow2 header: No "
        "space left on device'",
        DestinationUnusable,
    ),
    (
        9,
        "operation failed: block job 'copy-vda-libvirt-1-format' failed while "
        "pivoting: Input/output error",
        PivotFailed,
    ),
    (
        1,
        "internal error: unable to execute QEMU command 'blockdev-mirror': Parameter "
        "'granularity' expects a value in range [512B, 64MB]",
        InvalidOption,
    ),
    (1, "internal error: Invalid parameter 'buf-size'", InvalidOption),
    (74, "argument unsupported: parameter 'nope' not supported", InvalidOption),
    (
        82,
        "numerical overflow: bandwidth must be less than 8796093022207",
        InvalidOption,
    ),
    (
        84,
        "Operation not supported: can't pivot a shared disk to a storage volume not "
        "supporting sharing",
        Refused,
    ),
    (
        1,
        "internal error: failed to update capacity data for block node '(null)'",
        Refused,
    ),
    (
        68,
        "Timed out during operation: cannot acquire state change lock (held by "
        "monitor=remoteDispatchDomainBlockJobAbort)",
        HostBusy,
    ),
    (
        38,
        "Unable to read from monitor: Connection reset by peer",
        DomainNotRunning,
    ),
    (1, "internal error: End of file from qemu monitor", DomainNotRunning),
    (1, "internal error: client socket is closed", HostUnreachable),
    (
        1,
        "internal error: connection closed due to keepalive timeout",
        HostUnreachable,
    ),
    (38, "Cannot write data: Broken pipe", HostUnreachable),
    (
        29,
        "operation virDomainBlockCopy forbidden: read only access prevents "
        "virDomainBlockCopy",
        Refused,
    ),
    (
        3,
        "this function is not supported by the connection driver: virDomainBlockCopy",
        Refused,
    ),
    (38, "failed to create copy target: Read-only file system", DestinationUnusable),
    (
        8,
        "invalid argument: blockdev flag requested for disk vda, but file '/b' is not "
        "a block device",
        DestinationUnusable,
    ),
    (39, "Cannot get the program that was called", HostUnreachable),
    (19, "missing source information for device vda", DestinationUnusable),
    (
        66,
        "Secret not found: secret 'bf909a80-d755-4a4e-a431-3bbdf1328a23' does not have "
        "a value",
        DestinationUnusable,
    ),
    (
        49,
        "Storage pool not found: no storage pool with matching name 'zzz'",
        DestinationUnusable,
    ),
    (
        50,
        "Storage volume not found: no storage vol with matching path '/images/none'",
        DestinationUnusable,
    ),
    (90, "storage volume 'n2' exists already", DestinationExists),
    (
        55,
        "Requested operation is not valid: volume target path '/images/behind' already "
        "exists",
        DestinationExists,
    ),
    (
        55,
        "Requested operation is not valid: storage pool 'spare' is not active",
        DestinationUnusable,
    ),
    (
        1,
        "internal error: pool 'images' has asynchronous jobs running.",
        DestinationUnusable,
    ),
    (
        3,
        "this function is not supported by the connection driver: storage pool does "
        "not support volume creation",
        DestinationUnusable,
    ),
    (
        38,
        "inaccessible backing store volume /none/x: No such file or directory",
        DestinationUnusable,
    ),
    (38, "cannot extend file '/images/big': File too large", DestinationUnusable),
    (1, "internal error: something that nobody has seen yet", Refused),
]


@pytest.mark.parametrize(("code", "text", "kind"), CASES)
def test_class(code: int, text: str, kind: type[HypervisorError]) -> None:
    error = translate(libvirt_error(code, text), Connection(alive=True))
    assert type(error) is kind
    assert (error.code, error.text, str(error)) == (code, text, text)
    assert error.cause.endswith(".")
    assert error.remedy.endswith(".")


def test_any_error_of_a_dead_connection_is_the_hosts() -> None:
    error = translate(libvirt_error(1, "internal error"), Connection(alive=False))
    assert type(error) is HostUnreachable
    assert error.retryable


RETRYABLE = {
    *(HostUnreachable, HostBusy, NoAnswer),
    *(JobActive, NotReady, StillEnding, KeyNotTimed),
}


def test_what_may_be_tried_again() -> None:
    kinds = {
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, HypervisorError)
    }
    assert {kind for kind in kinds if kind.retryable} == RETRYABLE


OPENING: list[tuple[int, str, str, bool]] = [
    (38, "Failed to connect socket to '/x': Connection refused", "answer", True),
    (38, "Failed to connect socket to '/x': No such file or directory", "", True),
    (38, "unable to resolve address 'nope' service '16514'", "answer", True),
    (
        38,
        "Cannot recv data: ssh: connect to host 127.0.0.1 port 22: Connection "
        "refused: Connection reset by peer",
        "answer",
        True,
    ),
    (
        38,
        "Cannot recv data: Host key verification failed.: Connection reset by peer",
        "ssh key is unknown",
        False,
    ),
    (
        38,
        "Cannot recv data: virt@kvm-a: Permission denied (publickey).: Connection "
        "reset by peer",
        "credentials",
        False,
    ),
    (
        45,
        "authentication failed: !!! SSH HOST KEY VERIFICATION FAILED !!!: Identity "
        "of host '127.0.0.1:22' differs from stored identity.",
        "ssh key is unknown",
        False,
    ),
    (
        98,
        "libssh transport error: No user interaction callback provided: Can't "
        "verify the session host key",
        "ssh key is unknown",
        False,
    ),
    (
        98,
        "libssh transport error: failed to authenticate: Access denied for "
        "'publickey'.",
        "credentials",
        False,
    ),
    (45, "authentication failed: no", "credentials", False),
    (
        38,
        "Cannot read CA certificate '/etc/pki/CA/cacert.pem': No such file",
        "credentials",
        False,
    ),
    (
        1,
        "internal error: unexpected QEMU URI path '/system', try qemu:///session",
        "mode",
        False,
    ),
    (55, "something else", "answer", True),
]


@pytest.mark.parametrize(("code", "text", "word", "retryable"), OPENING)
def test_opening(code: int, text: str, word: str, retryable: bool) -> None:
    error = translate_open(libvirt_error(code, text))
    assert type(error) is HostUnreachable
    assert word in error.cause
    assert error.retryable is retryable
    assert error.text == text


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("failed to create copy target: No such file or directory", "directory"),
        ("failed to create copy target: Permission denied", "may not write"),
        ("missing destination file for disk vda: /b: No such file", "not there"),
        ("failed to create copy target: No space left on device", "full"),
    ],
)
def test_cause_of_an_unusable_destination(text: str, word: str) -> None:
    assert word in translate(libvirt_error(38, text)).cause


def test_translated_raises_ours_from_theirs() -> None:
    theirs = libvirt_error(42, "Domain not found")
    with (
        pytest.raises(DomainNotFound) as raised,
        translated(Connection(alive=True)),
    ):
        raise theirs
    assert raised.value.__cause__ is theirs


@pytest.mark.parametrize("error", [OverflowError("too big"), TypeError("an integer")])
def test_numbers_that_python_cannot_hand_over(error: Exception) -> None:
    with pytest.raises(InvalidOption), options_translated():
        raise error


@pytest.mark.parametrize(
    "error",
    [
        NotReady("text", code=83),
        DestinationError("path", "wrong"),
        AddressError("port", "wrong"),
        InvalidOption.of("granularity", "wrong", "Choose another."),
        HostUnreachable("x", cause="Other.", remedy="Do.", retryable=False),
    ],
)
def test_errors_survive_pickling(error: HypervisorError) -> None:
    """Celery may carry them between processes."""
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
