"""What the scripts say when they are called wrongly or can't have what they need."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
NEEDED_BY_THE_SCRIPT = (
    *("bash", "sh", "dirname", "mkdir", "cat", "tr", "tail", "grep", "id", "rm"),
    *("sha256sum", "setpriv", "unshare", "true"),
)
Run = subprocess.CompletedProcess[str]


def _script(*command: str) -> Run:
    return subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=10
    )


@pytest.mark.parametrize("name", ["demo", "test", "serve"])
def test_help_tells_how_to_call_it(name: str) -> None:
    done = _script(f"script/{name}", "--help")
    assert done.returncode == 0
    assert f"script/{name}" in done.stdout
    assert "#" not in done.stdout


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("demo", "--twice"), "script/demo: unknown argument: --twice"),
        (("demo", "--port"), "script/demo: --port takes a number"),
        (("demo", "--port", "http"), "script/demo: --port takes a number"),
        (("test", "--slow"), "script/test: unknown argument: --slow"),
        (("serve", "--all"), "script/serve: unknown argument: --all"),
    ],
)
def test_a_wrong_argument_is_refused_at_once(
    command: tuple[str, ...], sentence: str
) -> None:
    done = _script(f"script/{command[0]}", *command[1:])
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == sentence
    assert done.stdout == ""


class Machine:
    """A machine with few programs, and a copy of the project's scripts."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.programs = folder / "bin"
        self.programs.mkdir()
        shutil.copytree(PROJECT / "script", self.project / "script")
        for lock in PROJECT.glob("requirements*.txt"):
            shutil.copy(lock, self.project)
        for name in NEEDED_BY_THE_SCRIPT:
            found = shutil.which(name)
            assert found, f"this machine has no {name}"
            (self.programs / name).symlink_to(found)

    def add(self, name: str, script: str) -> None:
        """Give the machine a program, or another in the place of one."""
        path = self.programs / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)

    def set_up(self, before: str = "") -> Run:
        # Beside what the test gave it, the machine must not find the real one's.
        line = f". script/setup.sh; PATH={self.programs}; {before} set_up demo"
        return subprocess.run(
            ["/bin/bash", "-c", line],
            cwd=self.project,
            env={"PATH": str(self.programs)},
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


NOTHING_MISSING = "missing_packages() { :; };"


def test_without_apt_it_names_what_is_missing(machine: Machine) -> None:
    done = machine.set_up()
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "there is no apt-get" in done.stderr
    assert " libvirt-clients " in done.stderr
    assert " redis-tools " in done.stderr


def test_without_root_and_sudo_it_says_what_to_run(machine: Machine) -> None:
    machine.add("apt-get", "exit 0")
    machine.add("id", "echo 1000")
    done = machine.set_up()
    assert done.returncode == 1
    assert "there is no sudo" in done.stderr
    assert 'Run "apt-get install libvirt-' in done.stderr


def test_it_says_what_it_installs_before_it_does(machine: Machine) -> None:
    machine.add("id", "echo 1000")
    machine.add("apt-get", "exit 0")
    machine.add("sudo", 'echo "sudo $*" >&2; cat >/dev/null; exit 100')
    done = machine.set_up()
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert lines[0].startswith("Installing Debian packages: libvirt-")
    assert lines[-1].startswith("apt-get could not install libvirt-")
    log = (machine.project / "var/log/setup.log").read_text()
    assert log.startswith("sudo sh -s -- libvirt-")


def test_without_user_namespaces_it_says_where_to_read_on(machine: Machine) -> None:
    machine.add("unshare", "echo not permitted >&2; exit 1")
    done = machine.set_up(NOTHING_MISSING)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "does not let you create user namespaces" in done.stderr


def test_without_python_it_says_which_is_needed(machine: Machine) -> None:
    machine.add("unshare", "exit 0")
    machine.add("python3", "exit 1")  # an old one
    done = machine.set_up(NOTHING_MISSING)
    assert done.returncode == 1
    assert done.stderr == (
        "Python 3.11 or newer is needed and this machine has none to install.\n"
    )


def test_when_pip_fails_it_says_why(machine: Machine) -> None:
    machine.add("unshare", "exit 0")
    machine.add("python3.11", "exit 0")
    environment = machine.project / ".venv/bin"
    environment.mkdir(parents=True)
    (environment / "activate").write_text(f"VIRTUAL_ENV={machine.project}/.venv\n")
    python = environment / "python"
    python.write_text(
        '#!/bin/bash\n[ "$1" != -m ] || { echo "ERROR: no such host" >&2; exit 1; }\n'
    )
    python.chmod(0o755)
    done = machine.set_up(NOTHING_MISSING)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("pip could not install")
    assert "ERROR: no such host" in done.stderr
    assert not list((machine.project / ".venv").glob("*.stamp"))


def _pip(machine: Machine) -> Callable[[], list[str]]:
    """Give the machine a virtual environment whose pip only notes its calls."""
    machine.add("unshare", "exit 0")
    machine.add("python3.11", '[ "$1" != --version ] || echo Python 3.11.0')
    environment = machine.project / ".venv/bin"
    environment.mkdir(parents=True)
    (environment / "activate").write_text(f"VIRTUAL_ENV={machine.project}/.venv\n")
    python = environment / "python"
    calls = machine.project / "calls"
    python.write_text(f'#!/bin/bash\n[ "$1" != -m ] || echo "$*" >>{calls}\n')
    python.chmod(0o755)
    return lambda: calls.read_text().splitlines() if calls.exists() else []


def test_every_package_is_installed_by_its_hash_the_build_tools_first(
    machine: Machine,
) -> None:
    calls = _pip(machine)
    assert machine.set_up(NOTHING_MISSING).returncode == 0
    assert [call.split()[-1] for call in calls()] == [
        "requirements-build.txt",
        "requirements.txt",
    ]
    assert all("--require-hashes --no-build-isolation" in call for call in calls())


def test_the_build_tools_are_those_of_the_main_lock() -> None:
    def pinned(name: str) -> set[str]:
        lines = (PROJECT / name).read_text().splitlines()
        return {line for line in lines if "==" in line and not line.startswith(" ")}

    tools = pinned("requirements-build.txt")
    assert {line.split("==")[0] for line in tools} >= {"setuptools", "wheel"}
    assert tools <= pinned("requirements.txt")


def test_nothing_is_installed_twice(machine: Machine) -> None:
    calls = _pip(machine)
    machine.set_up(NOTHING_MISSING)
    first = calls()
    done = machine.set_up(NOTHING_MISSING)
    assert done.returncode == 0
    assert done.stderr == ""
    assert calls() == first


def test_a_changed_lock_is_installed_anew(machine: Machine) -> None:
    calls = _pip(machine)
    machine.set_up(NOTHING_MISSING)
    before = len(calls())
    lock = machine.project / "requirements.txt"
    lock.write_text(lock.read_text() + "# changed\n")
    machine.set_up(NOTHING_MISSING)
    assert len(calls()) == 2 * before
