"""Certificates of an authority of our own, as QEMU and its servers want them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.cell import LabError

_NAMES = "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost\n"


class Authority:
    """An authority whose files are in `folder`; its certificates hold for two days."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._certificate, self._key = folder / "ca-cert.pem", folder / "ca-key.pem"
        _openssl(
            *("req", "-x509", *_NEW_KEY, "-days", "2", "-subj", "/CN=lab authority"),
            *("-keyout", self._key, "-out", self._certificate),
        )

    def issue(self, folder: Path, role: str) -> Path:
        """A certificate for this machine into `folder`, which is returned.

        `role` is "server" or "client". The names of the files are those that QEMU looks
        for (docs/system/tls).
        """
        folder.mkdir(parents=True, exist_ok=True)
        request, names = folder / f"{role}.csr", folder / "names"
        names.write_text(_NAMES)
        _openssl(
            *("req", *_NEW_KEY, "-subj", f"/CN=lab {role}"),
            *("-keyout", folder / f"{role}-key.pem", "-out", request),
        )
        _openssl(
            *("x509", "-req", "-in", request, "-days", "2", "-extfile", names),
            *("-CA", self._certificate, "-CAkey", self._key, "-CAcreateserial"),
            *("-out", folder / f"{role}-cert.pem"),
        )
        (folder / "ca-cert.pem").write_bytes(self._certificate.read_bytes())
        request.unlink()
        names.unlink()
        return folder


_NEW_KEY = ("-newkey", "rsa:2048", "-nodes")


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, check=False)
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise LabError(f"openssl {arguments[0]} failed: {words[-1:]}")
