"""New copy to every kind of destination: what the form asks for, and its defaults."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.urls import reverse
from django.utils.html import escape

from jobs.console.copy_form import CopyForm
from jobs.console.job_xml import indented
from jobs.hypervisor import Destination, Secret, Server
from jobs.models import CopyJob, Disk, Domain, Host, StoragePool
from jobs.models.job import AtLimit
from jobs.preflight import CopyRequest
from tests.conftest import signed_in
from tests.console.fleet_rows import add_disk, add_job
from tests.console.rows import text_of

UUID = "7c7b0a52-8f0f-4f0e-8f5c-3d2b6f2f9a11"
TYPED = {"format": "same", "when_ready": "wait", "at_limit": "flag", "protocol": "nbd"}
XML = (
    '<disk type="network"><source protocol="nbd" name="x"><host name="store"/></source>'
    '<driver type="raw"/></disk>'
)
KINDS: list[tuple[dict[str, str], dict[str, Any]]] = [
    ({"destination_kind": "file", "destination": "/a"}, {"kind": "file", "path": "/a"}),
    (
        {"destination_kind": "block", "device": "/dev/vg0/web", "destination": "/a"},
        {"kind": "block", "path": "/dev/vg0/web"},
    ),
    (
        {"destination_kind": "volume", "pool": "images", "volume": "new.qcow2"},
        {"kind": "volume", "pool": "images", "volume": "new.qcow2"},
    ),
    (
        {
            "destination_kind": "network",
            "servers": "[fe80::1]:10810",
            "name": "web",
            "tls": "on",
            "user": "of another protocol",
        },
        {
            "kind": "network",
            "protocol": "nbd",
            "servers": (Server("fe80::1", 10810),),
            "name": "web",
            "tls": True,
        },
    ),
    (
        {"destination_kind": "network", "servers": "/run/nbd.sock"},
        {
            "kind": "network",
            "protocol": "nbd",
            "servers": (Server(socket="/run/nbd.sock"),),
        },
    ),
    (
        {
            "destination_kind": "network",
            "protocol": "rbd",
            "servers": "ceph1:6789, ceph2",
            "name": "pool/image",
            "user": "console",
            "auth": UUID.upper(),
            "tls": "on",
        },
        {
            "kind": "network",
            "protocol": "rbd",
            "servers": (Server("ceph1", 6789), Server("ceph2")),
            "name": "pool/image",
            "user": "console",
            "auth": Secret(uuid=UUID),
        },
    ),
    (
        {
            "destination_kind": "network",
            "protocol": "iscsi",
            "servers": "store",
            "name": "iqn.2026-01.org.example:store/1",
            "user": "console",
            "auth": "store chap",
        },
        {
            "kind": "network",
            "protocol": "iscsi",
            "servers": (Server("store"),),
            "name": "iqn.2026-01.org.example:store/1",
            "user": "console",
            "auth": Secret(usage="store chap"),
        },
    ),
    (
        {
            "destination_kind": "network",
            "protocol": "gluster",
            "servers": "g1 g2",
            "name": "vol/web.qcow2",
        },
        {
            "kind": "network",
            "protocol": "gluster",
            "servers": (Server("g1"), Server("g2")),
            "name": "vol/web.qcow2",
        },
    ),
    (
        {
            "destination_kind": "file",
            "destination": "/a",
            "encryption": "web luks",
            "slice_offset": "1 MiB",
            "slice_size": "10 GiB",
            "reuse_external": "on",
        },
        {
            "kind": "file",
            "path": "/a",
            "encryption": Secret(usage="web luks"),
            "slice_offset": 2**20,
            "slice_size": 10 * 2**30,
        },
    ),
    (
        {"destination_kind": "xml", "xml": XML, "format": "qcow2", "encryption": "x"},
        {
            "kind": "network",
            "protocol": "nbd",
            "name": "x",
            "servers": (Server("store"),),
            "format": "raw",
        },
    ),
]


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker answers here, so nobody waits for one."""
    monkeypatch.setattr("jobs.console.views.copy.ANSWER_SECONDS", 0)


