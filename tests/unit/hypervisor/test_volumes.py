"""Volumes as libvirt describes them, and as the console asks for them."""

from __future__ import annotations

import json
import time

import pytest

from jobs.hypervisor import ChainLink, Destination, Secret
from jobs.hypervisor.domain_xml import parse
from jobs.hypervisor.making import volume_xml
from jobs.hypervisor.transient import as_asked, is_own, is_stale, new_name
from jobs.hypervisor.volumes import (
    backing_of,
    device_facts,
    device_names,
    image_facts,
    plain,
    same_place,
)

FILE = """<volume type='{kind}'><name>a</name><key>{key}</key>
  <capacity unit='bytes'>1048576</capacity><allocation unit='bytes'>4096</allocation>
  <physical unit='bytes'>196616</physical>
  <target><path>/images/a</path><format type='qcow2'/>
    <timestamps><mtime>{mtime}</mtime><ctime>{ctime}</ctime><btime>0</btime></timestamps>
  </target></volume>"""


def volume(
    kind: str = "file", key: str = "/images/a", mtime: str = "5.1", ctime: str = "5.2"
) -> str:
    return FILE.format(kind=kind, key=key, mtime=mtime, ctime=ctime)


def mark(text: str) -> str:
    return image_facts("/x", parse(text)).fingerprint


def test_one_file_has_one_fingerprint() -> None:
    by_another_name = volume(key="/images/b").replace("/images/a", "/images/b")
    assert mark(by_another_name) == mark(volume()) != ""


def test_allocation_may_change_by_itself() -> None:
    """Some file systems allocate late, without touching the times."""
    assert mark(volume().replace("4096", "8192")) == mark(volume())


@pytest.mark.parametrize(
    "other",
    [
        volume(mtime="5.100000001"),
        volume(ctime="5.200000001"),
        volume().replace("1048576", "2097152"),
        volume().replace("196616", "262144"),
    ],
)
def test_other_files_have_other_fingerprints(other: str) -> None:
    assert mark(other) != mark(volume())


def test_devices_are_known_by_their_key() -> None:
    one = volume("block", "lvm-uuid", mtime="5.1")
    assert mark(one) == mark(volume("block", "lvm-uuid", mtime="9.9"))
    assert mark(one) != mark(volume("block", "other-uuid"))


def test_no_times_no_fingerprint() -> None:
    assert mark("<volume type='file'><name>a</name></volume>") == ""
    assert mark(volume("dir")) == ""


def nested(**described: object) -> str:
    return "json:" + json.dumps(described)


@pytest.mark.parametrize(
    ("path", "format_", "expected"),
    [
        ("", "", ("", "")),
        ("/images/base", "qcow2", ("/images/base", "qcow2")),
        ("/images/./././base", "raw", ("/images/base", "raw")),
        ("file:/images/base", "qcow2", ("/images/base", "qcow2")),
        ("file:///images/base", "qcow2", ("/images/base", "qcow2")),
        ("nbd://box:10809/base", "raw", ("nbd://box:10809/base", "raw")),
        (
            nested(driver="qcow2", file={"driver": "file", "filename": "/images/b"}),
            "raw",
            ("/images/b", "qcow2"),
        ),
        (
            nested(**{"driver": "qcow2", "file.filename": "/images/b"}),
            "raw",
            ("/images/b", "qcow2"),
        ),
        (nested(driver="file", filename="/images/b"), "raw", ("/images/b", "")),
    ],
)
def test_backing_files(path: str, format_: str, expected: tuple[str, str]) -> None:
    assert backing_of(path, format_) == expected


@pytest.mark.parametrize(
    "path",
    [
        "json:{",
        "json:[]",
        "json:null",
        nested(driver="nbd", host="box"),
        nested(file={"filename": 7}),
        nested(driver="qcow2", file={"filename": "relative"}),
        "json:" + "[" * 100_000,
        "json:" + '{"file":' * 500 + "{}" + "}" * 500,
    ],
)
def test_backing_files_that_are_no_files_are_left_as_they_are(path: str) -> None:
    assert backing_of(path, "raw") == (path, "raw")


def test_paths_are_compared_as_they_are_meant() -> None:
    assert plain("//dev/./x/../null") == "/dev/null"
    assert same_place("/images/a", "//images/b/../a")
    assert not same_place("/images/a", "/images/A")
    assert same_place("nbd://box/a", "nbd://box/a")
    assert not same_place("nbd://box/a", "nbd://box//a")


def test_a_device_with_links() -> None:
    device = parse(
        """<device><devnode type='link'>/dev/disk/by-id/x</devnode>
        <devnode type='dev'>/dev/sda</devnode>
        <capability type='storage'><size>512</size></capability></device>"""
    )
    assert device_names(device) == ["/dev/sda", "/dev/disk/by-id/x"]
    by_link = device_facts("/dev/disk/by-id/x", "/dev/sda", device)
    by_name = device_facts("/dev/sda", "/dev/sda", device)
    assert by_link.fingerprint == by_name.fingerprint
    assert (by_link.exists, by_link.kind, by_link.capacity) == (True, "block", 512)


# --- Asking for one -------------------------------------------------------------------


def test_a_hostile_name_stays_a_name() -> None:
    name = "</name><target><path>/etc/passwd</path></target>&amp;\" ' ü"
    described = parse(volume_xml(Destination("volume", volume=name), 512, None))
    assert described.findtext("name") == name
    assert described.find("./target/path") is None


def test_everything_that_a_volume_can_have() -> None:
    locked = Destination(
        "volume", pool="p", volume="v", format="qcow2", encryption=Secret(usage="key")
    )
    below = ChainLink("/images/base", "file", "qcow2")
    described = parse(volume_xml(locked, 2**40, below))
    assert described.findtext("capacity") == str(2**40)
    assert described.findtext("allocation") == "0"
    assert described.findtext("./target/compat") == "1.1"
    secret = described.find("./target/encryption/secret")
    assert secret is not None
    assert secret.attrib == {"type": "passphrase", "usage": "key"}
    assert described.findtext("./backingStore/path") == "/images/base"


# --- Transient pools ------------------------------------------------------------------


def test_names_of_looks() -> None:
    assert is_own(new_name())
    assert not is_stale(new_name())
    assert is_stale(f"blockcopy-look-{int(time.time()) - 301}-0123abcd")
    assert new_name() != new_name()


@pytest.mark.parametrize(
    "name", ["images", "blockcopy-look-", "blockcopy-look-mine", "x blockcopy-look-1-0"]
)
def test_pools_of_other_people_are_left_alone(name: str) -> None:
    assert not is_own(name)
    assert not is_stale(name)


def test_libvirts_words_name_the_path_that_was_asked_for() -> None:
    words = "cannot open directory '/srv/./x.y/./././.': Permission denied"
    assert as_asked(words) == ("cannot open directory '/srv/./x.y': Permission denied")
