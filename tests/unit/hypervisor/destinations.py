"""Any valid destination, for hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from jobs.hypervisor import Destination, Secret, Server


# Of the separators only the space is printable.
def _text(longest: int = 40, but: str = "") -> st.SearchStrategy[str]:
    allowed = st.characters(
        exclude_categories=["C", "Z"], include_characters=" ", exclude_characters=but
    )
    return st.text(allowed, min_size=1, max_size=longest)


_names = _text(but="/").filter(lambda name: name not in (".", ".."))
_paths = st.lists(_names, min_size=1, max_size=4).map(
    lambda names: f"/{'/'.join(names)}"
)
_hosts = st.one_of(
    st.from_regex(
        r"[a-zA-Z][a-z0-9]{0,8}(-[a-z0-9]{1,3})?(\.[a-z]{2,5})?", fullmatch=True
    ),
    st.ip_addresses().map(str),
)
_ports = st.none() | st.integers(1, 65535)
_tcp = st.builds(Server, name=_hosts, port=_ports)
_unix = st.builds(
    Server,
    socket=_paths.filter(lambda path: len(path.encode()) <= 107),
)
_several = st.lists(_tcp, min_size=1, max_size=3, unique=True).map(tuple)
_secrets = st.uuids().map(lambda uuid: Secret(uuid=str(uuid))) | _text().map(
    lambda usage: Secret(usage=usage)
)
_sectors = st.integers(0, 2**50).map(lambda number: number * 512)


@st.composite
def _slices(draw: st.DrawFn) -> dict[str, int]:
    if draw(st.booleans()):
        return {}
    size = draw(_sectors.filter(bool))
    return {"slice_offset": draw(_sectors), "slice_size": size}


def _places(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    if kind in ("file", "block"):
        return st.fixed_dictionaries({"path": _paths})
    if kind == "volume":
        return st.fixed_dictionaries({"pool": _names, "volume": _names})
    return st.one_of(_nbd(), _rbd(), _iscsi(), _gluster())


@st.composite
def _nbd(draw: st.DrawFn) -> dict[str, Any]:
    server = draw(_tcp | _unix)
    tls = not server.socket and draw(st.booleans())
    name = draw(st.just("") | _text())
    return {"protocol": "nbd", "name": name, "servers": (server,), "tls": tls}


def _signed_in(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.booleans()):
        return {}
    return {"user": draw(_text()), "auth": draw(_secrets)}


@st.composite
def _rbd(draw: st.DrawFn) -> dict[str, Any]:
    name = f"{draw(_text(but='/@'))}/{draw(_text(but='/@'))}"
    servers = draw(_several)
    return {"protocol": "rbd", "name": name, "servers": servers, **_signed_in(draw)}


@st.composite
def _iscsi(draw: st.DrawFn) -> dict[str, Any]:
    own = draw(_text(but="/")).replace(" ", "-")
    name = f"iqn.2024-01.org.example:{own}/{draw(st.integers(0, 255))}"
    server = draw(_tcp)
    return {"protocol": "iscsi", "name": name, "servers": (server,), **_signed_in(draw)}


@st.composite
def _gluster(draw: st.DrawFn) -> dict[str, Any]:
    servers = draw(_several | _unix.map(lambda server: (server,)))
    name = f"{draw(_names)}{draw(_paths)}"
    return {"protocol": "gluster", "name": name, "servers": servers}


@st.composite
def destinations(draw: st.DrawFn, depth: int = 2, backing: bool = False) -> Destination:
    """Any valid destination whose volume, if it is one, was not created yet."""
    kinds = ["file", "block", "network"] if backing else ["file", "block", "volume"]
    kind: Any = draw(st.sampled_from([*kinds, "network"]))
    format_: Any = draw(st.sampled_from(["raw", "qcow2"]))
    fields: dict[str, Any] = draw(_places(kind))
    if kind != "volume":
        fields |= draw(_slices())
    if format_ == "qcow2":
        fields["metadata_cache"] = draw(st.integers(0, 2**63 - 1))
        if depth and draw(st.booleans()):
            fields["backing"] = draw(destinations(depth - 1, True))
    if draw(st.booleans()):
        fields["encryption"] = draw(_secrets)
    return Destination(kind=kind, format=format_, **fields)
