"""The whole console, running: Redis, web, worker, beat and listener."""

from __future__ import annotations

import http.client
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Self

from lab.cell import PATH, LabError
from lab.host import PrivateHost
from lab.redis import PrivateRedis
from lab.service import Service
from lab.sockets import free_port

# Seconds for what a slow machine needs long for, and a broken console for ever.
PATIENCE = 120.0
# What a process says when it does its work.
_READY = {"worker": " ready.", "beat": "maxinterval", "listener": "listening"}
PROJECT = Path(__file__).resolve().parent.parent


class Stack:
    """The console's processes, with all that they write below `directory`.

    They are those of the Procfile, and see the variables of `environment` over the
    defaults here and nothing of ours: a DATABASE_URL of the caller's stays out of it.
    Without a DATABASE_URL in `environment` the database is SQLite, without a REDIS_URL
    Redis is a private one.
    """

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str] | None = None,
        *,
        port: int | None = None,
    ) -> None:
        self.directory = directory.absolute()
        self.port = port or free_port()
        self.redis = PrivateRedis(self.directory / "redis")
        self.environment = {**self._defaults(), **(environment or {})}
        commands = procfile_commands()
        self.web = self._service("web", commands)
        self.worker = self._service("worker", commands)
        self.beat = self._service("beat", commands)
        self.listener = self._service("listener", commands)

    def _defaults(self) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:{PATH}",
            "HOME": str(self.directory),
            "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX", ""),
            "PYTHONUNBUFFERED": "1",
            "DATABASE_URL": f"sqlite:///{self.directory / 'blockcopy.sqlite3'}",
            "REDIS_URL": self.redis.url,
            "SECRET_KEY": secrets.token_urlsafe(50),
            "BLOCKCOPY_STATIC_ROOT": str(self.directory / "static"),
            "BLOCKCOPY_BEAT_FILE": str(self.directory / "celerybeat-schedule"),
            "BLOCKCOPY_BIND": f"127.0.0.1:{self.port}",
            "BLOCKCOPY_WEB_WORKERS": "1",
        }

    def _service(self, name: str, commands: Mapping[str, str]) -> Service:
        return Service(
            name,
            ["bash", "-c", commands[name]],
            log=self.log_directory / f"{name}.log",
            environment=self.environment,
            folder=PROJECT,
        )

    @property
    def services(self) -> tuple[Service, ...]:
        """The console's own processes, in the order in which they are started."""
        return (self.worker, self.beat, self.listener, self.web)

    @property
    def log_directory(self) -> Path:
        return self.directory / "log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # -- up and down -------------------------------------------------------------------

    def prepare(self) -> Self:
        """Start Redis, make the database and gather the static files."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.environment["REDIS_URL"] == self.redis.url:
            self.redis.start()
        self.manage("migrate", "--verbosity", "0")
        self.manage("collectstatic", "--noinput", "--verbosity", "0")
        return self

    def start(self) -> Self:
        """Prepare, and start every process; returns when each is ready."""
        self.prepare()
        for service in self.services:
            service.start()
        self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        """Wait until the worker takes tasks and the web server answers."""
        self.worker.wait_until(lambda: self.worker.said(" ready."), PATIENCE)
        self.web.wait_until(self.answers, PATIENCE)
        self.listener.wait_until(lambda: self.listener.running)

    def bring_back(self, *services: Service, timeout: float = PATIENCE) -> None:
        """Start processes that were killed; returns when each does its work.

        The listener does once a host answers it.
        """
        said = {service.name: self._times_ready(service) for service in services}
        for service in services:
            service.start()
        for service in services:
            before = said[service.name]
            service.wait_until(partial(self._is_back, service, before), timeout)

    def _is_back(self, service: Service, before: int) -> bool:
        if service is self.web:
            return self.answers()
        return self._times_ready(service) > before

    def _times_ready(self, service: Service) -> int:
        if service is self.web or not service.log.exists():
            return 0
        return service.log.read_text(errors="replace").count(_READY[service.name])

    def answers(self) -> bool:
        """Whether the web server answers a request, and not with a fault of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status < 500
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """End every process, in good order if that takes three seconds at most."""
        for service in self.services:
            service.ask_to_stop()
        for service in self.services:
            service.stop(grace=3)
        self.redis.stop()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- its command line --------------------------------------------------------------

    def manage(
        self, *arguments: str | Path, password: str = "", timeout: float = 120
    ) -> str:
        """Run manage.py to its end; return what it prints, LabError if it fails."""
        done = self.try_manage(*arguments, password=password, timeout=timeout)
        if done.returncode != 0:
            words = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise LabError(f"manage.py {arguments[0]} failed: {' '.join(words[-2:])}")
        return done.stdout

    def try_manage(
        self, *arguments: str | Path, password: str = "", timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run manage.py to its end, whatever that is. It does not outlive us.

        LabError if it takes longer than `timeout` seconds.
        """
        command = [sys.executable, "manage.py", *map(str, arguments)]
        try:
            return subprocess.run(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                capture_output=True,
                text=True,
                check=False,
                cwd=PROJECT,
                env={**self.environment, "BLOCKCOPY_PASSWORD": password},
                timeout=timeout,
            )
        except subprocess.TimeoutExpired as error:
            words = " ".join(command[1:])
            raise LabError(f"{words} did not end in {timeout:g} s.") from error

    def add_user(self, name: str, role: str, password: str) -> None:
        """Make a user with one of the console's roles."""
        words = ("blockcopy", "user", "add", name, "--role", role)
        self.manage(*words, password=password)

    def add_host(self, host: PrivateHost) -> None:
        """Tell the console of a private host and have it look what is there.

        Its socket must lie below one of BLOCKCOPY_SOCKET_PREFIXES.
        """
        address = ("--transport", "socket", "--socket", host.socket)
        words = ("blockcopy", "host", "add", host.name, *address)
        self.manage(*words, "--mode", "session")
        self.sync(host)

    def sync(self, host: PrivateHost) -> None:
        """Have a host's inventory read; returns when it is."""
        words = ("blockcopy", "host", "sync", host.name, "--wait")
        self.manage(*words, "--timeout", f"{PATIENCE:g}", timeout=2 * PATIENCE)


def procfile_commands() -> dict[str, str]:
    """The command of each process of the Procfile."""
    lines = (PROJECT / "Procfile").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if line)
