"""Packages of the distribution, downloaded and unpacked but not installed."""

from __future__ import annotations

import getpass
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab.cell import LabError

# Downloads into a folder, with these options of apt; whether all of it came.
Download = Callable[[list[str], Path], bool]


def cached(unpacked: Path, download: Download, what: str) -> Path:
    """The folder `unpacked`, made with what `download` fetches if it is not there.

    LabError if apt can't fetch `what`.
    """
    if not unpacked.is_dir():
        unpacked.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=unpacked.parent) as temporary:
            _fetch(Path(temporary), download, what).rename(unpacked)
    return unpacked


def _fetch(folder: Path, download: Download, what: str) -> Path:
    lists = folder / "lists"
    lists.mkdir()
    own = ["-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={folder}"]
    own += ["-o", f"APT::Sandbox::User={getpass.getuser()}"]
    if not download([], folder):
        # The machine has no lists of packages, or old ones: fetch some for us alone.
        apt("apt-get", *own, "update", folder=folder)
        if not download(own, folder):
            raise LabError(f"apt could not download {what}.")
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, folder / "all"], check=True)
    return folder / "all"


def apt(*command: str, folder: Path) -> str:
    """What apt prints; it downloads into `folder`."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout
