"""Destinations: what is wrong with one, and its one text for a place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given

from jobs.hypervisor import (
    Destination,
    DestinationError,
    Secret,
    Server,
    check,
    destination_from_json,
    destination_to_json,
    to_xml,
)
from jobs.hypervisor.destination import location
from tests.unit.hypervisor.destinations import destinations

UUID = "2a5b08e4-3dca-4ff9-9a1d-40389758d081"
IQN = "iqn.2024-01.org.example:storage"
FILE = Destination("file", "/images/b", "raw")
VOLUME = Destination("volume", pool="images", volume="b.qcow2")
NBD = Destination(
    "network", format="raw", protocol="nbd", name="web", servers=(Server("alder"),)
)
RBD = replace(NBD, protocol="rbd", name="pool/image")
ISCSI = replace(NBD, protocol="iscsi", name=f"{IQN}/1")
GLUSTER = replace(NBD, protocol="gluster", name="volume/a/b.img")
SECRET = Secret(uuid=UUID)


@pytest.mark.parametrize("path", ["/" + "n" * 255, "/n" * 2047, "/ü/ /'\"<&>]]>"])
def test_any_path(path: str) -> None:
    check(replace(FILE, path=path))


@pytest.mark.parametrize(
    "path",
    [
        *("", "images/b.raw", "/images/../etc/b.raw", "/images/./b.raw"),
        *("/images//b.raw", "//images/b.raw", "/images/b/", "/"),
        *("/images/b\n.raw", "/images/b\x00.raw", "/images/b\x1b[2J"),
        *("/images/b\u202e.raw", "/images/\udcff.raw", "/images/\ufffe"),
        *("/" + "n" * 256, "/" + "ü" * 128, "/n" * 2100),
    ],
)
def test_bad_path(path: str) -> None:
    for wrong in (
        replace(FILE, path=path),
        replace(FILE, kind="block", path=path),
    ):
        assert refusal(wrong).field == "path"


def refusal(destination: Destination) -> DestinationError:
    """What is wrong with it; to_xml refuses it as well, and says what to do."""
    for refusing in (to_xml, check):
        with pytest.raises(DestinationError) as wrong:
            refusing(destination)
    assert wrong.value.cause.endswith(".")
    assert wrong.value.cause.isprintable()
    return wrong.value


@pytest.mark.parametrize(
    ("field", "wrong", "words"),
    [
        ("kind", replace(FILE, kind="tape"), "must be a file, a device"),  # type: ignore[arg-type]
        ("format", replace(FILE, format="vmdk"), "raw or qcow2"),  # type: ignore[arg-type]
        ("format", replace(NBD, format=""), "raw or qcow2"),  # type: ignore[arg-type]
        ("format", replace(VOLUME, format="luks"), "raw or qcow2"),  # type: ignore[arg-type]
        # Fields of another kind.
        ("pool", replace(FILE, pool="images"), "A file has no pool"),
        ("servers", replace(FILE, servers=(Server("a"),)), "A file has no servers"),
        ("tls", replace(VOLUME, tls=True), "A storage volume has no tls"),
        ("slice_size", replace(VOLUME, slice_size=512), "has no slice size"),
        ("path", replace(NBD, path="/b"), "A network destination has no path"),
        # Volumes.
        ("pool", replace(VOLUME, pool=""), "name it"),
        ("volume", replace(VOLUME, volume=""), "name it"),
        ("pool", replace(VOLUME, pool="a/b"), "without “/”"),
        ("volume", replace(VOLUME, volume="../b"), "without “/”"),
        ("volume", replace(VOLUME, volume=".."), "without “/”"),
        ("volume", replace(VOLUME, volume="a\n"), "control characters"),
        ("volume", replace(VOLUME, volume="n" * 256), "at most 255 bytes"),
        ("path", replace(VOLUME, path="b.qcow2"), "absolute path"),
        # Networks.
        ("protocol", replace(NBD, protocol=None), "nbd, rbd, iscsi or gluster"),
        ("protocol", replace(NBD, protocol="http"), "nbd, rbd, iscsi or gluster"),  # type: ignore[arg-type]
        ("name", replace(NBD, name="a\x07"), "control characters"),
        ("name", replace(NBD, name="ü" * 2049), "at most 4096 bytes"),
        ("servers", replace(NBD, servers=()), "name a server"),
        ("servers", replace(RBD, servers=()), "name a monitor"),
        ("servers", replace(NBD, servers=(Server("a"), Server("b"))), "one server"),
        ("servers", replace(ISCSI, servers=(Server("a"), Server("b"))), "one server"),
        ("servers", replace(RBD, servers=(Server("a"), Server("a"))), "twice"),
        ("tls", replace(RBD, tls=True), "switch it off"),
        ("tls", replace(NBD, tls=True, servers=(Server(socket="/s"),)), "Unix socket"),
        ("user", replace(NBD, user="olga", auth=SECRET), "knows no users"),
        ("auth", replace(GLUSTER, auth=SECRET), "knows no users"),
        ("user", replace(RBD, auth=SECRET), "name the user too"),
        ("auth", replace(RBD, user="olga"), "name the secret too"),
        ("user", replace(RBD, user="o\n", auth=SECRET), "control characters"),
        ("auth", replace(RBD, user="o", auth=Secret()), "one of them"),
        # What any kind can have.
        ("encryption", replace(FILE, encryption=Secret()), "one of them"),
        ("encryption", replace(FILE, encryption=Secret(UUID, "u")), "one of them"),
        ("encryption", replace(FILE, encryption=Secret(UUID[:-1])), "written as"),
        ("encryption", replace(FILE, encryption=Secret(UUID + "\n")), "written as"),
        ("encryption", replace(FILE, encryption=Secret(usage="\n")), "control"),
        ("encryption", replace(FILE, encryption=Secret(usage="u" * 1025)), "at most"),
        ("slice_size", replace(FILE, slice_size=513), "multiple of 512"),
        ("slice_size", replace(FILE, slice_size=-512), "multiple of 512"),
        ("slice_size", replace(FILE, slice_size="512"), "whole number"),  # type: ignore[arg-type]
        ("slice_size", replace(FILE, slice_size=2**63), "whole number"),
        ("slice_size", replace(FILE, slice_offset=512), "needs a size"),
        (
            "slice_size",
            replace(FILE, slice_offset=2**62, slice_size=2**62),
            "too large",
        ),
        ("slice_offset", replace(FILE, slice_offset=1, slice_size=512), "of 512"),
        ("metadata_cache", replace(FILE, metadata_cache=512), "Only qcow2"),
        ("metadata_cache", replace(VOLUME, metadata_cache=-1), "whole number"),
        ("metadata_cache", replace(VOLUME, metadata_cache=True), "whole number"),
        ("backing", replace(FILE, backing=FILE), "Only qcow2"),
        ("backing", replace(VOLUME, backing=VOLUME), "by its path"),
        ("backing", replace(VOLUME, backing=replace(FILE, path="b")), "absolute path"),
    ],
)
def test_refused(field: str, wrong: Destination, words: str) -> None:
    error = refusal(wrong)
    assert error.field == field
    assert words in error.cause


@pytest.mark.parametrize(
    "name",
    [
        *("alder", "alder.example.org.", "10.0.0.1", "::1", "2001:db8::1", "a" * 63),
        *("fe80::1%eth0", "storage_1.internal", "1.example", "xn--bcher-kva.example"),
    ],
)
def test_good_server(name: str) -> None:
    for destination in (NBD, RBD, ISCSI, GLUSTER):
        check(replace(destination, servers=(Server(name, 1), Server(name, 65535))[:1]))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            " ",
            "a b",
            "a/b",
            "a?socket=/s",
            "-a",
            "a..b",
            ".a",
            "a" * 64,
            "a" * 254,
        ),
        *("[::1]", "::1%", "::1%e/0", "1::2::3", "10.0.0.256", "1.2.3", "127.1", "7"),
        *("alder:10809", "alder\n", "älder", "a@b", "a,b", "${HOME}"),
    ],
)
def test_bad_server(name: str) -> None:
    assert refusal(replace(NBD, servers=(Server(name),))).field == "servers"


@pytest.mark.parametrize("port", [0, -1, 65536, "80", True, 1.0])
def test_bad_port(port: Any) -> None:
    assert "1 to 65535" in refusal(replace(NBD, servers=(Server("a", port),))).cause


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (Server(socket="run/s"), "absolute path"),
        (Server(socket="/run/../s"), "absolute path"),
        (Server(socket="/s\n"), "control characters"),
        (Server(socket="/" + "s" * 107), "at most 107 bytes"),
        (Server("alder", socket="/s"), "leave one of them away"),
        (Server(port=1, socket="/s"), "leave one of them away"),
    ],
)
def test_bad_socket(server: Server, words: str) -> None:
    assert words in refusal(replace(NBD, servers=(server,))).cause


def test_sockets_of_those_who_know_them() -> None:
    server = (Server(socket="/" + "s" * 106),)
    for knows in (NBD, GLUSTER):
        check(replace(knows, servers=server))
    for knows_not in (RBD, ISCSI):
        error = refusal(replace(knows_not, servers=server))
        assert "knows no Unix sockets" in error.cause


@pytest.mark.parametrize(
    ("destination", "name"),
    [
        *((RBD, name) for name in ("", "image", "/image", "pool/", "a/b/c", "p/i@s")),
        *((ISCSI, name) for name in ("", IQN, f"{IQN}/", f"{IQN}/x", f"{IQN}/16384")),
        *((ISCSI, name) for name in (f"{IQN}/01", f"{IQN}/1/2", "iqn.2024-13.a/1")),
        *((ISCSI, name) for name in ("storage/1", "eui.1/1", "iqn.2024-01.A b:x/1")),
        (ISCSI, f"iqn.2024-01.org:{'x' * 220}/1"),
        *((GLUSTER, name) for name in ("", "volume", "/b.img", "volume/", "v//b")),
        *((GLUSTER, name) for name in ("v/../b", "v/./b", "../b", "v/b/")),
    ],
)
def test_bad_name(destination: Destination, name: str) -> None:
    assert refusal(replace(destination, name=name)).field == "name"


@pytest.mark.parametrize(
    ("destination", "name"),
    [
        *((NBD, name) for name in ("", "/a", "a b", "ü", "e" * 4096, "?x=#%")),
        *((ISCSI, name) for name in (f"{IQN}/0", "eui.0123456789abcdef/1")),
        *((ISCSI, name) for name in ("iqn.2024-01.org/16383", f"naa.{'0' * 32}/1")),
        *((GLUSTER, name) for name in ("v/b", "v/a/b c.img")),
    ],
)
def test_good_name(destination: Destination, name: str) -> None:
    check(replace(destination, name=name))


def test_longest_chain() -> None:
    chain = base = Destination("file", "/base")
    for _ in range(20):
        chain = replace(base, backing=chain)
    check(chain)
    assert "too long" in refusal(replace(base, backing=chain)).cause


@given(destinations())
def test_kept_with_a_job(destination: Destination) -> None:
    assert destination_from_json(destination_to_json(destination)) == destination


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/images/b", "file"),
        ("/dev/vg/b", "block"),
        ("/dev/disk/by-path/ip-10.0.0.1-lun-1", "block"),
        ("/dev/shm/pool/b", "file"),
        ("/dev/shm", "block"),
        ("/device/b", "file"),
        ("", "volume"),
    ],
)
def test_what_a_volume_is(path: str, expected: str) -> None:
    assert replace(VOLUME, path=path).source_type == expected


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        (FILE, "/images/b"),
        (VOLUME, "images/b.qcow2"),
        (replace(VOLUME, path="/images/b.qcow2"), "/images/b.qcow2"),
        (NBD, "nbd://alder:10809/web"),
        (replace(NBD, servers=(Server("Alder", 1),)), "nbd://alder:1/web"),
        (replace(NBD, servers=(Server("0::1"),)), "nbd://[::1]:10809/web"),
        (replace(NBD, servers=(Server(socket="/s"),)), "nbd+unix:///web?socket=/s"),
        (RBD, "rbd://alder/pool/image"),
        (
            replace(RBD, servers=(Server("a"), Server("b", 6789))),
            "rbd://a,b:6789/pool/image",
        ),
        (ISCSI, f"iscsi://alder:3260/{IQN}/1"),
        (
            replace(GLUSTER, servers=(Server("a"), Server(socket="/s&t"))),
            "gluster://a:24007/volume/a/b.img?socket=/s%26t",
        ),
    ],
)
def test_location(destination: Destination, expected: str) -> None:
    assert destination.location == expected


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
        (
            f"<source protocol='iscsi' name='{IQN}'><host name='h'/></source>",
            f"iscsi://h:3260/{IQN}/0",
        ),
        (
            "<source protocol='https' name='i'><host name='h' port='x'/></source>",
            "https://h/i",
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


def test_no_two_places_have_one_location() -> None:
    """Whoever names an export may choose any characters."""
    one = replace(NBD, name="a", servers=(Server(socket="/s?socket=/t"),))
    other = replace(NBD, name="a?socket=/s", servers=(Server(socket="/t"),))
    third = replace(NBD, name="a%3Fsocket=/s", servers=(Server(socket="/t"),))
    assert len({one.location, other.location, third.location}) == 3


@given(destinations())
def test_location_is_that_of_the_xml(destination: Destination) -> None:
    """What the host shows is compared with what was asked for."""
    source = ElementTree.fromstring(to_xml(destination)).find("source")
    assert location(source) == destination.location
