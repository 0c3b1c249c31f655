"""Every refusal that was seen of libvirt has its cause and remedy, in code and docs."""

from __future__ import annotations

import re
from pathlib import Path

import libvirt
import pytest

from jobs.hypervisor import (
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
    NoJob,
    NotReady,
    PivotFailed,
    Refused,
    StillEnding,
)
from jobs.hypervisor.error_page import page
from jobs.hypervisor.error_table import SECTIONS, TABLE, Row, code_name
from jobs.hypervisor.translation import translate, translate_open

DOCS = Path(__file__).parents[3] / "docs" / "errors.md"
BLOCKDEV_ADD = "internal error: unable to execute QEMU command 'blockdev-add': "
MIRROR = "internal error: unable to execute QEMU command 'blockdev-mirror': "

# Number, words, class, a word of the cause, whether to try again: as libvirt 9.0 says
# them (QEMU 7.2), or as its source does where the case could not be made.
FACTS: list[tuple[int, str, type[HypervisorError], str, bool]] = [
    # Starting a copy.
    (55, "domain is not transient", Refused, "transient-job", False),
    (55, "domain is not running", DomainNotRunning, "not running", False),
    (8, "disk 'vdz' not found in domain", DiskNotFound, "no such disk", False),
    (8, "disk must not be NULL", InvalidOption, "impossible", False),
    (8, "absolute path must be used as block copy target", DestinationUnusable, "absolute", False),
    (83, "disk 'vda' already in active block job", JobActive, "Another block job", True),
    (38, "failed to create copy target: No such file or directory", DestinationUnusable, "directory does not exist", False),
    (38, "failed to create copy target: Permission denied", DestinationUnusable, "may not write", False),
    (38, "unable to verify existence of block copy target: Permission denied", DestinationUnusable, "may not write", False),
    (38, "failed to create copy target: Read-only file system", DestinationUnusable, "only be read", False),
    (67, "external destination file for disk vda already exists and is not a block device: /b", DestinationExists, "already", False),
    (38, "missing destination file for disk vda: /b: No such file or directory", DestinationUnusable, "not there", False),
    (8, "blockdev flag requested for disk vda, but file '/b' is not a block device", DestinationUnusable, "not a block device", False),
    (67, "reused mirror destination format must be specified", DestinationUnusable, "another format", False),
    (1, BLOCKDEV_ADD + 'Failed to get "write" lock', DestinationUnusable, "in use", False),
    (1, BLOCKDEV_ADD + 'Failed to get "consistent read" lock', DestinationUnusable, "in use", False),
    (1, BLOCKDEV_ADD + "Image is not in qcow2 format", DestinationUnusable, "another format", False),
    (67, "unknown driver format value 'bogus'", DestinationUnusable, "another format", False),
    (8, "granularity must be power of 2", InvalidOption, "power of two", False),
    (1, MIRROR + "Parameter 'granularity' expects a value in range [512B, 64MB]", InvalidOption, "512 bytes", False),
    (1, MIRROR + "Parameter 'granularity' expects uint32_t", InvalidOption, "64 MiB", False),
    (8, "bandwidth must be less than '9223372036854775807' bytes/s (8796093022207 MiB/s)", InvalidOption, "bandwidth", False),
    (82, "bandwidth must be less than 8796093022207", InvalidOption, "bandwidth", False),
    (1, "internal error: Invalid parameter 'buf-size'", InvalidOption, "buffer", False),
    (74, "parameter 'nope' not supported", InvalidOption, "too old", False),
    (8, "unsupported flags (0x10) in function qemuDomainBlockCopy", InvalidOption, "too old", False),
    (27, "XML error: unexpected root element", DestinationUnusable, "XML", False),
    (35, "(disk_definition):1: Start tag expected", DestinationUnusable, "XML", False),
    (19, "missing source information for device vda", DestinationUnusable, "XML", False),
    (66, "no secret with matching uuid 'x'", DestinationUnusable, "no such secret", False),
    (66, "secret 'x' does not have a value", DestinationUnusable, "no value", False),
    (65, "Invalid secret: no secret with matching uuid", DestinationUnusable, "no such secret", False),
    (67, "shallow copy of disk 'vda' into a raw file is not possible", InvalidOption, "backing file", False),
    (8, "backingStore of mirror without VIR_DOMAIN_BLOCK_COPY_SHALLOW doesn't make sense", InvalidOption, "not shallow", False),
    (84, "can't pivot a shared disk to a storage volume not supporting sharing", Refused, "shareable", False),
    (1, "internal error: failed to update capacity data for block node '(null)'", Refused, "empty", False),
    (1, "internal error: storage source pool 'rp' volume 'vv' is not translated", DestinationUnusable, "no volume", False),
    (29, "read only access prevents virDomainBlockCopy", Refused, "no right", False),
    (88, "access denied: 'QEMU' denied access", Refused, "no right", False),
    (3, "this function is not supported by the connection driver: virDomainBlockCopy", Refused, "hypervisor", False),
    (67, "disk device='lun' is only valid for block type disk source", Refused, "LUN", False),
    (84, "block jobs are not supported on vhostuser disk 'vda'", Refused, "QEMU does not handle", False),
    (9, "failed to format image: 'Could not write qcow2 header: No space left on device'", DestinationUnusable, "full", False),
    (9, "failed to format image: 'Could not resize file: File too large'", DestinationUnusable, "of that size", False),
    (1, BLOCKDEV_ADD + "Failed to connect to '127.0.0.1:26809': Connection refused", DestinationUnusable, "cannot reach", False),
    (9, "failed to format image: 'Unable to get accurate CPU usage'", KeyNotTimed, "too busy", True),
    (1, BLOCKDEV_ADD + "Requested export not available", DestinationUnusable, "cannot reach", False),
    (1, BLOCKDEV_ADD + "Parameter 'driver' does not accept value 'rbd'", DestinationUnusable, "no driver", False),
    # While a copy stands.
    (83, "block job 'copy-vda-libvirt-1-format' not ready for pivot yet", NotReady, "not mirroring", True),
    (55, "block job on disk 'vda' is still being ended", StillEnding, "being ended", True),
    (8, "disk vda does not have an active block job", NoJob, "no active block job", False),
    (9, "block job 'copy-vda-libvirt-1-format' failed while pivoting: Input/output error", PivotFailed, "runs on its source", False),
    (55, "domain has active block job", JobActive, "Another block job", True),
    (1, "internal error: disk 'vda' has a blockjob assigned", JobActive, "Another block job", True),
    (1, "internal error: unable to execute QEMU command 'block_resize': Device '(null)' is in use", JobActive, "Another block job", True),
    (68, "cannot acquire state change lock (held by monitor=remoteDispatchDomainBlockJobAbort)", HostBusy, "busy or stuck", True),
    (42, "no domain with matching uuid 'x'", DomainNotFound, "no such domain", False),
    (38, "Unable to read from monitor: Connection reset by peer", DomainNotRunning, "not running", False),
    # Pools, volumes, agents.
    (49, "no storage pool with matching name 'fast'", DestinationUnusable, "no such storage pool", False),
    (50, "no storage vol with matching path '/b'", DestinationUnusable, "no such volume", False),
    (90, "storage volume 'web.qcow2' exists already", DestinationExists, "already", False),
    (55, "storage pool 'fast' is not active", DestinationUnusable, "not active", False),
    (1, "internal error: pool 'fast' has asynchronous jobs running.", DestinationUnusable, "busy", True),
    (55, "volume 'web' is still being allocated.", DestinationUnusable, "busy", True),
    (9, "Storage source conflict with pool: 'images'", Refused, "covers", False),
    (3, "storage pool does not support volume creation", DestinationUnusable, "kind", False),
    (38, "inaccessible backing store volume /none/x: No such file", DestinationUnusable, "backing file", False),
    (55, "volume target path '/images/b' already exists", DestinationExists, "already", False),
    (9, "failed to format image: 'Could not resize file: Invalid argument'", DestinationUnusable, "No image", False),
    (38, "cannot unlink file '/b': Permission denied", DestinationUnusable, "may not write", False),
    (86, "Guest agent is not responding: agent not available", Refused, "does not answer", False),
    (97, "guest agent replied with wrong id", Refused, "does not answer", False),
    (112, "Guest agent not responding for now", Refused, "does not answer", False),
    (74, "QEMU guest agent is not configured", Refused, "no agent", False),
    (113, "guest-fsfreeze-freeze failed", Refused, "could not do", False),
    (1, "internal error: unable to execute QEMU agent command 'guest-fsfreeze-freeze': disabled", Refused, "refused to freeze", False),
    # The host itself.
    (87, "resource busy: in use", Refused, "in use", True),
    (2, "out of memory", Refused, "no memory", True),
    (1, "internal error: client socket is closed", HostUnreachable, "does not answer", True),
    (1, "internal error: connection closed due to keepalive timeout", HostUnreachable, "does not answer", True),
    (38, "Cannot write data: Broken pipe", HostUnreachable, "does not answer", True),
    (39, "Cannot get the program that was called", HostUnreachable, "does not answer", True),
    (67, "something that this host lacks", Refused, "does not support", False),
    (55, "something of the moment", Refused, "at the moment", False),
    (1, "internal error: nobody has seen this yet", Refused, "could not do it", False),
    (38, "nobody has seen this yet", Refused, "could not do it", False),
]  # fmt: skip