def form_of(disk: Disk, **typed: str) -> CopyForm:
    data = QueryDict(mutable=True)
    data.update({**TYPED, **typed})
    return CopyForm(data, disk, StoragePool.objects.all())


def wanted(disk: Disk, **typed: str) -> CopyRequest:
    form = form_of(disk, **typed)
    assert not form.errors
    return form.wanted


def address_of(disk: Disk) -> str:
    return reverse("disk-copy", args=[disk.pk])


def preview(person: User, disk: Disk, **typed: str) -> Any:
    """Return the answer to what the page asks while one types."""
    response = signed_in(person).post(
        address_of(disk),
        {**TYPED, "check": "1", **typed},
        headers={"HX-Request": "true", "HX-Target": "preview"},
    )
    assert response.status_code == 200
    return response


# --- What is asked for ---------------------------------------------------------------


@pytest.mark.parametrize(("typed", "expected"), KINDS)
def test_kinds(
    typed: dict[str, str], expected: dict[str, Any], disk: Disk, pool: StoragePool
) -> None:
    destination = wanted(disk, **typed).destination
    assert destination == Destination(**{"format": "qcow2", **expected})


@pytest.mark.parametrize(("typed", "expected"), KINDS)
def test_every_kind_is_previewed_exactly(
    typed: dict[str, str],
    expected: dict[str, Any],
    olga: User,
    disk: Disk,
    pool: StoragePool,
) -> None:
    response = preview(olga, disk, **typed)
    shown = response.context["preview"]
    assert response.context["form"].errors == {}
    assert escape(indented(shown.xml)) in response.content.decode()
    assert ElementTree.fromstring(shown.xml).find("source") is not None


@pytest.mark.parametrize(("typed", "expected"), KINDS)
def test_every_kind_can_be_asked_for(
    typed: dict[str, str],
    expected: dict[str, Any],
    olga: User,
    disk: Disk,
    pool: StoragePool,
) -> None:
    response = signed_in(olga).post(address_of(disk), {**TYPED, **typed})
    assert response.status_code == 302, response.context["form"].errors
    job = CopyJob.objects.get()
    assert job.target_destination == Destination(**{"format": "qcow2", **expected})
    page = text_of(signed_in(olga).get(reverse("job", args=[job.pk])))
    assert escape(job.destination) in page


def test_a_volume_is_reused_by_its_path(
    olga: User, disk: Disk, pool: StoragePool
) -> None:
    text = text_of(preview(olga, disk, **KINDS[2][0]))
    assert "The volume new.qcow2 is made for it" in text
    assert "VIR_DOMAIN_BLOCK_COPY_REUSE_EXT" in text
    assert "it is sent by its path" in text


def test_there_is_no_field_for_a_password(olga: User, disk: Disk) -> None:
    html = signed_in(olga).get(address_of(disk)).content.decode()
    assert 'type="password"' not in html
    assert 'name="auth"' in html


# --- Format --------------------------------------------------------------------------


class TestFormat:
    @pytest.mark.parametrize(
        ("source", "chosen", "declared"),
        [
            ("qcow2", "same", "qcow2"),
            ("raw", "same", "raw"),
            ("raw", "qcow2", "qcow2"),
            ("qcow2", "raw", "raw"),
            ("qcow2", "found", "qcow2"),  # until somebody has looked
        ],
    )
    def test_is_always_declared(
        self, source: str, chosen: str, declared: str, disk: Disk
    ) -> None:
        Disk.objects.update(format=source)
        disk.refresh_from_db()
        request = wanted(disk, destination_kind="file", destination="/a", format=chosen)
        assert request.destination.format == declared

    def test_same_is_not_offered_of_what_we_cannot_make(
        self, olga: User, disk: Disk
    ) -> None:
        Disk.objects.update(format="vmdk")
        text = text_of(signed_in(olga).get(address_of(disk)))
        assert "same as the source" not in text
        assert 'value="qcow2" class="form-check-input"' in text or "checked" in text


