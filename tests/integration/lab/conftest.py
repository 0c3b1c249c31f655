"""Hosts to try things on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.host import PrivateHost


@pytest.fixture(scope="module")
def alder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateHost]:
    with PrivateHost(tmp_path_factory.mktemp("alder"), "alder") as host:
        yield host


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name stands in no other test's processes."""
    return tmp_path / "lab"
