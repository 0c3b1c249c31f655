"""An iSCSI target, and guests whose QEMU can use one.

Neither is among the packages of a plain libvirt host: the target and QEMU's module are
downloaded and unpacked, not installed.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Self
from xml.etree import ElementTree

from lab.cell import PATH, LabError
from lab.guest import Guest
from lab.packages import apt, cached
from lab.service import Service
from lab.sockets import SocketFolder, free_port

IQN = "iqn.2024-01.org.example:storage"
LUN = 1

_QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
_PACKAGES = ("qemu-block-extra", "libiscsi7", "tgt")
_IPC = "tgt"
_READY = "The target is ready."

# tgtd listens to no one but root on its socket, so they are root in a world of theirs.
_SCRIPT = """
set -e
tgtd --foreground --iscsi "portal=127.0.0.1:$PORT" &
for _ in {1..500}; do [ -S "$TGT_IPC_SOCKET.0" ] && break; sleep 0.02; done
ask() { tgtadm --lld iscsi --op "$@"; }
ask new --mode target --tid 1 --targetname "$IQN"
ask new --mode logicalunit --tid 1 --lun "$LUN" --backing-store "$IMAGE"
if [ -n "$LOGIN" ]; then
    ask new --mode account --user "$LOGIN" --password "$PASSWORD"
    ask bind --mode account --tid 1 --user "$LOGIN"
fi
ask bind --mode target --tid 1 --initiator-address ALL
echo "$READY"
wait
"""


class IscsiTarget:
    """A target on a loopback port with one LUN, a file.

    With `user` and `password` it lets only those in who know them. `packages` is the
    folder that `fetch` gave, `directory` for the log.
    """

    def __init__(
        self,
        directory: Path,
        image: Path,
        packages: Path,
        *,
        user: str = "",
        password: str = "",
    ) -> None:
        self.port = free_port()
        self._sockets = SocketFolder(directory.absolute() / "run", f"{_IPC}.0.lock")
        self.service = Service(
            "iscsi",
            [*("unshare", "--user", "--map-root-user"), "bash", "-c", _SCRIPT],
            log=directory / "iscsi.log",
            environment={
                "PATH": f"{packages}/usr/sbin:{PATH}",
                "TGT_IPC_SOCKET": str(self._sockets.path / _IPC),
                **{"PORT": str(self.port), "IMAGE": str(image), "READY": _READY},
                **{"IQN": IQN, "LUN": str(LUN), "LOGIN": user, "PASSWORD": password},
            },
            farewell=self._sockets.farewell,
        )

    @property
    def name(self) -> str:
        """What libvirt calls a target and one of its LUNs."""
        return f"{IQN}/{LUN}"

    def start(self) -> Self:
        """Start the target; returns when it serves its LUN."""
        self._sockets.make()
        self.service.start()
        self.service.wait_until(lambda: self.service.said(_READY))
        return self

    def stop(self) -> None:
        """End it at once: asked to end, it waits for its clients."""
        self.service.kill()
        self._sockets.remove()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def fetch(cache: Path) -> Path:
    """A folder with tgt and QEMU's iSCSI module, fetched below `cache` the first time.

    LabError if they are not to be had, or not for this machine's QEMU: a module fits
    only the build that it was made with.
    """
    # No colon: the folder's name becomes part of search paths.
    name = f"iscsi-{_installed('qemu-system-x86').replace(':', '.')}"
    folder = cached(cache / name, _download, " and ".join(_PACKAGES))
    module = next(folder.rglob("block-iscsi.so"), None)
    if module is None:
        raise LabError("The package qemu-block-extra holds no iSCSI module.")
    return folder


def _download(options: list[str], folder: Path) -> bool:
    version = _installed("qemu-system-x86")
    block, *others = _PACKAGES
    wanted = (f"{block}={version}", *others)
    apt("apt-get", *options, "download", *wanted, folder=folder)
    return len(list(folder.glob("*.deb"))) == len(_PACKAGES)


def _installed(package: str) -> str:
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Version}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LabError(f"The package {package} is not installed.")
    return done.stdout


def give_module(guest: Guest, packages: Path) -> None:
    """Let the QEMU of a guest that is off find the module at its next start."""
    module = next(packages.rglob("block-iscsi.so"))
    ElementTree.register_namespace("qemu", _QEMU)
    domain = ElementTree.fromstring(
        guest.host.virsh("dumpxml", "--inactive", guest.name)
    )
    command = ElementTree.SubElement(domain, f"{{{_QEMU}}}commandline")
    for name, folder in (
        ("QEMU_MODULE_DIR", module.parent),
        ("LD_LIBRARY_PATH", module.parent.parent),
    ):
        ElementTree.SubElement(
            command, f"{{{_QEMU}}}env", {"name": name, "value": str(folder)}
        )
    text = ElementTree.tostring(domain, encoding="unicode")
    guest.host.virsh("define", "/dev/stdin", text=text)
