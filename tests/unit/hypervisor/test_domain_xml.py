"""Domain XML as libvirt 9.0 writes it, in its good and its odd moments."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from jobs.hypervisor import ChainLink, Mirror, Refused
from jobs.hypervisor import domain_xml as xml

LIVE = (Path(__file__).parent / "live.xml").read_text()


def only(disk: str) -> Element:
    target = "<target dev='vda' bus='virtio'/>"
    text = f"<domain id='3'><devices><disk>{disk}{target}</disk></devices></domain>"
    return xml.disks(xml.parse(text))["vda"]


def test_disks_by_target_in_their_order() -> None:
    assert list(xml.disks(xml.parse(LIVE))) == ["vda", "vdb", "sda", "hdc"]


def test_running_or_not() -> None:
    assert xml.domain_id(xml.parse(LIVE)) == 7
    assert xml.domain_id(xml.parse("<domain type='qemu'/>")) is None


def test_sources_and_formats() -> None:
    disks = xml.disks(xml.parse(LIVE))
    assert [(xml.source(disk), xml.format_of(disk)) for disk in disks.values()] == [
        ("/images/it's <top>&.qcow2", "qcow2"),
        ("/dev/vg0/data", "raw"),
        ("nbd://storage.example:10809/export", "raw"),
        ("", "raw"),
    ]


def test_chain_top_first() -> None:
    assert xml.chain(xml.disks(xml.parse(LIVE))["vda"]) == (
        ChainLink("/images/mid.qcow2", "file", "qcow2"),
        ChainLink("nbd://storage.example:10809/base", "network", "raw"),
    )


def test_no_chain() -> None:
    assert xml.chain(only("<backingStore/>")) == ()
    assert xml.chain(only("")) == ()


def test_chain_that_never_ends() -> None:
    layer = "<backingStore type='file'><format type='raw'/><source file='/x'/>"
    deep = only(layer * 5000 + "</backingStore>" * 5000)
    assert len(xml.chain(deep)) == xml.LONGEST_CHAIN


def test_mirror_under_way() -> None:
    assert xml.mirror(xml.disks(xml.parse(LIVE))["vda"]) == Mirror(
        "copy", "", "/images/copy'<&.qcow2", "qcow2", "file"
    )


@pytest.mark.parametrize("ready", ["yes", "pivot", "abort"])
def test_mirror_that_is_ready(ready: str) -> None:
    disk = only(
        f"<mirror type='file' job='copy' ready='{ready}'><format type='raw'/>"
        "<source file='/b' index='2'/></mirror>"
    )
    mirror = xml.mirror(disk)
    assert mirror == Mirror("copy", ready, "/b", "raw", "file")
    assert mirror.is_ready is (ready == "yes")


def test_mirror_to_a_network_destination() -> None:
    disk = only(
        "<mirror type='network' job='copy'><format type='raw'/>"
        "<source protocol='nbd' name='x'><host name='h' port='1'/></source></mirror>"
    )
    assert xml.mirror(disk) == Mirror("copy", "", "nbd://h:1/x", "raw", "network")


def test_mirror_in_the_moment_of_conclusion() -> None:
    """Seen for some milliseconds: neither a job nor a source."""
    assert xml.mirror(only("<mirror type='file' job=''/>")) == Mirror(
        "", "", "", "", "file"
    )


def test_mirror_of_old_hosts_has_only_attributes() -> None:
    disk = only("<mirror file='/b' format='qcow2' job='copy' ready='yes'/>")
    assert xml.mirror(disk) == Mirror("copy", "yes", "/b", "qcow2")


def test_no_mirror() -> None:
    assert xml.mirror(only("")) is None


def test_disk_without_a_target_is_nobodys() -> None:
    devices = "<devices><disk/><disk><target/></disk></devices>"
    assert xml.disks(xml.parse(f"<domain>{devices}</domain>")) == {}


BOMB = "<!DOCTYPE d [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><domain>&b;</domain>"
FILE = "<!DOCTYPE d [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><domain>&f;</domain>"


@pytest.mark.parametrize("text", [BOMB, FILE, "<!DOCTYPE domain><domain/>"])
def test_document_type_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="document type"):
        xml.parse(text)


@pytest.mark.parametrize("text", ["", "<domain>", "no", "<a/><b/>", "&x;"])
def test_not_xml(text: str) -> None:
    with pytest.raises(Refused):
        xml.parse(text)
