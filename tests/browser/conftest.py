"""The whole console over two private hosts, once for all tests here.

Each test has guests and people's browsers of its own. No browser may have complained
of anything by its end, and no guest may have lost a block.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, StorageState, expect

from lab.cell import LabError
from lab.guest import MIB, Guest, GuestDisk, define_and_start
from lab.host import PrivateHost
from lab.stack import Stack
from tests.browser.people import PATIENCE, Person, running_chromium
from tests.conftest import PASSWORD

ROLES = {"olga": "operator", "victor": "viewer", "ada": "administrator"}
# Blocks of 32 KiB: the guests write all the time and leave the processor to others.
PAUSE = 0.1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(300))


# --- The hosts and the console -----------------------------------------------------


@pytest.fixture(scope="package")
def alder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateHost]:
    """The host that always works, with the pools "images" and "fast"."""
    with PrivateHost(tmp_path_factory.mktemp("alder"), "alder") as host:
        _define_pools(host)
        yield host


@pytest.fixture(scope="package")
def birch(
    alder: PrivateHost, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrivateHost]:
    """The host that is killed."""
    alder.virsh("domcapabilities", "--virttype", "qemu")  # probes QEMU, for both
    directory: Path = tmp_path_factory.mktemp("birch")
    with PrivateHost(directory, "birch", capabilities_from=alder) as host:
        _define_pools(host)
        yield host


def fast(host: PrivateHost) -> Path:
    """The folder of the pool "fast"."""
    return host.directory / "fast"


def _define_pools(host: PrivateHost) -> None:
    fast(host).mkdir()
    host.define_pool("images")
    host.define_pool("fast", fast(host))


@pytest.fixture(scope="package")
def stack(
    alder: PrivateHost, birch: PrivateHost, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The running console with both hosts and the cast, but for otto."""
    hosts = (alder, birch)
    sockets = ":".join(str(host.socket.parent) for host in hosts)
    environment = {"BLOCKCOPY_SOCKET_PREFIXES": sockets}
    directory: Path = tmp_path_factory.mktemp("console")
    with Stack(directory, environment) as stack:
        with ThreadPoolExecutor(2) as side_by_side:
            done = [
                *(side_by_side.submit(stack.add_host, host) for host in hosts),
                *(
                    side_by_side.submit(stack.add_user, name, role, PASSWORD)
                    for name, role in ROLES.items()
                ),
            ]
            for each in done:
                each.result()
        yield stack


# --- People ------------------------------------------------------------------------


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def sessions(chromium: Browser, stack: Stack) -> dict[str, StorageState]:
    """What a browser keeps of somebody who signed in, by name."""
    kept: dict[str, StorageState] = {}
    for name in ROLES:
        person = Person(chromium, stack.url, name)
        person.page.goto("/login/")
        person.sign_in()
        person.page.wait_for_url("**/")
        kept[name] = person.context.storage_state()
        person.leave()
    return kept


# What a failed test tells besides: why a job is as its page shows it.
NEWEST_EVENTS = """
from jobs.models import JobEvent
for it in reversed(JobEvent.objects.order_by("-pk")[:20]):
    print(f"{it.time:%T.%f} job {it.job_id}: {it.level}, {it.new_state}, {it.message}")
"""

MeetPerson = Callable[..., Person]
_failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[_failed] = item.stash.get(_failed, False) or report.failed
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and stack is not None:
        told = stack.try_manage("shell", "-v0", "-c", NEWEST_EVENTS).stdout
        report.sections.append(("The newest of the jobs' events", told))
    return report


@pytest.fixture
def meet(
    chromium: Browser,
    stack: Stack,
    sessions: dict[str, StorageState],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> Iterator[MeetPerson]:
    """Lets somebody of the cast sit down at a new browser.

    Signed in, if they are one of ROLES and `stranger` is not set. What they saw when
    a test failed is kept as a picture in its folder.
    """
    people: list[Person] = []

    def sit_down(name: str, *, stranger: bool = False, **options: Any) -> Person:
        state = None if stranger else sessions.get(name)
        people.append(Person(chromium, stack.url, name, state=state, **options))
        return people[-1]

    yield sit_down
    for number, person in enumerate(people):
        if request.node.stash.get(_failed, False):
            person.page.screenshot(path=tmp_path / f"{number}-{person.name}.png")
        person.leave()
    assert [words for person in people for words in person.complaints] == []


@pytest.fixture
def olga(meet: MeetPerson) -> Person:
    """The operator."""
    return meet("olga")


@pytest.fixture
def victor(meet: MeetPerson) -> Person:
    """The viewer."""
    return meet("victor")


@pytest.fixture
def ada(meet: MeetPerson) -> Person:
    """The administrator."""
    return meet("ada")


@pytest.fixture
def as_usual_again(stack: Stack) -> Iterator[None]:
    """What the cast chose in a test is forgotten after it."""
    yield
    forget = "from jobs.models import Preferences; Preferences.objects.all().delete()"
    stack.manage("shell", "-c", forget)


# --- Guests ------------------------------------------------------------------------

MakeGuest = Callable[..., Guest]
_numbers = itertools.count(1)


@contextlib.contextmanager
def guest_maker(usual: PrivateHost) -> Iterator[MakeGuest]:
    """Something that starts writing guests, on the `usual` host unless told.

    The console hears of them by itself.
    """
    guests: list[Guest] = []

    def make(
        host: PrivateHost = usual,
        *,
        name: str = "",
        image: str = "",
        data: int = 16 * MIB,
        writing: bool = True,
        **options: Any,
    ) -> Guest:
        name = name or f"web-{next(_numbers)}"
        path = host.images / (image or f"{name}.qcow2")
        disk = GuestDisk(path, data=data, **options)
        guest = define_and_start(
            host, name, [disk], writing=writing, pause=PAUSE, span=4 * MIB
        )
        guests.append(guest)
        guest.log.wait_for_boot()
        return guest

    yield make
    for guest in guests:
        _remove(guest)
    for guest in guests:
        assert (guest.log.errors, guest.log.mismatches) == (0, 0)


@pytest.fixture
def make_guest(alder: PrivateHost) -> Iterator[MakeGuest]:
    with guest_maker(alder) as make:
        yield make


def _remove(guest: Guest) -> None:
    """Whatever is left of it: a test may have ended it before."""
    for verb in ("destroy", "undefine"):
        with contextlib.suppress(LabError):
            guest.host.virsh(verb, guest.name)


@pytest.fixture
def guest(make_guest: MakeGuest) -> Guest:
    """A writing guest with a small disk over a backing file."""
    return make_guest(backing=("raw",))
