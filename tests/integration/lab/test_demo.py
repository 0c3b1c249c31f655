"""The demo as a person has it: up, used, and gone without a trace."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.lab.processes import (
    PROJECT,
    kill_a_process_that,
    processes_of,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

# As script/demo runs it, only in another folder.
RUN = """
import sys
from pathlib import Path
from lab import demo
demo.VAR = Path(sys.argv.pop(1))
sys.exit(demo.main())
"""


@contextmanager
def _demo(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", RUN, str(folder), *arguments]
    process = subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _told_until(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
        told += line
        if word in line:
            return told
    raise AssertionError(process.stderr.read() if process.stderr else told)


def test_the_demo_can_be_used_and_ends_without_a_trace(folder: Path) -> None:
    with _demo(folder) as demo:
        told = _told_until(demo, "Stop with Ctrl-C")
        for who in ("olga", "victor", "ada"):
            assert re.search(rf"{who} +demo-[0-9a-f]+", told)
        address = re.search(r"http://(127\.0\.0\.1:\d+)", told)
        assert address
        asking = http.client.HTTPConnection(address[1], timeout=30)
        asking.request("GET", "/login/")
        assert asking.getresponse().status == 200
        asking.close()
        _a_second_one_is_refused(folder)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 128 + signal.SIGINT
    assert processes_of(folder) == set()
    left = [path.name for path in (folder / "demo").iterdir()]
    assert left == ["log"]


def _a_second_one_is_refused(folder: Path) -> None:
    with _demo(folder) as second:
        _, words = second.communicate(timeout=60)
        assert second.returncode == 1
        assert words == "script/demo: A demo runs from this folder already.\n"


STARTS = """
from lab.demo import Demo
demo = Demo(folder).__enter__()
"""


def test_everything_ends_when_the_demo_is_killed(folder: Path) -> None:
    there, left = kill_a_process_that(STARTS, folder)
    # A daemon and process 1 for each of two hosts, four guests, Redis, five of ours.
    assert len(there) >= 14
    assert left == set()
