"""Addresses: what is refused, and that nothing typed gets into a URI's query."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.hypervisor import Address, AddressError, AddressPolicy, uri, validate

NOTHING = AddressPolicy()
SSH = Address("ssh", host_name="kvm-a.example.org")


def wrong_field(address: Address, policy: AddressPolicy = NOTHING) -> str:
    with pytest.raises(AddressError) as wrong:
        uri(address, policy)
    assert str(wrong.value)
    return wrong.value.field


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (Address("local"), "qemu:///system"),
        (Address("local", mode="session"), "qemu:///session"),
        (SSH, "qemu+ssh://kvm-a.example.org/system?no_tty=1"),
        (
            replace(SSH, user="virt", port=2222, mode="session"),
            "qemu+ssh://virt@kvm-a.example.org:2222/session?no_tty=1",
        ),
        (Address("ssh", "192.0.2.7"), "qemu+ssh://192.0.2.7/system?no_tty=1"),
        (Address("tls", "2001:db8::7"), "qemu+tls://[2001:db8::7]/system"),
        (Address("tls", "KVM-B", 16514), "qemu+tls://kvm-b:16514/system"),
    ],
)
def test_uri(address: Address, expected: str) -> None:
    assert uri(address, NOTHING) == expected


def test_policy_adds_key_and_certificates() -> None:
    policy = AddressPolicy(ssh_key="/etc/my keys/id&x", pki_path="/etc/pki")
    assert uri(SSH, policy) == (
        "qemu+ssh://kvm-a.example.org/system?no_tty=1&keyfile=/etc/my%20keys/id%26x"
    )
    assert uri(Address("tls", "kvm-b"), policy) == (
        "qemu+tls://kvm-b/system?pkipath=/etc/pki"
    )


def test_known_hosts_are_trusted_and_nothing_else() -> None:
    """The ssh program would not be told of the file: libvirt gives it to libssh."""
    policy = AddressPolicy(ssh_key="/k", known_hosts="/etc/known")
    address = urlsplit(uri(SSH, policy))
    assert address.scheme == "qemu+libssh"
    assert parse_qs(address.query) == {
        "no_tty": ["1"],
        "keyfile": ["/k"],
        "known_hosts": ["/etc/known"],
        "known_hosts_verify": ["normal"],
        "sshauth": ["agent,privkey"],
    }


def test_without_a_key_only_the_agent_is_asked() -> None:
    """libssh refuses to begin when it may use a private key and is given none."""
    query = urlsplit(uri(SSH, AddressPolicy(known_hosts="/etc/known"))).query
    assert parse_qs(query)["sshauth"] == ["agent"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-oProxyCommand=touch",
        "kvm-a/system?command=x",
        "kvm a",
        "kvm-a\n",
        "kvm-a.",
        ".kvm",
        "kvm..a",
        "kvm-",
        "kvm#a",
        "user@kvm",
        "kvm:22",
        "[::1]",
        "::1%eth0",
        "k%76m",
        "kvmä",
        "k" * 64,
        ".".join(["kvm"] * 70),
        "\x00",
    ],
)
@pytest.mark.parametrize("transport", ["ssh", "tls"])
def test_bad_host_name(transport: Any, name: str) -> None:
    assert wrong_field(Address(transport, host_name=name)) == "host_name"


@pytest.mark.parametrize(
    "user", ["-l", "a b", "a@b", "a:b", "a/b", "a%20", "root\n", "a?b", "ä", "u" * 33]
)
def test_bad_user(user: str) -> None:
    assert wrong_field(replace(SSH, user=user)) == "user"


@pytest.mark.parametrize("port", [0, -1, 65536, True, "22", 22.0])
def test_bad_port(port: Any) -> None:
    assert wrong_field(replace(SSH, port=port)) == "port"


@pytest.mark.parametrize(
    ("field", "value"),
    [("transport", "ext"), ("transport", "tcp"), ("transport", "SSH"), ("mode", "x")],
)
def test_unknown_words(field: str, value: str) -> None:
    assert wrong_field(replace(SSH, **{field: value})) == field  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("address", "field"),
    [
        (Address("local", host_name="kvm-a"), "host_name"),
        (Address("local", socket="/run/x"), "socket"),
        (replace(SSH, socket="/run/x"), "socket"),
        (Address("tls", "kvm-a", user="root"), "user"),
        (Address("socket", port=1, socket="/run/x"), "port"),
    ],
)
def test_field_that_the_transport_does_not_use(address: Address, field: str) -> None:
    assert wrong_field(address) == field


class TestSocket:
    @pytest.fixture
    def policy(self, tmp_path: Path) -> AddressPolicy:
        (tmp_path / "allowed" / "below").mkdir(parents=True)
        (tmp_path / "allowed-not").mkdir()
        return AddressPolicy(socket_prefixes=(str(tmp_path / "allowed"),))

    def at(self, path: Path | str) -> Address:
        return Address("socket", mode="session", socket=str(path))

    def test_allowed(self, tmp_path: Path, policy: AddressPolicy) -> None:
        path = tmp_path / "allowed" / "below" / "sock"
        assert uri(self.at(path), policy) == f"qemu+unix:///session?socket={path}"

    def test_resolved_before_it_is_used(
        self, tmp_path: Path, policy: AddressPolicy
    ) -> None:
        crooked = f"{tmp_path}/allowed/below/../sock"
        assert uri(self.at(crooked), policy).endswith(f"{tmp_path}/allowed/sock")

    def test_cannot_add_parameters(self, tmp_path: Path, policy: AddressPolicy) -> None:
        path = f"{tmp_path}/allowed/a&command=b?c#d%00 e"
        query = urlsplit(uri(self.at(path), policy)).query
        assert parse_qs(query) == {"socket": [path]}

    @pytest.mark.parametrize(
        "path",
        [
            "{}/allowed/../other/sock",
            "{}/allowed-not/sock",
            "{}/allowed",
            "{}/allowed/link/sock",
            "/etc/passwd",
            "",
            "allowed/sock",
            "{}/allowed/so\nck",
            "{}/allowed/so\x00ck",
            "{}/allowed/" + "s" * 100,
        ],
    )
    def test_refused(self, tmp_path: Path, policy: AddressPolicy, path: str) -> None:
        (tmp_path / "allowed" / "link").symlink_to(tmp_path / "allowed-not")
        assert wrong_field(self.at(path.format(tmp_path)), policy) == "socket"

    def test_link_as_the_prefix_itself(self, tmp_path: Path) -> None:
        """As /var/run is one to /run."""
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "real")
        policy = AddressPolicy(socket_prefixes=(str(tmp_path / "link"),))
        expected = f"qemu+unix:///session?socket={tmp_path}/real/sock"
        assert uri(self.at(tmp_path / "link" / "sock"), policy) == expected
        assert uri(self.at(tmp_path / "real" / "sock"), policy) == expected

    def test_nothing_is_allowed_by_default(self, tmp_path: Path) -> None:
        assert wrong_field(self.at(tmp_path / "sock"), NOTHING) == "socket"


@given(
    transport=st.sampled_from(["ssh", "tls"]),
    host_name=st.text(max_size=30),
    user=st.text(max_size=12),
    port=st.none() | st.integers(-5, 70000),
)
def test_what_is_accepted_stays_in_its_place(
    transport: Any, host_name: str, user: str, port: int | None
) -> None:
    address = Address(transport, host_name, port, user)
    try:
        parts = urlsplit(uri(address, NOTHING))
    except AddressError:
        return
    assert parts.scheme == f"qemu+{transport}"
    assert (parts.hostname, parts.port) == (host_name.lower(), port)
    assert (parts.username or "") == user
    assert parts.path == "/system"
    assert parts.query in ("no_tty=1", "")
    assert parts.fragment == ""


def test_validate_says_the_same() -> None:
    validate(SSH, NOTHING)
    with pytest.raises(AddressError):
        validate(replace(SSH, user="-l"), NOTHING)
