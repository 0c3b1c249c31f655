"""A persistent disk that follows the live one to another kind of place."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from jobs.hypervisor.repair import following

SECRET = "<secret type='passphrase' usage='u'/>"
LASTING = f"""
<disk type='file' device='disk'>
  <driver name='qemu' type='qcow2' cache='none'>
    <metadata_cache><max_size unit='bytes'>4096</max_size></metadata_cache>
  </driver>
  <auth username='olga'><secret type='iscsi' usage='i'/></auth>
  <source file='/images/a.qcow2'/>
  <backingStore type='file'><source file='/images/base'/></backingStore>
  <encryption format='luks'>{SECRET}</encryption>
  <target dev='vda' bus='virtio'/>
  <serial>7</serial>
</disk>
"""


def test_to_a_network() -> None:
    disk = follow(
        "<disk type='network'><driver name='qemu' type='raw'/>"
        "<source protocol='nbd' name='web' index='3'><host name='h' port='10809'/>"
        f"<encryption format='luks'>{SECRET}</encryption></source></disk>"
    )
    assert disk.get("type") == "network"
    assert [child.tag for child in disk] == ["source", "driver", "target", "serial"]
    assert disk[0].get("protocol") == "nbd"
    assert [child.tag for child in disk[0]] == ["host", "encryption"]
    assert disk[1].attrib == {"name": "qemu", "type": "raw", "cache": "none"}
    assert not list(disk[1])


def follow(live: str) -> Element:
    lasting = ElementTree.fromstring(LASTING)
    before = ElementTree.tostring(lasting)
    disk = following(lasting, ElementTree.fromstring(live))
    assert ElementTree.tostring(lasting) == before
    return disk


def test_to_a_file_with_a_cache_of_its_own() -> None:
    disk = follow(
        "<disk type='file'><driver name='qemu' type='qcow2'><metadata_cache>"
        "<max_size unit='bytes'>8192</max_size></metadata_cache></driver>"
        "<source file='/images/b.qcow2'/></disk>"
    )
    assert disk[0].get("file") == "/images/b.qcow2"
    assert disk.findtext("./driver/metadata_cache/max_size") == "8192"
    assert disk.findtext("serial") == "7"
