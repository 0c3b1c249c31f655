"""`blockcopy job start`: every kind of destination, its options, and raw XML."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from jobs.hypervisor import Destination, Secret, Server
from jobs.models import AuditEntry, CopyJob, Disk
from tests.cli.conftest import Run, Says
from tests.cli.copies import START, TO, the_job

pytestmark = pytest.mark.usefixtures("redis")

UUID = "2a5b08e4-3dca-4ff9-9a1d-40389758d081"
XML = (
    '<disk type="block"><source dev="/dev/vg0/it&apos;s &amp; web"/>'
    '<driver type="raw"/></disk>'
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ("--to", TO),
            Destination("file", TO, "qcow2"),
        ),
        (
            ("--kind", "block", "--to", "/dev/vg0/web", "--format", "raw"),
            Destination("block", "/dev/vg0/web", "raw"),
        ),
        (
            ("--kind", "volume", "--pool", "fast", "--volume", "web.img"),
            Destination("volume", pool="fast", volume="web.img"),
        ),
        (
            ("--kind", "nbd", "--server", "nbd.example:10810", "--export", "a b"),
            Destination(
                "network",
                protocol="nbd",
                name="a b",
                servers=(Server("nbd.example", 10810),),
            ),
        ),
        (
            ("--kind", "nbd", "--socket", "/run/nbd.sock"),
            Destination(
                "network", protocol="nbd", servers=(Server(socket="/run/nbd.sock"),)
            ),
        ),
        (
            ("--kind", "nbd", "--server", "[2001:db8::1]:10810", "--tls"),
            Destination(
                "network",
                protocol="nbd",
                servers=(Server("2001:db8::1", 10810),),
                tls=True,
            ),
        ),
        (
            (
                *("--kind", "rbd", "--name", "vms/web", "--server", "mon1"),
                *("--server", "mon2:6789", "--user", "libvirt"),
                *("--secret", f"uuid:{UUID}"),
            ),
            Destination(
                "network",
                protocol="rbd",
                name="vms/web",
                servers=(Server("mon1"), Server("mon2", 6789)),
                user="libvirt",
                auth=Secret(uuid=UUID),
            ),
        ),
        (
            (
                *("--kind", "iscsi", "--name", "iqn.2024-01.example:s/1"),
                *("--server", "[2001:db8::2]", "--user", "u"),
                *("--secret", "usage:chap: odd one"),
            ),
            Destination(
                "network",
                protocol="iscsi",
                name="iqn.2024-01.example:s/1",
                servers=(Server("2001:db8::2"),),
                user="u",
                auth=Secret(usage="chap: odd one"),
            ),
        ),
        (
            ("--kind", "gluster", "--name", "vol/web.img", "--server", "g1"),
            Destination(
                "network",
                protocol="gluster",
                name="vol/web.img",
                servers=(Server("g1"),),
            ),
        ),
        (
            (
                *("--to", TO, "--reuse-external", "--luks-secret", "usage:luks"),
                *("--slice", "1MiB:10GiB"),
            ),
            Destination(
                "file",
                TO,
                encryption=Secret(usage="luks"),
                slice_offset=2**20,
                slice_size=10 * 2**30,
            ),
        ),
    ],
)
def test_each_kind_is_recorded_as_it_was_asked_for(
    blockcopy: Run, disk: Disk, words: tuple[str, ...], expected: Destination
) -> None:
    done = blockcopy(*START, *words, "--json")

    assert done.status == 0, done.err
    job = the_job()
    assert job.target_destination == expected
    assert done.json["destination"] == job.destination == expected.location


@pytest.mark.parametrize(
    ("source", "asked", "declared"),
    [
        ("qcow2", (), "qcow2"),
        ("raw", (), "raw"),
        ("raw", ("--format", "same"), "raw"),
        ("raw", ("--format", "qcow2"), "qcow2"),
        ("vmdk", ("--format", "raw"), "raw"),
    ],
)
def test_the_format_is_the_sources_unless_another_is_asked_for(
    blockcopy: Run, disk: Disk, source: str, asked: tuple[str, ...], declared: str
) -> None:
    Disk.objects.update(format=source)

    assert blockcopy(*START, "--to", TO, *asked).status == 0
    assert the_job().destination_format == declared


def test_a_format_that_no_copy_can_have_is_not_taken_from_the_source(
    blockcopy: Run, disk: Disk
) -> None:
    Disk.objects.update(format="vmdk")

    done = blockcopy(*START, "--to", TO)

    assert done.status == 1
    assert "vda is vmdk" in done.err
    assert "--format raw or --format qcow2" in done.err


@pytest.mark.parametrize("found", ["raw", "qcow2"])
def test_the_format_of_what_lies_there_is_looked_up(
    blockcopy: Run, disk: Disk, host_says: Says, found: str
) -> None:
    host_says(found=found)

    done = blockcopy(*START, "--to", TO, "--format", "found", "--reuse-external")

    assert done.status == 0, done.err
    assert the_job().destination_format == found
    assert f'<driver type="{found}"' in the_job().destination_xml


@pytest.mark.parametrize(("found", "says"), [("", "can't be told"), ("vmdk", "vmdk")])
def test_a_format_that_nobody_can_tell_starts_nothing(
    blockcopy: Run, disk: Disk, host_says: Says, found: str, says: str
) -> None:
    host_says(found=found)

    done = blockcopy(*START, "--to", TO, "--format", "found", "--reuse-external")

    assert done.status == 1
    assert says in done.err
    assert not CopyJob.objects.exists()


def test_a_format_to_be_found_needs_a_worker(
    blockcopy: Run, disk: Disk, host_says: Says
) -> None:
    host_says(None)

    words = ("--to", TO, "--format", "found", "--wait", "--timeout", "0.01")
    done = blockcopy(*START, *words)

    assert done.status == 3
    assert "Is a worker running" in done.err
    assert not CopyJob.objects.exists()


# --- Raw XML -------------------------------------------------------------------------


def test_xml_out_of_a_file(blockcopy: Run, disk: Disk, tmp_path: Path) -> None:
    file = tmp_path / "destination.xml"
    file.write_text(XML)

    assert blockcopy(*START, "--xml", file).status == 0
    wanted = Destination("block", "/dev/vg0/it's & web", "raw")
    assert the_job().target_destination == wanted


def test_xml_on_standard_input(
    blockcopy: Run, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(XML))

    assert blockcopy(*START, "--xml", "-").status == 0
    assert the_job().destination == "/dev/vg0/it's & web"


@pytest.mark.parametrize(
    ("xml", "says"),
    [
        ("", "no element"),
        ("<disk", "cannot be read"),
        (XML.replace("<driver", "<serial>7</serial><driver"), "<serial>"),
        (XML.replace('type="raw"', 'type="raw" cache="none"'), "cache"),
        (f'<!DOCTYPE d [<!ENTITY e "x">]>{XML}', ""),
        ("<disk>" * 40_000, ""),
        ("<network/>", "<network>"),
    ],
)
def test_xml_that_is_refused_starts_nothing(
    blockcopy: Run, disk: Disk, tmp_path: Path, xml: str, says: str
) -> None:
    file = tmp_path / "destination.xml"
    file.write_text(xml)

    done = blockcopy(*START, "--xml", file, "--json")

    assert done.status == 1
    assert says in done.json["error"]
    assert done.json["problems"][0]["field"] == "xml"
    assert len(done.json["error"]) < 500
    assert not CopyJob.objects.exists()


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read(
    blockcopy: Run, disk: Disk, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "destination.xml"
    if content is not None:
        file.write_bytes(content)

    done = blockcopy(*START, "--xml", file)

    assert done.status == 1
    assert f"{file} can't be read" in done.err


# --- What does not go together -------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--kind", "volume", "--pool", "fast"), "needs --volume"),
        (("--kind", "volume", "--to", TO), "--to is for --kind file or block"),
        (("--to", TO, "--pool", "fast"), "--pool is for --kind volume"),
        (("--to", TO, "--tls"), "--tls is for --kind nbd"),
        (("--kind", "rbd", "--name", "a/b"), "needs --server"),
        (("--kind", "nbd", "--user", "u"), "--user is for --kind rbd or iscsi"),
        (
            ("--kind", "nbd", "--server", "a", "--socket", "/b"),
            "Give --server or --socket",
        ),
        (("--xml", "-", "--to", TO), "--to is said in the XML"),
        (("--xml", "-", "--format", "raw"), "--format is said in the XML"),
        (("--kind", "nbd", "--server", "a:b"), "no server"),
        (("--kind", "nbd", "--server", ":1"), "no server"),
        (("--kind", "nbd", "--server", "2001:db8::1"), "no server"),
        (("--to", TO, "--luks-secret", "hunter2"), "names no secret"),
        (("--to", TO, "--luks-secret", "uuid:"), "names no secret"),
        (("--to", TO, "--slice", "10GiB"), "no slice"),
        (("--to", TO, "--slice", "0:0"), "holds nothing"),
        (("--to", TO, "--stall-limit", "soon"), "no time"),
        (("--to", TO, "--at-limit", "explode"), "invalid choice"),
        (("--to", TO, "--accept", "there_is_room"), "--accept needs --reason"),
        (("--to", TO, "--print-xml", "--dry-run"), "not allowed with"),
        ((), "--kind file needs --to"),
    ],
)
def test_words_that_do_not_go_together_end_with_2(
    blockcopy: Run, disk: Disk, words: tuple[str, ...], says: str
) -> None:
    done = blockcopy(*START, *words)

    assert (done.status, done.out) == (2, "")
    assert says in done.err
    assert not CopyJob.objects.exists()
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("--kind", "nbd"), "servers"),
        (("--kind", "nbd", "--server", "a b"), "servers"),
        (("--kind", "nbd", "--server", "a:99999"), "servers"),
        (("--kind", "nbd", "--socket", "x", "--tls"), "servers"),
        (("--kind", "rbd", "--name", "web", "--server", "m"), "name"),
        (("--kind", "volume", "--pool", "a/b", "--volume", "c"), "pool"),
        (("--kind", "volume", "--pool", "a", "--volume", "../c"), "volume"),
        (("--to", TO, "--reuse-external", "--slice", "1:3"), "slice_offset"),
        (("--to", TO, "--luks-secret", "uuid:7"), "encryption"),
        (("--to", TO, "--consistent"), "consistent"),
    ],
)
def test_what_no_host_could_use_is_refused_with_its_field(
    blockcopy: Run, disk: Disk, words: tuple[str, ...], field: str
) -> None:
    done = blockcopy(*START, *words, "--json")

    assert done.status == 1
    assert [problem["field"] for problem in done.json["problems"]] == [field]
    assert not CopyJob.objects.exists()
