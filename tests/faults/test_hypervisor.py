"""libvirt's daemon dies, ends or hangs, with a job in each state on its host."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from lab.cell import LabError
from lab.guest import MIB, Guest
from lab.host import PrivateHost
from tests.faults.kit import NEVER_READY, make_guest, soon, wait_until
from tests.faults.operator import Answered
from tests.faults.yard import Yard, running

# Each guest is named after the state in which the fault meets its job.
SLOW = ("copying", "cancelling")
READY = ("mirroring", "pivoting", "finishing")
VERBS = {"pivoting": "pivot", "finishing": "finish", "cancelling": "cancel"}
IDLE = ("mirroring", "finishing")
RUNS = ("copying", "mirroring")


@pytest.fixture(scope="module")
def machines(yard: Yard) -> dict[str, Guest]:
    host = yard.hosts["alder"]
    made = {
        state: make_guest(
            host,
            state,
            writing=state not in IDLE,
            data=24 * MIB if state in SLOW else 4 * MIB,
        )
        for state in (*SLOW, *READY, "queued")
    }
    yard.console.knows(*made.values())
    return made


Ask = Callable[[], None]


def killed(yard: Yard, host: PrivateHost, ask: Ask) -> None:
    """With -9, while the calls for what was asked wait for its answer."""
    host.freeze()
    ask()
    host.kill()
    host.start()


def ended(yard: Yard, host: PrivateHost, ask: Ask) -> None:
    """In good order, and away until the console has noticed."""
    host.end()
    wait_until(lambda: yard.error_of(host))
    ask()
    host.start()


def frozen(yard: Yard, host: PrivateHost, ask: Ask) -> None:
    """The daemon and all guests, until the console has given its connections up."""
    everybody = host.virsh("list", "--name").split()
    host.freeze()
    for name in everybody:
        host.kill_guest(name, signal.SIGSTOP)
    ask()
    wait_until(lambda: yard.error_of(host))
    for name in everybody:
        host.kill_guest(name, signal.SIGCONT)
    host.thaw()


@pytest.mark.parametrize("fault", [killed, ended, frozen])
def test_the_daemon(
    yard: Yard,
    machines: dict[str, Guest],
    fault: Callable[[Yard, PrivateHost, Ask], None],
) -> None:
    console, host, olga = yard.console, yard.hosts["alder"], yard.console.olga
    jobs: dict[str, int] = {}

    def copy(state: str, **fields: str) -> None:
        to = host.images / f"{state}-{fault.__name__}.qcow2"
        jobs[state] = olga.copy(machines[state], to, **fields)

    def ask() -> None:
        for state, verb in VERBS.items():
            olga.act(jobs[state], verb)
        try:
            copy("queued")
        except Answered:
            assert fault is ended, "while a host is known not to answer"
        assert console.states(*(jobs[state] for state in VERBS)) == list(VERBS)

    for state in SLOW:
        copy(state, **NEVER_READY)
    for state in READY:
        copy(state)
    wanted = dict.fromkeys(SLOW, "copying") | dict.fromkeys(READY, "mirroring")
    console.wait_for({jobs[state]: there for state, there in wanted.items()})
    fault(yard, host, ask)

    promises = yard.promises(host, *jobs.values())
    promises.idle, promises.retries = IDLE, 3
    with soon(f"daemon {fault.__name__}"):
        yard.look(promises)
    _as_expected(yard, jobs)

    # And life goes on.
    olga.speed(jobs["copying"], "0")
    console.wait_for({jobs["copying"]: "mirroring"})
    olga.act(jobs["mirroring"], "pivot")
    console.wait_for({jobs["mirroring"]: "pivoted"})
    yard.end(*jobs.values())
    for state in ("copying", "pivoting", "cancelling"):
        machines[state].log.wait_for_writes()
    yard.must_keep(promises)


def _as_expected(yard: Yard, jobs: dict[str, int]) -> None:
    states = dict(zip(jobs, yard.console.states(*jobs.values()), strict=True))
    story = yard.console.story(*jobs.values())
    assert states["copying"] in RUNS, story
    assert states["mirroring"] == "mirroring", story
    assert states["pivoting"] == "pivoted", story
    assert states["cancelling"] == "cancelled", story
    if states.get("queued", "copying") not in RUNS:
        assert "Nothing was started" in yard.last_line(jobs["queued"]), story
    if states["finishing"] != "copied":
        # Carried out when nobody was there to hear of it.
        assert states["finishing"] == "failed", story
        assert "vouched" in yard.told(jobs["finishing"], "failure")


# --- Guests ---------------------------------------------------------------------------

Harm = tuple[str, Callable[[Guest], object]]
LOST: dict[str, Harm] = {
    "killed copying": ("copying", lambda guest: guest.host.kill_guest(guest.name)),
    "killed mirroring": ("mirroring", lambda guest: guest.host.kill_guest(guest.name)),
    "quit": ("mirroring", lambda guest: by_monitor(guest, "quit")),
    # What a guest's own kernel does to end its machine (ACPI, S5).
    "powered off": ("mirroring", lambda guest: by_monitor(guest, "o /w 0x604 0x2000")),
    "destroyed": ("copying", lambda guest: guest.destroy()),
}
UNHARMED: dict[str, Harm] = {
    "reset": ("copying", lambda guest: guest.host.virsh("reset", guest.name)),
    "suspended": ("mirroring", lambda guest: guest.host.virsh("suspend", guest.name)),
    "stuck mirroring": ("mirroring", lambda guest: stop(guest)),
    "stuck copying": ("copying", lambda guest: stop(guest)),
}


def by_monitor(guest: Guest, command: str) -> None:
    """Its QEMU may be gone before it has answered."""
    with suppress(LabError):
        guest.host.virsh("qemu-monitor-command", guest.name, "--hmp", command)


def stop(guest: Guest) -> None:
    guest.host.kill_guest(guest.name, signal.SIGSTOP)


@pytest.fixture(scope="module")
def mortals(yard: Yard) -> Iterator[dict[str, Guest]]:
    """A guest for each row, named after what will become of it."""
    made = {
        row: make_guest(
            yard.hosts["birch"],
            row.replace(" ", "-"),
            data=24 * MIB if state == "copying" else 4 * MIB,
        )
        for row, state in [
            *((row, state) for row, (state, _) in (LOST | UNHARMED).items()),
            ("restarted", "mirroring"),
        ]
    }
    yard.console.knows(*made.values())
    yield made
    for guest in made.values():
        running(guest).destroy()


def test_guests(yard: Yard, mortals: dict[str, Guest]) -> None:
    console, host, olga = yard.console, yard.hosts["birch"], yard.console.olga
    rows: dict[str, Harm] = {
        **LOST,
        **UNHARMED,
        "restarted": ("mirroring", restart),
    }
    jobs = {
        row: olga.copy(
            mortals[row],
            f"{mortals[row].disks[0].path}.copy",
            **(NEVER_READY if state == "copying" else {}),
        )
        for row, (state, _) in rows.items()
    }
    console.wait_for({jobs[row]: state for row, (state, _) in rows.items()})
    before = mortals["reset"].log.boots
    # The one that is restarted is not seen in between.
    console.stack.worker.freeze()
    restart(mortals["restarted"])
    console.stack.worker.thaw()
    for row, (_, harm) in (LOST | UNHARMED).items():
        harm(mortals[row])
    olga.act(jobs["stuck mirroring"], "pivot")
    olga.act(jobs["stuck copying"], "cancel")

    gone = [jobs[row] for row in (*LOST, "restarted")]
    console.wait_for(dict.fromkeys(gone, "lost"))
    for job in gone:
        assert yard.told(job, "remedy")
    assert "restarted" in yard.told(jobs["restarted"], "failure")
    assert console.states(jobs["stuck mirroring"]) == ["pivoting"]
    assert console.states(jobs["stuck copying"]) == ["cancelling"]
    for row in ("stuck mirroring", "stuck copying"):
        host.kill_guest(mortals[row].name, signal.SIGCONT)
    olga.act(jobs["suspended"], "pivot")
    ends = {"stuck mirroring": "pivoted", "stuck copying": "cancelled"}
    ends |= {"suspended": "pivoted"}
    console.wait_for({jobs[row]: state for row, state in ends.items()})
    host.virsh("resume", mortals["suspended"].name)
    for row in UNHARMED:
        mortals[row].log.wait_for_writes()
    assert mortals["reset"].log.boots > before
    assert mortals["suspended"].source().endswith(".copy")
    yard.end(*jobs.values())
    promises = yard.promises(host, *jobs.values())
    promises.undisturbed, promises.retries = False, 2
    yard.must_keep(promises)


def restart(guest: Guest) -> None:
    guest.destroy()
    guest.start()