# --- Defaults and what is offered ----------------------------------------------------


def test_a_volume_is_suggested_where_there_is_room(
    olga: User, disk: Disk, pool: StoragePool
) -> None:
    StoragePool.objects.update(available=2**30)
    StoragePool.objects.create(
        host=disk.domain.host,
        uuid="roomy",
        name="roomy",
        kind="logical",
        active=True,
        path="/dev/roomy",
        capacity=2**50,
        allocation=0,
        available=2**50,
        seen_at=pool.seen_at,
    )
    form = signed_in(olga).get(address_of(disk)).context["form"]
    assert form["pool"].value() == "roomy"
    assert form["volume"].value().startswith("web-vda-")


def test_a_suggested_volume_is_free(olga: User, disk: Disk, pool: StoragePool) -> None:
    first = signed_in(olga).get(address_of(disk)).context["form"]["volume"].value()
    add_job(add_disk(disk.domain, "vdb"), destination=f"/srv/images/{first}")
    again = signed_in(olga).get(address_of(disk)).context["form"]["volume"].value()
    assert again != first


def test_without_a_pool_there_is_no_volume(olga: User, disk: Disk) -> None:
    text = text_of(signed_in(olga).get(address_of(disk)))
    assert "alder has no active pool in which the console could make a volume." in text


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ((9_000_000, 7_002_000), "needs libvirt 12.2.0 and QEMU 10.1.0"),
        ((12_002_000, 7_002_000), "needs QEMU 10.1.0; the host has QEMU 7.2.0"),
        ((12_002_000, 10_001_000), ""),
    ],
)
def test_an_option_that_the_host_lacks_is_greyed(
    versions: tuple[int, int], said: str, olga: User, disk: Disk
) -> None:
    Host.objects.update(libvirt_version=versions[0], hypervisor_version=versions[1])
    text = text_of(signed_in(olga).get(address_of(disk)))
    greyed = 'id="id_target_zeroed" disabled' in text
    assert greyed is bool(said)
    assert said in text


def test_zeroed_is_only_for_volumes_that_we_make(disk: Disk, pool: StoragePool) -> None:
    file = {"destination_kind": "file", "destination": "/a", "target_zeroed": "on"}
    assert not wanted(disk, **file).options.target_zeroed
    assert wanted(disk, **KINDS[2][0], target_zeroed="on").options.target_zeroed


@pytest.mark.parametrize(
    ("bandwidth", "buf_size", "proposed"),
    [
        ("", "", False),
        ("1 GiB", "", False),
        ("2 MiB", "", True),
        ("2 MiB", "64 KiB", False),
    ],
)
def test_a_fitting_buf_size_is_proposed(
    bandwidth: str, buf_size: str, proposed: bool, olga: User, disk: Disk
) -> None:
    typed = {"bandwidth": bandwidth, "buf_size": buf_size, **KINDS[0][0]}
    text = text_of(preview(olga, disk, **typed))
    assert ("Use a buf-size of 1 MiB" in text) is proposed


def test_the_proposal_is_taken_by_one_press(olga: User, disk: Disk) -> None:
    typed = {**TYPED, **KINDS[0][0], "bandwidth": "2 MiB", "fit": "1 MiB"}
    response = signed_in(olga).post(address_of(disk), typed)
    assert response.context["form"].wanted.options.buf_size == 2**20
    assert not CopyJob.objects.exists()


def test_limits_and_endings(disk: Disk) -> None:
    request = wanted(
        disk,
        **KINDS[0][0],
        when_ready="finish",
        consistent="on",
        stall_limit="10m",
        total_limit="1h 30m",
        at_limit="cancel",
    )
    assert (request.stall_limit, request.total_limit) == (600, 5400)
    assert (request.at_limit, request.consistent) == (AtLimit.CANCEL, True)
    assert not wanted(disk, **KINDS[0][0], consistent="on").consistent


# --- Bad input -----------------------------------------------------------------------