def libvirt_error(code: int, text: str) -> libvirt.libvirtError:
    error = libvirt.libvirtError(text)
    error.err = (code, 0, text, 2, None, None, None, 0, 0)
    return error


@pytest.mark.parametrize(("code", "text", "kind", "word", "again"), FACTS)
def test_each_fact(
    code: int, text: str, kind: type[HypervisorError], word: str, again: bool
) -> None:
    error = translate(libvirt_error(code, text))
    assert type(error) is kind
    assert word in error.cause
    assert error.retryable is again
    assert (error.code, error.text) == (code, text), "libvirt's own words are kept"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.said[:40])
def test_each_row_decides_what_it_shows_as_its_example(row: Row) -> None:
    """A row behind a wider one would never be used."""
    for code in row.codes or (1,):
        assert next(one for one in TABLE if one.fits(code, row.said)) is row


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.said[:40])
def test_each_row_tells_people_what_and_what_to_do(row: Row) -> None:
    for sentence in (row.cause or row.kind.cause, row.remedy or row.kind.remedy):
        assert re.fullmatch(r"\S.*\.", sentence, re.DOTALL)
        assert "internal error" not in sentence.lower()
        assert "Traceback" not in sentence


def test_an_error_that_nobody_knows_keeps_its_words() -> None:
    error = translate(libvirt_error(61, "a firewall rule"))
    assert type(error) is Refused
    assert (error.code, error.text) == (61, "a firewall rule")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.said[:40])
def test_whatever_an_opening_fails_with_the_host_is_unreachable(row: Row) -> None:
    code = row.codes[0] if row.codes else 1
    assert type(translate_open(libvirt_error(code, row.said))) is HostUnreachable


def test_the_page_in_docs_is_the_table() -> None:
    assert DOCS.read_text() == page(), (
        "Run: python -m jobs.hypervisor.error_page > docs/errors.md"
    )


def test_the_page_has_a_line_for_each_row() -> None:
    lines = page().splitlines()
    for section in SECTIONS:
        assert f"## {section.title}" in lines
    assert sum(line.startswith("| ") for line in lines) > len(TABLE)


@pytest.mark.parametrize(
    ("code", "name"), [(1, "INTERNAL_ERROR"), (42, "NO_DOMAIN"), (2, "NO_MEMORY")]
)
def test_numbers_have_libvirts_names(code: int, name: str) -> None:
    assert code_name(code) == name
