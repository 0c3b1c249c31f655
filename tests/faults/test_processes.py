"""Each process killed with -9 in each state of a job, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.kit import Console, private_host, running_console
from tests.faults.parked import Rack, fill, parked


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    with private_host(tmp_path_factory.mktemp("birch"), "birch") as host:
        yield fill(host)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def console(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    rack: Rack,
) -> Iterator[Console]:
    """The console on each database."""
    directory: Path = tmp_path_factory.mktemp(request.param)
    with running_console(directory, rack.host, database=request.param) as console:
        console.promises.idle = rack.idle
        yield console


def kill_worker(console: Console) -> Callable[[], object]:
    console.stack.worker.kill()
    return console.stack.worker.start


# Where each job is once it has been seen to: what was asked for was done, and no more.
AFTERWARDS = {
    "copying": "copying",
    "mirroring": "mirroring",
    "starting": "mirroring",
    "queued": "mirroring",
    "pivoting": "pivoted",
    "finishing": "copied",
    "cancelling": "cancelled",
}
ROWS = {"worker": kill_worker}


@pytest.mark.parametrize("process", ROWS)
def test_killed(process: str, console: Console, rack: Rack, tmp_path: Path) -> None:
    with parked(console, rack, tmp_path) as these:
        come_back = ROWS[process](console)
        these.thaw()
        come_back()
        console.must_be_kept()
        assert these.states() == AFTERWARDS
    console.must_be_kept()
