"""Options of a copy: their values, what libvirt gets of them, which hosts have them."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import libvirt
import pytest

from jobs.hypervisor import (
    CopyOptions,
    Destination,
    HostFacts,
    InvalidOption,
    Secret,
    check_bandwidth,
    check_options,
    check_together,
    flag_names,
    host_support,
    option_support,
    options_for,
    parameters,
    version_text,
)
from jobs.hypervisor.options import FLAGS, flags
from jobs.hypervisor.versions import require_support
from tests.unit.hypervisor.test_destination import FILE, NBD, VOLUME

EVERY = CopyOptions(True, True, True, True, 1, 512, 3)
NEWEST = HostFacts("alder", "", "QEMU", 12_002_000, 10_001_000)


@pytest.mark.parametrize("granularity", [0, 512, 4096, 65536, 2**26])
def test_good_granularity(granularity: int) -> None:
    check_options(CopyOptions(granularity=granularity))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("granularity", 3),
        ("granularity", 256),
        ("granularity", 2**27),
        ("granularity", -512),
        ("bandwidth", -1),
        ("bandwidth", 2**63),
        ("bandwidth", "5"),
        ("bandwidth", 1.5),
        ("bandwidth", None),
        ("bandwidth", True),
        ("buf_size", -1),
        ("buf_size", 2**63),
    ],
)
def test_bad_option(field: str, value: Any) -> None:
    with pytest.raises(InvalidOption) as wrong:
        check_options(CopyOptions(**{field: value}))
    assert wrong.value.field == field


def test_bandwidth_alone() -> None:
    check_bandwidth(0)
    check_bandwidth(2**63 - 1)
    with pytest.raises(InvalidOption):
        check_bandwidth(2**63)


def test_flags() -> None:
    assert flags(EVERY, persistent=True) == 31
    assert flags(CopyOptions(), persistent=False) == 0
    assert flag_names(CopyOptions(target_zeroed=True), persistent=True) == (
        "VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB",
        "VIR_DOMAIN_BLOCK_COPY_TARGET_ZEROED",
    )


@pytest.mark.parametrize(("name", "number", "option"), FLAGS)
def test_flag_is_libvirts(name: str, number: int, option: str) -> None:
    assert getattr(libvirt, name, number) == number
    assert not option or option in {field.name for field in fields(CopyOptions)}


def test_parameters() -> None:
    assert parameters(EVERY) == {
        libvirt.VIR_DOMAIN_BLOCK_COPY_BANDWIDTH: 1,
        libvirt.VIR_DOMAIN_BLOCK_COPY_GRANULARITY: 512,
        libvirt.VIR_DOMAIN_BLOCK_COPY_BUF_SIZE: 3,
    }
    assert parameters(CopyOptions()) == {}


@pytest.mark.parametrize(
    ("destination", "reused"),
    [
        (FILE, False),
        (replace(FILE, slice_size=512), False),
        (VOLUME, True),
        (NBD, False),
        (replace(NBD, slice_size=512), True),
        (Destination("block", "/dev/b", "raw"), False),
        (Destination("block", "/dev/b", "raw", slice_size=512), True),
    ],
)
def test_what_is_reused_unasked(destination: Destination, reused: bool) -> None:
    sent = options_for(destination, CopyOptions(shallow=True))
    assert sent == CopyOptions(shallow=True, reuse_external=reused)


def test_slice_of_a_file_has_to_be_reused() -> None:
    part = replace(FILE, slice_size=512)
    check_together(part, CopyOptions(reuse_external=True))
    with pytest.raises(InvalidOption) as wrong:
        check_together(part, CopyOptions())
    assert wrong.value.field == "reuse_external"


@pytest.mark.parametrize(
    ("destination", "zeroed"),
    [
        (VOLUME, True),
        (replace(VOLUME, format="raw"), True),
        (replace(VOLUME, format="raw", path="/images/b"), True),
        (replace(VOLUME, format="raw", path="/dev/vg/b"), False),
        (replace(VOLUME, path="/dev/vg/b"), True),
        (replace(VOLUME, format="raw", encryption=Secret(usage="u")), False),
        (replace(VOLUME, encryption=Secret(usage="u")), True),
        (FILE, False),
        (NBD, False),
    ],
)
def test_what_is_known_to_be_zeroed(destination: Destination, zeroed: bool) -> None:
    options = CopyOptions(target_zeroed=True, reuse_external=True)
    if zeroed:
        check_together(destination, options)
        return
    with pytest.raises(InvalidOption) as wrong:
        check_together(destination, options)
    assert wrong.value.field == "target_zeroed"


def test_newest_host_has_everything() -> None:
    assert set(option_support(NEWEST).values()) == {""}
    assert set(option_support(NEWEST)) == {field.name for field in fields(CopyOptions)}
    require_support(EVERY, NEWEST)


@pytest.mark.parametrize(
    ("libvirt_version", "qemu", "zeroed"),
    [
        (9_000_000, 7_002_000, "libvirt 12.2.0 and QEMU 10.1.0"),
        (12_001_999, 10_001_000, "libvirt 12.2.0; the host has libvirt 12.1.999"),
        (12_002_000, 10_000_003, "QEMU 10.1.0; the host has QEMU 10.0.3"),
    ],
)
def test_zeroed_needs_both(libvirt_version: int, qemu: int, zeroed: str) -> None:
    host = HostFacts("alder", "", "QEMU", libvirt_version, qemu)
    support = option_support(host)
    assert zeroed in support.pop("target_zeroed")
    assert set(support.values()) == {""}
    with pytest.raises(InvalidOption, match=r"12\.2|10\.1") as wrong:
        require_support(CopyOptions(target_zeroed=True), host)
    assert wrong.value.field == "target_zeroed"
    require_support(CopyOptions(synchronous_writes=True), host)


def test_synchronous_writes() -> None:
    host = replace(NEWEST, libvirt_version=7_010_000)
    assert "libvirt 8.0.0" in option_support(host)["synchronous_writes"]
    assert option_support(host)["bandwidth"] == ""
    with pytest.raises(InvalidOption) as wrong:
        require_support(CopyOptions(synchronous_writes=True), host)
    assert wrong.value.field == "synchronous_writes"


def test_host_that_is_too_old() -> None:
    old, oldest = replace(NEWEST, libvirt_version=5_010_000), 6_000_000
    reason = "This needs libvirt 6.0.0; the host has libvirt 5.10.0."
    assert host_support(old) == reason
    assert set(option_support(old).values()) == {reason}
    with pytest.raises(InvalidOption, match=r"6\.0\.0"):
        require_support(CopyOptions(), old)
    assert host_support(replace(NEWEST, libvirt_version=oldest)) == ""


def test_version_text() -> None:
    assert version_text(9_001_002) == "9.1.2"
