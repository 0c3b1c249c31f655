"""A host over TLS, with certificates of our own."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.hypervisor import Address, AddressPolicy, HostUnreachable, connection
from lab.host import PrivateHost

pytestmark = pytest.mark.integration


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def authority(folder: Path) -> Path:
    folder.mkdir()
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
        *("-subj", "/CN=authority", "-keyout", folder / "cakey.pem"),
        *("-out", folder / "cacert.pem"),
    )
    return folder


def certificate(folder: Path, who: str) -> None:
    request, names = folder / f"{who}.csr", folder / "names"
    names.write_text("subjectAltName=IP:127.0.0.1\n")
    openssl(
        *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={who}"),
        *("-keyout", folder / f"{who}key.pem", "-out", request),
    )
    openssl(
        *("x509", "-req", "-in", request, "-days", "2", "-extfile", names),
        *("-CA", folder / "cacert.pem", "-CAkey", folder / "cakey.pem"),
        *("-CAcreateserial", "-out", folder / f"{who}cert.pem"),
    )


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as libvirt's `pkipath` wants it."""
    folder = authority(tmp_path_factory.mktemp("tls") / "pki")
    certificate(folder, "server")
    certificate(folder, "client")
    return folder


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


@pytest.fixture(scope="module")
def cedar(
    pki: Path, port: int, alder: PrivateHost, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrivateHost]:
    """A host that listens on loopback, for those whom it can check."""
    configuration = (
        f'listen_tls = 1\nlisten_addr = "127.0.0.1"\ntls_port = "{port}"\n'
        f'auth_tls = "none"\nca_file = "{pki}/cacert.pem"\n'
        f'key_file = "{pki}/serverkey.pem"\ncert_file = "{pki}/servercert.pem"\n'
    )
    with PrivateHost(
        tmp_path_factory.mktemp("cedar"),
        "cedar",
        configuration=configuration,
        listen=True,
        capabilities_from=alder,
    ) as host:
        yield host


@pytest.fixture
def address(cedar: PrivateHost, port: int) -> Address:
    return Address("tls", "127.0.0.1", port, mode="session")


def test_certificates_open_the_host(
    address: Address, cedar: PrivateHost, pki: Path
) -> None:
    with connection(address, AddressPolicy(pki_path=str(pki))) as hypervisor:
        facts = hypervisor.facts()
    assert (facts.hostname, facts.uuid) == ("cedar", cedar.uuid)


def refused(address: Address, policy: AddressPolicy) -> HostUnreachable:
    with pytest.raises(HostUnreachable) as wrong, connection(address, policy):
        pytest.fail("It must not open.")
    return wrong.value


def test_certificates_of_another_authority(address: Address, tmp_path: Path) -> None:
    """We do not trust that server."""
    stranger = authority(tmp_path / "other")
    certificate(stranger, "client")
    error = refused(address, AddressPolicy(pki_path=str(stranger)))
    assert "credentials" in error.cause
    assert not error.retryable


def test_no_certificates(address: Address, tmp_path: Path) -> None:
    error = refused(address, AddressPolicy(pki_path=str(tmp_path)))
    assert "credentials" in error.cause
    assert not error.retryable


def test_name_that_the_certificate_has_not(address: Address, pki: Path) -> None:
    error = refused(
        replace(address, host_name="localhost"), AddressPolicy(pki_path=str(pki))
    )
    assert "credentials" in error.cause


def test_nobody_listens(address: Address, pki: Path) -> None:
    error = refused(replace(address, port=1), AddressPolicy(pki_path=str(pki)))
    assert error.retryable
