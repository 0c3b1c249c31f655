"""Every test here runs the whole console against real hosts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from lab.guest import Guest
from tests.faults.kit import Console, private_host, running_console
from tests.faults.parked import Parking, fill
from tests.faults.yard import Yard, running_yard


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)
            # The first of a company sets everything up, which a slow machine takes long
            # for; each wait has a limit of its own.
            item.add_marker(pytest.mark.timeout(900))


# --- In two processes -----------------------------------------------------------------

# The files whose tests share what takes longest to set up.
OF_A_CONSOLE = ("test_processes", "test_start_time", "test_two_of_everything")
OF_THE_YARD = (
    *("test_hypervisor", "test_hypervisor_lost", "test_hypervisor_stuck"),
    "test_storage",
)


class ByCompany(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps tests together that share a console on one database, or the yard.

    The groups of pytest-xdist would do, but pytest 9.2 does not tell it of them.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0]).stem
        if file in OF_THE_YARD:
            return "yard"
        if file in OF_A_CONSOLE:
            return "sqlite" if "[sqlite" in nodeid else "postgresql"
        return file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByCompany:
    return ByCompany(config, log)


# --- Two consoles, one on each database, over one host --------------------------------


@pytest.fixture(scope="package")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Guest]]:
    """The guests of a host that tests freeze, and never kill."""
    with private_host(tmp_path_factory.mktemp("birch"), "birch") as host:
        yield fill(host)


@pytest.fixture(scope="package", params=["sqlite", "postgresql"])
def console(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    rack: list[Guest],
) -> Iterator[Console]:
    """The console on each database; at its end all promises must have been kept.

    The Redis beside SQLite keeps its data when it is killed, the other one loses it.
    """
    directory: Path = tmp_path_factory.mktemp(request.param)
    durable, host = request.param == "sqlite", rack[0].host
    with running_console(
        directory, host, database=request.param, durable=durable
    ) as console:
        console.promises.since = datetime.now(UTC)
        console.promises.idle = [g.name for g in rack if g.name.startswith("idle")]
        yield console
        console.must_be_kept(chain=True)


@pytest.fixture(scope="package")
def parking(console: Console, rack: list[Guest]) -> Iterator[Parking]:
    made = Parking(console, rack)
    yield made
    with made.ends:
        made.bring_to_ends()


# --- One console over several hosts ---------------------------------------------------


@pytest.fixture(scope="package")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """The console and the hosts on which faults of hosts and storage are tried."""
    with running_yard(tmp_path_factory.mktemp("yard")) as made:
        yield made
