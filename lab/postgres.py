"""A PostgreSQL cluster of our own, on a Unix socket, with no port.

`python -m lab.postgres COMMAND …` runs a command with DATABASE_URL naming a new one.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self
from urllib.parse import quote

from lab.cell import PATH, Cell, LabError
from lab.service import Service
from lab.sockets import SocketFolder

USER = "blockcopy"
_SOCKET = ".s.PGSQL.5432"


class PrivatePostgres:
    """A cluster below `directory` with one superuser who needs no password.

    Made at the first start and kept. Writes are not forced to the disk, because
    nothing in it outlives a crash of the machine anyway.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self._programs = _programs()
        self._sockets = SocketFolder(self.directory / "run", _SOCKET)
        self.service = Service(
            "postgres",
            [self._programs / "postgres", "-D", self._data, *self._options()],
            log=self.directory / "postgres.log",
            stop_signal=signal.SIGINT,  # "fast": it does not wait for its clients
            farewell=self._sockets.farewell,
        )

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @property
    def socket(self) -> Path:
        return self._sockets.path / _SOCKET

    def url(self, database: str = "postgres") -> str:
        """The value of DATABASE_URL for one of its databases."""
        host = quote(str(self._sockets.path), safe="")
        return f"postgres://{USER}@{host}/{database}"

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets.path),
            "fsync": "off",
            "full_page_writes": "off",
            # Not in /dev/shm, where a killed server would leave it.
            "dynamic_shared_memory_type": "mmap",
        }
        return [word for k, v in settings.items() for word in ("-c", f"{k}={v}")]

    def start(self) -> Self:
        """Make the cluster if there is none and start it; returns when it answers."""
        self._sockets.make()
        if not (self._data / "PG_VERSION").exists():
            self._make_cluster()
        self.service.start()
        self.service.wait_until(self.answers)
        return self

    def _make_cluster(self) -> None:
        log = self.directory / "initdb.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._data, ignore_errors=True)
        command: list[str | Path] = [self._programs / "initdb", "-D", self._data]
        command += ["--username", USER, "--auth", "trust", "--no-sync"]
        command += ["--encoding", "UTF8", "--locale", "C.UTF-8"]
        with Cell("initdb", {}) as cell:
            if cell.run_unprivileged(command, log) != 0:
                raise LabError(f"PostgreSQL could not make a cluster, see {log}.")

    def answers(self) -> bool:
        """Whether the server takes connections.

        It makes its socket before it does so, and says "starting up" meanwhile.
        """
        startup = b"\0\3\0\0user\0" + USER.encode() + b"\0database\0postgres\0\0"
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(self.socket))
                client.sendall((len(startup) + 4).to_bytes(4, "big") + startup)
                return client.recv(1) == b"R"  # a request to authenticate, or its end
            except OSError:
                return False

    def stop(self) -> None:
        self.service.stop()
        self._sockets.remove()

    def kill(self) -> None:
        """Kill it with -9; start it again with start()."""
        self.service.kill()

    def dump(self, to: Path) -> None:
        """Write all that its database holds to a file, as SQL."""
        program = self._programs / "pg_dump"
        subprocess.run([program, "--dbname", self.url(), "--file", to], check=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _programs() -> Path:
    """The folder of the newest PostgreSQL server here."""
    found = {
        float(path.parent.parent.name): path.parent
        for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")
    }
    on_path = shutil.which("initdb", path=PATH)
    if on_path:
        return Path(on_path).resolve().parent
    if not found:
        raise LabError("There is no PostgreSQL: install the package postgresql.")
    return found[max(found)]


def main(command: list[str]) -> int:
    """Run a command against a cluster made for it; return its exit status."""
    var = Path(__file__).resolve().parent.parent / "var"
    var.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="postgres-", dir=var) as directory,
        PrivatePostgres(Path(directory)) as cluster,
    ):
        return _run(command, {**os.environ, "DATABASE_URL": cluster.url()})


def _run(command: list[str], environment: dict[str, str]) -> int:
    """Run a command to its end, which a SIGINT may bring about but not skip."""
    parent = os.getppid()
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "INT", "--", *command], env=environment
    ) as process:

        def pass_on(number: int, _: object) -> None:
            # A Ctrl-C reaches the command by itself, the death of our parent does not.
            if os.getppid() != parent:
                process.send_signal(number)

        signal.signal(signal.SIGINT, pass_on)
        return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
