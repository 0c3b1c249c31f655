"""Where sockets stand when a folder lies deep."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest

from lab.cell import LabError
from lab.sockets import LONGEST_PATH, SocketFolder

DEEP = Path("/" + "d" * 100)


def test_a_folder_that_is_short_enough_is_used_as_it_is(tmp_path: Path) -> None:
    folder = SocketFolder(tmp_path / "run", "x.sock")
    folder.make()
    assert folder.path == tmp_path / "run"
    assert folder.path.stat().st_mode & 0o777 == 0o700
    folder.remove()
    assert folder.path.is_dir()


def test_a_deep_folder_is_replaced_by_a_short_one_that_is_removed() -> None:
    folder = SocketFolder(DEEP, "x.sock")
    assert len(f"{folder.path}/x.sock") <= LONGEST_PATH
    assert folder.path.is_dir()
    folder.remove()
    assert not folder.path.exists()
    folder.make()
    assert folder.path.stat().st_mode & 0o777 == 0o700
    folder.remove()


def test_the_farewell_removes_only_a_short_one(tmp_path: Path) -> None:
    assert SocketFolder(tmp_path / "run", "x.sock").farewell == ":"
    folder = SocketFolder(DEEP, "x.sock")
    subprocess.run(["bash", "-c", folder.farewell], check=True)
    assert not folder.path.exists()


def test_a_deep_temporary_folder_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("t" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with pytest.raises(LabError, match="too long for a Unix socket"):
        SocketFolder(DEEP, "x.sock")
