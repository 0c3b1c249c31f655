"""Destinations as XML, and out of an expert's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.hypervisor import (
    Destination,
    DestinationError,
    Secret,
    Server,
    from_xml,
    to_xml,
)
from tests.unit.hypervisor.destinations import destinations
from tests.unit.hypervisor.test_destination import (
    FILE,
    GLUSTER,
    IQN,
    ISCSI,
    NBD,
    RBD,
    SECRET,
    UUID,
    VOLUME,
)

BASE = Destination("file", "/base.raw", "raw")


@pytest.mark.parametrize(
    ("destination", "inside"),
    [
        (
            Destination("file", "/images/b.qcow2", "qcow2"),
            '<source file="/images/b.qcow2" /><driver type="qcow2" />',
        ),
        (
            Destination("block", "/dev/vg/lv", "raw"),
            '<source dev="/dev/vg/lv" /><driver type="raw" />',
        ),
        (
            NBD,
            '<source protocol="nbd" name="web"><host name="alder" /></source>'
            '<driver type="raw" />',
        ),
        (
            replace(NBD, name="", tls=True, servers=(Server("::1", 10810),)),
            '<source protocol="nbd" tls="yes"><host name="::1" port="10810" /></source>'
            '<driver type="raw" />',
        ),
        (
            replace(NBD, servers=(Server(socket="/run/nbd.sock"),)),
            '<source protocol="nbd" name="web">'
            '<host transport="unix" socket="/run/nbd.sock" /></source>'
            '<driver type="raw" />',
        ),
        (
            replace(
                RBD,
                servers=(Server("m1"), Server("m2", 6789)),
                user="olga",
                auth=Secret(usage="ceph olga"),
            ),
            '<source protocol="rbd" name="pool/image"><host name="m1" />'
            '<host name="m2" port="6789" /><auth username="olga">'
            '<secret type="ceph" usage="ceph olga" /></auth></source>'
            '<driver type="raw" />',
        ),
        (
            replace(ISCSI, user="olga", auth=SECRET),
            f'<source protocol="iscsi" name="{IQN}/1"><host name="alder" />'
            f'<auth username="olga"><secret type="iscsi" uuid="{UUID}" /></auth>'
            '</source><driver type="raw" />',
        ),
        (
            replace(GLUSTER, format="qcow2"),
            '<source protocol="gluster" name="volume/a/b.img"><host name="alder" />'
            '</source><driver type="qcow2" />',
        ),
        (
            replace(FILE, encryption=SECRET, slice_offset=512, slice_size=1024),
            '<source file="/images/b"><encryption format="luks">'
            f'<secret type="passphrase" uuid="{UUID}" /></encryption>'
            '<slices><slice type="storage" offset="512" size="1024" /></slices>'
            '</source><driver type="raw" />',
        ),
        (
            Destination("file", "/b", metadata_cache=4096, backing=BASE),
            '<source file="/b" /><driver type="qcow2"><metadata_cache>'
            '<max_size unit="bytes">4096</max_size></metadata_cache></driver>'
            '<backingStore type="file"><format type="raw" />'
            '<source file="/base.raw" /></backingStore>',
        ),
    ],
)
def test_as_xml(destination: Destination, inside: str) -> None:
    assert to_xml(destination) == f'<disk type="{destination.kind}">{inside}</disk>'


@pytest.mark.parametrize(
    ("path", "type_", "source"),
    [
        ("/images/b", "file", {"file": "/images/b"}),
        ("/dev/vg/b", "block", {"dev": "/dev/vg/b"}),
        ("", "volume", {"pool": "images", "volume": "b.qcow2"}),
    ],
)
def test_volume_by_its_path(path: str, type_: str, source: dict[str, str]) -> None:
    disk = ElementTree.fromstring(to_xml(replace(VOLUME, path=path)))
    assert disk.get("type") == type_
    assert disk[0].attrib == source


@pytest.mark.parametrize("path", ["/a/'x'.img", '/a/"x"', "/a/<x>&amp;", "/a/]]>"])
def test_hostile_path(path: str) -> None:
    disk = ElementTree.fromstring(to_xml(Destination("file", path, "raw")))
    assert [element.tag for element in disk] == ["source", "driver"]
    assert disk[0].attrib == {"file": path}


@given(destinations())
def test_written_and_read(destination: Destination) -> None:
    assert from_xml(to_xml(destination)) == destination


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<disk><driver type='raw'/><source file='/b'/></disk>", {"path": "/b"}),
        (
            "<?xml version='1.0' encoding='utf-16'?>\n<!-- ü -->\n<disk type='file'>\n"
            "  <source file='/b'/>\n  <driver type='raw'/>\n</disk>\n",
            {"path": "/b"},
        ),
        (
            "<disk type='block'><source dev='/dev/b'><encryption format='luks' "
            "engine='qemu'><secret type='passphrase' usage='u'/></encryption></source>"
            "<driver type='raw'/><backingStore/></disk>",
            {"kind": "block", "path": "/dev/b", "encryption": Secret(usage="u")},
        ),
        (
            "<disk type='network'><source protocol='nbd' name='x' tls='no'>"
            "<host transport='tcp' name='h' port='1'/></source><driver type='raw'/>"
            "</disk>",
            {
                "kind": "network",
                "protocol": "nbd",
                "name": "x",
                "servers": (Server("h", 1),),
            },
        ),
        (
            "<disk><source file='/b'/><driver type='qcow2'><metadata_cache><max_size "
            "unit='MiB'>\n3 </max_size></metadata_cache></driver><backingStore "
            "type='file'><source file='/base'/><format type='qcow2'/><backingStore/>"
            "</backingStore></disk>",
            {
                "path": "/b",
                "format": "qcow2",
                "metadata_cache": 3 * 2**20,
                "backing": Destination("file", "/base"),
            },
        ),
    ],
)
def test_read(text: str, expected: dict[str, Any]) -> None:
    assert from_xml(text) == Destination(
        **{"kind": "file", "format": "raw", **expected}
    )


def refusal(text: str) -> str:
    """The one sentence about it."""
    with pytest.raises(DestinationError) as wrong:
        from_xml(text)
    assert wrong.value.field == "xml"
    assert wrong.value.cause.endswith(".")
    return wrong.value.cause


@pytest.mark.parametrize(
    ("where", "added", "names"),
    [
        ("disk", "<target dev='vdb'/>", ("<target>", "<disk>")),
        ("disk", "<serial>1</serial>", ("<serial>",)),
        ("disk", "<readonly/>", ("<readonly>",)),
        ("disk", "<mirror type='file'/>", ("<mirror>",)),
        ("disk", "<x:y xmlns:x='urn:x'/>", ("<{urn:x}y>",)),
        ("disk", "<auth username='o'/>", ("<auth>", "inside <source>")),
        ("disk", "<encryption format='luks'/>", ("<encryption>", "inside <source>")),
        ("disk", "<driver type='raw'/>", ("<driver>", "more than one")),
        ("disk", "<source file='/c'/>", ("<source>", "more than one")),
        ("disk", "text", ("text in <disk>",)),
        ("source", "<reservations managed='yes'/>", ("<reservations>", "<source>")),
        ("source", "<initiator/>", ("<initiator>",)),
        ("source", "<host name='h'/>", ("<host>",)),
        ("source", "<auth username='o'/>", ("<auth>",)),
        ("source", "<config file='/c'/>", ("<config>",)),
        ("source", "text", ("text in <source>",)),
        ("driver", "<x/>", ("<x>", "<driver>")),
    ],
)
def test_element_refused_by_name(
    where: str, added: str, names: tuple[str, ...]
) -> None:
    insides = {"disk": "", "source": "", "driver": "", where: added}
    cause = refusal(
        f"<disk type='file'>{insides['disk']}<source file='/b'>{insides['source']}"
        f"</source><driver type='raw'>{insides['driver']}</driver></disk>"
    )
    assert all(name in cause for name in names)


@pytest.mark.parametrize(
    ("tag", "attribute"),
    [
        *(("disk", name) for name in ("device", "snapshot", "sgio", "model")),
        *(("source", name) for name in ("index", "startupPolicy", "dev", "protocol")),
        *(("driver", name) for name in ("name", "cache", "discard", "iothread")),
    ],
)
def test_attribute_refused_by_name(tag: str, attribute: str) -> None:
    given = {"disk": "", "source": "", "driver": "", tag: f"{attribute}='x'"}
    cause = refusal(
        f"<disk {given['disk']}><source file='/b' {given['source']}/>"
        f"<driver type='raw' {given['driver']}/></disk>"
    )
    assert f"“{attribute}” of <{tag}>" in cause
    assert "remove it" in cause


NETWORK = "<disk type='network'><source protocol='{}' name='{}'>{}</source>{}</disk>"
RAW = "<driver type='raw'/>"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read"),
        ("<disk>", "cannot be read"),
        ("<disk/><disk/>", "cannot be read"),
        ("\udcff", "cannot be read"),
        ("<disk \x00/>", "cannot be read"),
        ("<domain/>", "must be one <disk>, not <domain>"),
        ("<disk/>", "no <source>"),
        ("<disk><source file='/b'/></disk>", "never guessed"),
        (f"<disk type='dir'><source dir='/b'/>{RAW}</disk>", "not “dir”"),
        (f"<disk><source/>{RAW}</disk>", "names no place"),
        (f"<disk type='block'><source file='/b'/>{RAW}</disk>", "“dev”"),
        ("<disk><source file='/b'/><driver type='vmdk'/></disk>", "not “vmdk”"),
        ("<disk><source file='/b'/><driver/></disk>", "raw or qcow2"),
        (f"<disk><source file='b'/>{RAW}</disk>", "absolute path"),
        (NETWORK.format("http", "x", "<host name='h'/>", RAW), "not “http”"),
        (NETWORK.format("nbd", "x", "", RAW), "name a server"),
        (NETWORK.format("nbd", "x", "<host name='h' port='x'/>", RAW), "whole number"),
        (NETWORK.format("nbd", "x", "<host name='h' port='²'/>", RAW), "whole number"),
        (NETWORK.format("nbd", "x", f"<host port='{'9' * 5000}'/>", RAW), "whole"),
        (NETWORK.format("nbd", "x", "<host socket='/s'/>", RAW), "write both"),
        (NETWORK.format("nbd", "x", "<host transport='unix'/>", RAW), "write both"),
        (NETWORK.format("nbd", "x", "<host transport='rdma'/>", RAW), "not “rdma”"),
        (NETWORK.format("nbd", "x", "<auth/>", RAW), "cannot be used for nbd"),
        (NETWORK.format("rbd", "p/i", "<auth/>", RAW), "no <secret>"),
        (
            NETWORK.format("rbd", "p/i", "<snapshot name='s'/>", RAW),
            "<snapshot> in <source>",
        ),
        (
            NETWORK.format(
                "rbd", "p/i", "<auth><secret type='iscsi' usage='u'/></auth>", RAW
            ),
            "must be ceph",
        ),
    ],
)
def test_refused(text: str, words: str) -> None:
    assert words in refusal(text)


def test_entities_are_refused() -> None:
    bomb = "<!DOCTYPE d [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>"
    outside = "<!DOCTYPE d SYSTEM 'file:///etc/passwd'>"
    for declared in (bomb, outside):
        cause = refusal(f"{declared}<disk><source file='/b'/>{RAW}</disk>")
        assert "<!DOCTYPE>" in cause


def test_too_long() -> None:
    fitting = f"<disk><source file='/b'/>{RAW}</disk>"
    padded = fitting + " " * (64 * 1024 - len(fitting))
    assert from_xml(padded) == Destination("file", "/b", "raw")
    assert "64 KiB" in refusal(padded + " ")
    assert "64 KiB" in refusal(fitting + "<!--" + "ü" * 32 * 1024 + "-->")


def test_too_deep() -> None:
    assert "nested too deeply" in refusal("<disk>" * 1000)


def test_long_names_are_cut() -> None:
    assert len(refusal(f"<{'x' * 5000}/>")) < 200
    assert len(refusal(f"<disk {'x' * 5000}=''><source file='/b'/>{RAW}</disk>")) < 200


@given(st.text(max_size=200) | st.text("<>/='\"&;! abdiskourcefle", max_size=200))
def test_whatever_is_written_there_is_an_answer(text: str) -> None:
    with pytest.raises(DestinationError):
        from_xml(text)


def test_chain_that_is_too_long() -> None:
    link = "<backingStore type='file'><format type='qcow2'/><source file='/b'/>"
    text = f"<disk><source file='/b'/><driver type='qcow2'/>{link * 21}" + (
        "</backingStore>" * 21 + "</disk>"
    )
    assert "too long" in refusal(text)
