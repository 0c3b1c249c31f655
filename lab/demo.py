"""The demo: the console over two private libvirt hosts with guests that write.

`script/demo` sets everything up and runs this; see there for the arguments.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from lab.cell import LabError
from lab.fleet import Fleet
from lab.stack import PROJECT, Stack

VAR = PROJECT / "var"
ACCOUNTS = {"olga": "operator", "victor": "viewer", "ada": "administrator"}


class Demo:
    """The fleet and the console over it, below `directory`, with accounts for people.

    Use it as a context; when it ends nothing of it is left but the logs.
    """

    def __init__(self, directory: Path, port: int | None = None) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        self.directory = directory
        self.password = f"demo-{secrets.token_hex(4)}"
        self.fleet = Fleet(directory)
        sockets = [str(host.socket.parent) for host in self.fleet.hosts]
        settings = {"BLOCKCOPY_SOCKET_PREFIXES": ":".join(sockets)}
        self.console = Stack(directory, settings, port=port)
        self._ending = contextlib.ExitStack()

    def __enter__(self) -> Demo:
        self._ending.callback(self._clear)
        self._ending.callback(self.fleet.stop)
        self._ending.callback(self.console.stop)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        """Start what does not depend on one another side by side."""
        say("Starting two libvirt hosts with their guests, and the console …")
        with ThreadPoolExecutor() as side_by_side:
            fleet = side_by_side.submit(self.fleet.start)
            console = side_by_side.submit(self.console.start)
            fleet.result()
            console.result()
            people = [
                side_by_side.submit(self.console.add_user, name, role, self.password)
                for name, role in ACCOUNTS.items()
            ]
            hosts = [
                side_by_side.submit(self.console.add_host, host)
                for host in self.fleet.hosts
            ]
            for done in (*people, *hosts):
                done.result()

    def __exit__(self, *_: object) -> None:
        say("Stopping everything …")
        self._ending.close()

    def _clear(self) -> None:
        """Remove everything but the logs."""
        for path in self.directory.iterdir():
            if path.name != "log":
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    # -- for people --------------------------------------------------------------------

    def introduce(self) -> None:
        """Tell the address, the accounts and how to end it."""
        accounts = "\n".join(
            f"    {name:8} {self.password}   ({role})"
            for name, role in ACCOUNTS.items()
        )
        print(
            f"\nBlockcopy Console is ready:  {self.console.url}\n\n"
            f"  Sign in with one of these accounts and passwords:\n{accounts}\n\n"
            f"  {self.fleet.description}\n"
            f"  Logs are in {self.console.log_directory}.\n"
            "  Stop with Ctrl-C; nothing stays but var/.\n",
            flush=True,
        )

    def wait(self) -> NoReturn:
        """Wait for Ctrl-C; LabError if a process of the console ends by itself."""
        while True:
            time.sleep(1)
            for service in self.console.services:
                if not service.running:
                    raise LabError(f"{service.name} ended, see {service.log}.")

    # -- for machines ------------------------------------------------------------------

    def copy_once(self) -> dict[str, Any]:
        """Copy and pivot a disk by the command line; return what came of it.

        "problems" is empty only if the host and the guest say the same as the job.
        """
        guest = self.fleet.orders
        source = guest.source("vda")
        destination = self.fleet.destination(guest, "vda", "qcow2")
        began = time.monotonic()
        job = self._run_job(
            *("job", "start", guest.host.name, guest.name, "vda"),
            *("--to", destination, "--format", "qcow2"),
            *("--when-ready", "pivot", "--wait", "--json"),
        )
        seconds = round(time.monotonic() - began, 2)
        say("Checking the guest and its blocks …")
        words = [job.get("failure"), job.get("error")]
        problems = [word for word in words if word]
        problems += self.fleet.check(guest, "vda", destination)
        return {
            "job": job.get("job"),
            "state": job.get("state"),
            "host": guest.host.name,
            "domain": guest.name,
            "disk": "vda",
            "source": source,
            "destination": str(destination),
            "seconds": seconds,
            "verified_writes": guest.log.verified,
            "problems": problems,
        }

    def _run_job(self, *words: str | Path) -> dict[str, Any]:
        say("Copying a disk of a writing guest, then pivoting …")
        done = self.console.try_manage("blockcopy", *words, timeout=300)
        sys.stderr.write(done.stderr)
        lines = done.stdout.strip().splitlines()
        try:
            job = json.loads(lines[-1] if lines else "")
        except ValueError as error:
            raise LabError(f"The command line gave no JSON: {done.stdout}") from error
        if not isinstance(job, dict):
            raise LabError(f"The command line gave no job: {done.stdout}")
        return job


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Only one demo at a time runs from one folder; LabError for the second."""
    VAR.mkdir(exist_ok=True)
    with (VAR / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LabError("A demo runs from this folder already.") from error
        yield


def _end(number: int, _: FrameType | None) -> NoReturn:
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)  # once is enough; let us tidy up
    sys.exit(128 + number)


def run(*, once: bool, port: int | None) -> int:
    """Run the demo; return the exit status."""
    with alone():
        with Demo(VAR / "demo", port) as demo:
            if not once:
                demo.introduce()
                demo.wait()
            result = demo.copy_once()
        print(json.dumps(result), flush=True)
    return 0 if result["state"] == "pivoted" and not result["problems"] else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/demo")
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        return run(once=options.once, port=options.port)
    except LabError as error:
        say(f"script/demo: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
