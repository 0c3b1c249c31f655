"""A private libvirt host: an unprivileged session daemon in a world of its own.

Every host has its own name, UUID, process table and folders, so several stand side by
side on one machine as on a rack. The machine's own libvirt is never touched.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
import uuid as uuids
from pathlib import Path
from typing import Literal, Self
from xml.etree import ElementTree

from lab.cell import Cell, LabError
from lab.sockets import SocketFolder

# QEMU's monitor sockets lie deep in libvirt's configuration folder, and in almost any
# checkout their paths would be too long. So the folder is mounted, for the host's own
# processes only, on a short path that every Debian has and nothing here reads.
_SHORT_CONFIGURATION = "/boot"

# Kept from run to run; libvirt itself notices when QEMU or the kernel has changed.
_CAPABILITIES = Path(__file__).resolve().parent.parent / "var/cache/capabilities"

# stdio_handler: without it libvirt starts a virtlogd, which has no place here.
_QEMU_CONF = """\
stdio_handler = "file"
security_driver = "none"
nbd_tls_x509_cert_dir = "{certificates}"
"""


class PrivateHost:
    """One private libvirt daemon and its guests, below `directory`.

    `name` is the host name that the daemon reports. The UUID follows from the folder
    and the name unless it is given. To probe QEMU's capabilities takes libvirt 1 to 5
    seconds; a host takes over those of `capabilities_from`, or those kept of the last
    host that was stopped. `configuration` is added to libvirtd.conf; `listen` makes the
    daemon listen on TCP.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        *,
        uuid: str | None = None,
        capabilities_from: PrivateHost | None = None,
        configuration: str = "",
        listen: bool = False,
    ) -> None:
        self.directory = directory.absolute()
        self.name = name
        self.uuid = uuid or str(
            uuids.uuid5(uuids.NAMESPACE_URL, f"{self.directory}/{name}")
        )
        self._listen = ["--listen"] if listen else []
        # The longest of the daemon's sockets.
        longest = "libvirt/libvirt-admin-sock"
        self._runtime = SocketFolder(self.directory / "run", longest)
        self._write_folders(configuration)
        known = capabilities_from.capabilities if capabilities_from else _CAPABILITIES
        _copy_files(known, self.capabilities)
        self._cell = Cell(name, self._environment(), farewell=self._runtime.farewell)

    # -- where things are ------------------------------------------------------------

    @property
    def socket(self) -> Path:
        return self._runtime.path / "libvirt" / "libvirt-sock"

    @property
    def uri(self) -> str:
        return f"qemu+unix:///session?socket={self.socket}"

    @property
    def images(self) -> Path:
        """The folder for disk images."""
        return self.directory / "images"

    @property
    def certificates(self) -> Path:
        """The folder for what QEMU shows to, and asks of, NBD servers with TLS."""
        return self.directory / "pki"

    @property
    def capabilities(self) -> Path:
        """What libvirt remembers of QEMU's capabilities, one file per binary."""
        return self.directory / "cache/libvirt/qemu/cache/capabilities"

    def _write_folders(self, configuration: str) -> None:
        folders = ("config/libvirt", "data", "cache", "images", "serial", "log", "pki")
        for folder in folders:
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        (self.directory / "config/libvirt/qemu.conf").write_text(
            _QEMU_CONF.format(certificates=self.certificates)
        )
        (self.directory / "libvirtd.conf").write_text(
            f'host_uuid = "{self.uuid}"\n{configuration}'
        )
        (self.directory / "hosts").write_text(
            f"127.0.0.1 localhost {self.name}\n::1 localhost\n"
        )

    def _environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.directory),
            "XDG_RUNTIME_DIR": str(self._runtime.path),
            "XDG_CONFIG_HOME": _SHORT_CONFIGURATION,
            "XDG_DATA_HOME": str(self.directory / "data"),
            "XDG_CACHE_HOME": str(self.directory / "cache"),
        }

    # -- the daemon ------------------------------------------------------------------

    def start(self) -> Self:
        """Start the daemon; returns when it listens. LabError with its words if not."""
        if not self._cell.running:
            self._runtime.make()
            self._cell.start()
            self._mount()
        log = self.directory / "log" / "start.log"
        conf = self.directory / "libvirtd.conf"
        command = ["libvirtd", "--daemon", "--config", str(conf), *self._listen]
        if self._cell.run_unprivileged(command, log) != 0:
            words = log.read_text(errors="replace").strip().splitlines()
            self.stop()
            raise LabError(f"libvirtd did not start on {self.name}: {words[-1:]}")
        return self

    def _mount(self) -> None:
        config = shlex.quote(str(self.directory / "config"))
        hosts = shlex.quote(str(self.directory / "hosts"))
        if self._cell.run(f"mount --bind {config} {_SHORT_CONFIGURATION}") != 0:
            self.stop()
            raise LabError("This machine does not let us mount in a user namespace.")
        # libvirt looks its host name up, which takes seconds where no DNS answers.
        self._cell.run(f"mount --bind {hosts} /etc/hosts 2>/dev/null || :")

    def kill(self) -> None:
        """Kill the daemon with -9. Its guests stay, as libvirt means them to."""
        self._end_daemon(signal.SIGKILL)

    def end(self) -> None:
        """End the daemon in good order. Its guests stay."""
        self._end_daemon(signal.SIGTERM)

    def restart(self) -> None:
        """End the daemon in good order and start it again; its guests stay."""
        self.end()
        self.start()

    def freeze(self) -> None:
        """Stop the daemon with SIGSTOP: it still listens, and answers nobody."""
        self._signal_daemon(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen daemon go on."""
        self._signal_daemon(signal.SIGCONT)

    def kill_guest(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal the QEMU process of a guest."""
        self._cell.signal(self._guest_pid(name), number)

    def stop(self) -> None:
        """End the daemon and all guests at once. Images and definitions stay."""
        self._cell.stop()
        self._runtime.remove()
        _copy_files(self.capabilities, _CAPABILITIES)

    def _end_daemon(self, number: signal.Signals) -> None:
        pid = self._daemon_pid()
        self._cell.signal(pid, number)
        gone = f"for _ in {{1..500}}; do kill -0 {pid} 2>/dev/null || break; sleep 0.02"
        if self._cell.run(f"{gone}; done; ! kill -0 {pid} 2>/dev/null") != 0:
            raise LabError(f"libvirtd did not end on {self.name}.")

    def _signal_daemon(self, number: signal.Signals) -> None:
        self._cell.signal(self._daemon_pid(), number)

    def _daemon_pid(self) -> int:
        return int((self._runtime.path / "libvirt" / "libvirtd.pid").read_text())

    def _guest_pid(self, name: str) -> int:
        run = self._runtime.path / "libvirt" / "qemu" / "run"
        return int((run / f"{name}.pid").read_text())

    # -- asking it -------------------------------------------------------------------

    def virsh(self, *arguments: str | Path, text: str | None = None) -> str:
        """Run virsh against this host; `text` is its standard input.

        Returns what it prints, LabError with its words if it fails.
        """
        done = subprocess.run(
            ["virsh", "--quiet", "--connect", self.uri, *map(str, arguments)],
            input=text or "",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
        )
        if done.returncode != 0:
            raise LabError(
                f"virsh {arguments[0]} on {self.name}: {done.stderr.strip()}"
            )
        return done.stdout

    def define_pool(self, name: str = "images", path: Path | None = None) -> None:
        """Define and start a storage pool over a folder (the images by default)."""
        target = path or self.images
        self.virsh("pool-define-as", name, "dir", "--target", target)
        self.virsh("pool-start", name)
        self.virsh("pool-autostart", name)

    def make_small_folder(self, path: Path, size: int) -> None:
        """Make a folder with room for `size` bytes, for the host's own processes only.

        To everybody else it is empty; it ends with the host.
        """
        path.mkdir()
        options = f"size={size},mode=0777"
        place = shlex.quote(str(path))
        if self._cell.run(f"mount -t tmpfs -o {options} small {place}") != 0:
            raise LabError("This machine does not let us mount in a user namespace.")

    def define_secret(
        self, passphrase: str, usage: str, kind: Literal["volume", "iscsi"] = "volume"
    ) -> str:
        """Define a secret with a value; returns its UUID. `usage` is its other name.

        A passphrase is of the kind "volume", a password for a target is "iscsi".
        """
        uuid = str(uuids.uuid4())
        secret = ElementTree.Element("secret", ephemeral="no", private="yes")
        ElementTree.SubElement(secret, "uuid").text = uuid
        use = ElementTree.SubElement(secret, "usage", type=kind)
        name = "target" if kind == "iscsi" else kind
        ElementTree.SubElement(use, name).text = usage
        text = ElementTree.tostring(secret, encoding="unicode")
        self.virsh("secret-define", "/dev/stdin", text=text)
        value = ("--file", "/dev/stdin", "--plain")
        self.virsh("secret-set-value", uuid, *value, text=passphrase)
        return uuid

    def mount_small(self, path: Path, size: int) -> None:
        """Mount a file system of `size` bytes, for the host's own processes only.

        It is gone, with what is on it, when the host stops.
        """
        path.mkdir(parents=True, exist_ok=True)
        place = shlex.quote(str(path))
        options = f"size={size},mode=0777"
        if self._cell.run(f"mount -t tmpfs -o {options} tmpfs {place}") != 0:
            raise LabError(f"{path} could not be mounted on {self.name}.")

    def fill(self, path: Path) -> None:
        """Let somebody else use up all the room of a small file system."""
        filling = shlex.quote(str(path / "filling"))
        self._cell.run(f"cat /dev/zero > {filling} 2>/dev/null")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _copy_files(origin: Path, target: Path) -> None:
    """Copy the files of a folder, each at one stroke: others may copy there too."""
    for path in origin.glob("*.xml"):
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target, delete=False) as copy:
            copy.write(path.read_bytes())
        Path(copy.name).replace(target / path.name)