BAD = [
    ({"destination_kind": "block", "device": "sda"}, "device", "absolute path"),
    ({"destination_kind": "volume", "pool": "mars", "volume": "x"}, "pool", "mars"),
    ({"destination_kind": "volume", "pool": "images", "volume": ""}, "volume", ""),
    ({"destination_kind": "volume", "pool": "images", "volume": "a/b"}, "volume", ""),
    (
        {"destination_kind": "network", "servers": "store:99999", "name": "x"},
        "servers",
        "between 1 and 65535",
    ),
    (
        {"destination_kind": "network", "servers": "fe80::1", "name": "x"},
        "servers",
        "in brackets",
    ),
    ({"destination_kind": "network", "servers": "a " * 17}, "servers", "too many"),
    ({"destination_kind": "network", "servers": "", "name": "x"}, "servers", "server"),
    (
        {"destination_kind": "network", "protocol": "rbd", "name": "image"},
        "name",
        "pool/image",
    ),
    (
        {
            "destination_kind": "network",
            "protocol": "rbd",
            "servers": "ceph1",
            "name": "pool/image",
            "user": "console",
        },
        "auth",
        "secret",
    ),
    ({"destination_kind": "file", "stall_limit": "soon"}, "stall_limit", "no time"),
    ({"destination_kind": "file", "slice_offset": "far"}, "slice_offset", "no size"),
    ({"destination_kind": "xml", "xml": "<disk"}, "xml", ""),
    (
        {
            "destination_kind": "xml",
            "xml": XML.replace("<driver", '<target dev="vdb"/><driver'),
        },
        "xml",
        "target",
    ),
    (
        {
            "destination_kind": "xml",
            "xml": f'<!DOCTYPE disk [<!ENTITY a "b">]>{XML}',
        },
        "xml",
        "",
    ),
]


@pytest.mark.parametrize(("typed", "field", "said"), BAD)
def test_bad_input_is_told_beside_its_field(
    typed: dict[str, str],
    field: str,
    said: str,
    olga: User,
    disk: Disk,
    pool: StoragePool,
) -> None:
    typed = {"destination": "/a", **typed}
    assert said in " ".join(preview(olga, disk, **typed).context["form"].errors[field])
    response = signed_in(olga).post(address_of(disk), {**TYPED, **typed})
    assert response.status_code == 422
    assert response.context["form"].errors[field]
    assert not CopyJob.objects.exists()


@pytest.mark.parametrize("kind", ["block", "network", "xml"])
def test_nobody_complains_of_what_was_not_said_yet(
    kind: str, olga: User, disk: Disk
) -> None:
    response = preview(olga, disk, destination_kind=kind)
    assert response.context["form"].errors == {}
    assert "Say where the copy goes." in text_of(response)
    started = signed_in(olga).post(
        address_of(disk), {**TYPED, "destination_kind": kind}
    )
    assert started.status_code == 422
    assert not CopyJob.objects.exists()


def test_a_name_that_does_not_fit_the_format_can_be_changed(
    olga: User, disk: Disk
) -> None:
    typed = {"destination_kind": "file", "destination": "/a.qcow2", "format": "raw"}
    text = text_of(preview(olga, disk, **typed))
    assert 'name="place" value="/a.img" data-fills="id_destination"' in text


@pytest.mark.parametrize("name", ["<b>'\"&", "x" * 300, "\u202eevil"])
def test_names_are_text(name: str, olga: User, disk: Disk, pool: StoragePool) -> None:
    Domain.objects.update(name=name[:255])
    StoragePool.objects.update(name=name[:255])
    for kind, fields in (
        ("volume", {"pool": name[:255], "volume": name}),
        ("network", {"servers": name, "name": name, "user": name, "auth": name}),
        ("xml", {"xml": f"<disk>{name}"}),
        ("block", {"device": name}),
    ):
        typed = {**TYPED, "destination_kind": kind, **fields, "check": "1"}
        html = signed_in(olga).post(address_of(disk), typed).content.decode()
        assert escape(name) in html
        assert "<b>" not in html
