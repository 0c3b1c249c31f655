"""The files for containers: checked by docker-compose, and true to the Procfile."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.stack import procfile_commands

PROJECT = Path(__file__).resolve().parents[3]
CONSOLE = {"migrate", "web", "worker", "beat", "listener"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services as docker-compose understands them."""
    assert shutil.which("docker-compose"), "the package docker-compose is missing"
    done = subprocess.run(
        ["docker-compose", "config"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return found


def test_every_process_has_a_service(services: dict[str, Any]) -> None:
    assert set(services) == CONSOLE | {"postgres", "redis"}
    assert set(procfile_commands()) == CONSOLE - {"migrate"}


def _words(command: str) -> list[str]:
    """The words of a command of the Procfile, its variables as in a container."""
    line = command.removeprefix("exec ")
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {line}"],
        env={"BLOCKCOPY_BIND": "0.0.0.0:8000"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["worker", "beat", "listener"])
def test_a_service_runs_what_the_procfile_runs(
    services: dict[str, Any], name: str
) -> None:
    assert services[name]["command"] == _words(procfile_commands()[name])


def test_the_image_serves_the_web_as_the_procfile_does() -> None:
    text = (PROJECT / "Dockerfile").read_text().replace("\\\n", "")
    command = json.loads(re.findall(r"^CMD (.*)$", text, re.MULTILINE)[-1])
    assert command == _words(procfile_commands()["web"])


def test_the_image_runs_as_a_user_of_its_own_without_compilers() -> None:
    text = (PROJECT / "Dockerfile").read_text()
    run_time = text.split("\nFROM ")[-1]
    assert re.findall(r"^USER (.*)$", run_time, re.MULTILINE) == ["console"]
    installed = re.findall(r"--no-install-recommends ([^\\\n]+)", run_time)
    assert [words.split() for words in installed] == [["libvirt0", "openssh-client"]]


def test_every_lasting_service_is_watched_and_comes_back(
    services: dict[str, Any],
) -> None:
    lasting = {name: services[name] for name in services if name != "migrate"}
    assert [name for name in lasting if "healthcheck" not in lasting[name]] == []
    assert {each["restart"] for each in lasting.values()} == {"unless-stopped"}
    assert services["migrate"]["restart"] == "no"


def test_secrets_come_in_files_only(services: dict[str, Any]) -> None:
    for name in CONSOLE:
        settings = services[name]["environment"]
        assert {"SECRET_KEY_FILE", "DATABASE_URL_FILE"} <= set(settings)
        assert {"SECRET_KEY", "DATABASE_URL"}.isdisjoint(settings)
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]


def test_nothing_is_published_beyond_this_machine(services: dict[str, Any]) -> None:
    published = {name: each.get("ports", []) for name, each in services.items()}
    assert {name: ports for name, ports in published.items() if ports} == {
        "web": ["127.0.0.1:8000:8000/tcp"]
    }


def test_the_image_holds_what_the_project_needs_and_no_more() -> None:
    """Each folder that the Dockerfile copies is let in by .dockerignore."""
    copied = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE
    )
    wanted = {path for words in copied for path in words.split()}
    ignoring = (PROJECT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignoring if line.startswith("!")} == wanted
    assert all((PROJECT / path).exists() for path in wanted)
