"""Destinations, options, and the XML that is made of them."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.hypervisor import (
    CopyOptions,
    Destination,
    DestinationError,
    InvalidOption,
    check,
    check_bandwidth,
    check_options,
    to_xml,
)
from jobs.hypervisor.destination import location


def test_file_as_xml() -> None:
    assert to_xml(Destination("file", "/images/b.qcow2", "qcow2")) == (
        '<disk type="file"><source file="/images/b.qcow2" />'
        '<driver type="qcow2" /></disk>'
    )


def test_device_as_xml() -> None:
    assert to_xml(Destination("block", "/dev/vg/lv", "raw")) == (
        '<disk type="block"><source dev="/dev/vg/lv" /><driver type="raw" /></disk>'
    )


names = st.text(
    st.characters(exclude_characters="/", exclude_categories=["C", "Z"]),
    min_size=1,
    max_size=40,
).filter(lambda name: name not in (".", ".."))


@given(names, st.sampled_from(["raw", "qcow2"]), st.sampled_from(["file", "block"]))
def test_any_path_arrives_as_it_is(name: str, format_: Any, kind: Any) -> None:
    destination = Destination(kind, f"/images/{name}", format_)
    disk = ElementTree.fromstring(to_xml(destination))
    assert location(disk.find("source")) == destination.path
    (driver,) = disk.iterfind("driver")
    assert driver.attrib == {"type": format_}
    assert disk.get("type") == kind


@pytest.mark.parametrize("path", ["/a/'x'.img", '/a/"x"', "/a/<x>&amp;", "/a/]]>"])
def test_hostile_path(path: str) -> None:
    disk = ElementTree.fromstring(to_xml(Destination("file", path, "raw")))
    assert [element.tag for element in disk] == ["source", "driver"]
    assert disk[0].attrib == {"file": path}


@pytest.mark.parametrize(
    ("field", "destination"),
    [
        ("path", Destination("file", "", "raw")),
        ("path", Destination("file", "images/b.raw", "raw")),
        ("path", Destination("file", "/images/../etc/b.raw", "raw")),
        ("path", Destination("file", "/images/./b.raw", "raw")),
        ("path", Destination("file", "/images//b.raw", "raw")),
        ("path", Destination("file", "//images/b.raw", "raw")),
        ("path", Destination("file", "/images/b/", "raw")),
        ("path", Destination("file", "/", "raw")),
        ("path", Destination("file", "/images/b\n.raw", "raw")),
        ("path", Destination("file", "/images/b\x00.raw", "raw")),
        ("path", Destination("file", "/images/b\x1b[2J", "raw")),
        ("path", Destination("file", "/images/b\u202e.raw", "raw")),
        ("path", Destination("file", "/images/\udcff.raw", "raw")),
        ("path", Destination("file", "/" + "n" * 256, "raw")),
        ("path", Destination("file", "/n" * 2100, "raw")),
        ("format", Destination("file", "/images/b", "vmdk")),  # type: ignore[arg-type]
        ("format", Destination("file", "/images/b", "")),  # type: ignore[arg-type]
        ("kind", Destination("tape", "/images/b", "raw")),  # type: ignore[arg-type]
    ],
)
def test_refused(field: str, destination: Destination) -> None:
    for refusing in (check, to_xml):
        with pytest.raises(DestinationError) as wrong:
            refusing(destination)
        assert wrong.value.field == field


def test_longest_path() -> None:
    check(Destination("file", "/" + "n" * 255, "raw"))
    check(Destination("file", "/n" * 2047, "raw"))


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


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<source file='/a' index='1'/>", "/a"),
        ("<source dev='/dev/a'/>", "/dev/a"),
        ("<source dir='/a'/>", "/a"),
        ("<source pool='images' volume='a.img'/>", "images/a.img"),
        (
            "<source protocol='nbd' name='x'><host name='h' port='10809'/></source>",
            "nbd://h:10809/x",
        ),
        (
            "<source protocol='nbd'><host transport='unix' socket='/s'/></source>",
            "nbd+unix:///?socket=/s",
        ),
        (
            "<source protocol='rbd' name='p/i'><host name='m1'/><host name='m2'/>"
            "</source>",
            "rbd://m1,m2/p/i",
        ),
        ("<source protocol='rbd' name='p/i'/>", "rbd:///p/i"),
        ("<source type='unix' path='/vhost.sock'/>", "/vhost.sock"),
        ("<source/>", ""),
    ],
)
def test_location_of_any_source(source: str, expected: str) -> None:
    assert location(ElementTree.fromstring(source)) == expected


def test_location_of_none() -> None:
    assert location(None) == ""
