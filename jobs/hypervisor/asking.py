"""Many guests' QEMUs asked side by side, of which any may never answer.

Some lanes, each with a connection of its own, take guest after guest. A question that
is not answered soon keeps its lane; then the others finish what they are at, and who is
asked next is chosen with care (`belief`), for each that hangs takes one of the 20
workers that the host's daemon has for everybody.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Mapping
from concurrent.futures import Future, wait

import libvirt

from jobs.hypervisor.belief import Belief, Doubt, belief_of
from jobs.hypervisor.deadline import leave_behind
from jobs.hypervisor.domains import by_uuid
from jobs.hypervisor.errors import HostUnreachable
from jobs.hypervisor.lanes import Lend, lanes_for, side_by_side
from jobs.hypervisor.link import Link
from jobs.hypervisor.observation import DAEMON_SECONDS, progress_of_disk
from jobs.hypervisor.records import Progress

Answer = dict[str, Progress | None]

# A question that waits for longer is left behind, and its guest is not asked again
# until it is answered. How often it is looked after.
SILENT_SECONDS = 0.2
STEP_SECONDS = 0.05
# So long after its beginning a round in which somebody is silent begins nothing more,
# since the others' answers wait for its end, and what is told later does not count.
MOST_SECONDS = 0.8
# Questions that may be left behind on one host for a guest to be asked of whom there is
# no, some, or grave doubt. What is left of 20 is for everybody else.
MOST_OPEN = {Doubt.NONE: 16, Doubt.SOME: 16, Doubt.GRAVE: 10}
# While only so few more may be, whoever is asked must have shown life a moment ago:
# guests may stop one after the other, too.
FEW = 4
# How often processor time is read after a surprise, and in a round while few may be
# asked; how far apart, and how long that may take.
LOOKS = 2
LOOKS_WHILE_FEW = 4
LOOK_SECONDS = 0.25
# Somebody else's question that waits for longer is not waited for beside them.
OCCUPIED_SECONDS = 1.0
_OCCUPIED = (libvirt.VIR_DOMAIN_CONTROL_OCCUPIED, libvirt.VIR_DOMAIN_CONTROL_JOB)


def look_at(domain: libvirt.virDomain, belief: Belief) -> None:
    """Note what libvirt tells of a guest without asking its QEMU."""
    try:
        state, _, milliseconds = domain.controlInfo()
        used = domain.info()[4]
    except libvirt.libvirtError:
        return  # it is off; or the next call tells what is wrong
    now = time.monotonic()
    belief.note_used(domain.UUIDString(), used, now)
    waited = milliseconds / 1000
    occupied = state in _OCCUPIED and waited > OCCUPIED_SECONDS
    belief.note_occupied(domain.UUIDString(), now - waited if occupied else None)


def room_for(doubt: Doubt, link: Link, belief: Belief) -> int:
    """How many guests of whom there is so much doubt may be asked at once."""
    return MOST_OPEN[doubt] - link.left_behind() - len(belief.occupied)


def may_be_asked(link: Link, uuid: str) -> bool:
    """Whether a question that is not urgent may be put to a guest that was just looked
    at."""
    belief = belief_of(link.uri)
    if link.waits_for(uuid) or uuid in belief.occupied:
        return False
    return room_for(belief.doubt(uuid), link, belief) > 0


class Round:
    """Each guest of one host asked once for the progress of its disks, if it answers.

    Nothing is begun after `deadline` (monotonic seconds).
    """

    def __init__(
        self,
        link: Link,
        lend: Lend,
        wanted: Mapping[str, Collection[str]],
        deadline: float,
    ) -> None:
        self.lend = lend
        self.wanted = wanted
        self.deadline = deadline
        self.belief = belief_of(link.uri)
        self.found: dict[str, Answer] = {}
        self.left = {uuid for uuid in wanted if not link.waits_for(uuid)}
        self.belief.forget_silence(link.waits_for)
        self._began = time.monotonic()
        self._link = link
        self._looked = 0.0
        self._looks_due = 0
        self._silent: list[_Lane] = []

    def answers(self) -> dict[str, Answer]:
        """What was answered, by guest and disk. Raises HostUnreachable."""
        if room_for(Doubt.NONE, self._link, self.belief) <= FEW:
            self.belief.doubt_all()
            self._looks_due = LOOKS_WHILE_FEW
        self._look([uuid for uuid in self.left if self.belief.needs_a_look(uuid)])
        while self.left and time.monotonic() < self.deadline:
            if not self._go_on():
                break
        self._wait_for_the_late()
        return dict(self.found)

    def _go_on(self) -> bool:
        """Ask those who are the least in doubt. False: nobody may be asked."""
        for doubt in Doubt:
            if doubt == Doubt.GRAVE and self._look_again():
                return True
            uuids = self.belief.in_turn(self.left, doubt)
            room = room_for(doubt, self._link, self.belief)
            if uuids and room > 0:
                self._ask(uuids, room)
                return True
        return False

    # -- asking ----------------------------------------------------------------------

    def _ask(self, uuids: list[str], room: int) -> None:
        """Ask side by side, until all have answered or one is silent.

        All that are asked at once may fall silent, and so again the next time.
        """
        queue = deque(uuids)
        lanes = min(lanes_for(len(uuids)), max(1, room // 3))
        going = [_Lane(self, queue) for _ in range(lanes)]
        ended: list[_Lane] = []
        while going:
            wait([lane.ended for lane in going], STEP_SECONDS)
            for lane in list(going):
                if lane.leave_if_silent():
                    queue.clear()
                    self._leave(lane)
                    going.remove(lane)
                elif lane.ended.done():
                    ended.append(lane)
                    going.remove(lane)
        for lane in ended:
            lane.ended.result()

    def _leave(self, lane: _Lane) -> None:
        self._silent.append(lane)
        self.deadline = min(self.deadline, self._began + MOST_SECONDS)
        leave_behind((self._link.uri, lane.uuid), lane.ended)
        if self.belief.note_silence(lane.uuid, lane.began):
            self._looks_due = LOOKS

    def _wait_for_the_late(self) -> None:
        if self._silent:
            rest = max(0.0, self.deadline - time.monotonic())
            wait([lane.ended for lane in self._silent], rest)

    # -- looking, without asking QEMU ------------------------------------------------

    def _look_again(self) -> bool:
        """Look at those in grave doubt. False: that can help no more in this round."""
        doubted = self.belief.in_turn(self.left, Doubt.GRAVE)
        room = room_for(Doubt.GRAVE, self._link, self.belief)
        if not doubted or (room <= 0 and not self._looks_due):
            return False
        self._looks_due = max(0, self._looks_due - 1)
        time.sleep(max(0.0, self._looked + LOOK_SECONDS - time.monotonic()))
        self._look(doubted)
        still = len(self.belief.in_turn(self.left, Doubt.GRAVE))
        return self._looks_due > 0 or still < len(doubted)

    def _look(self, uuids: Collection[str]) -> None:
        """See who takes processor time, and for whom somebody else waits already."""

        def look(lane: Link, part: list[str]) -> None:
            lane.ask(DAEMON_SECONDS, lambda connection: self._look_at(connection, part))

        side_by_side(self._link, self.lend, list(uuids), look)
        self._looked = time.monotonic()
        self.left.difference_update(self.belief.occupied)

    def _look_at(self, connection: libvirt.virConnect, uuids: list[str]) -> None:
        domains = by_uuid(connection, uuids)
        end = time.monotonic() + LOOK_SECONDS
        for uuid in uuids:
            if time.monotonic() > end:
                break
            if uuid in domains:
                look_at(domains[uuid], self.belief)


class _Lane:
    """A thread with a connection of its own, which takes guest after guest out of
    `queue` and keeps what they say in `round`.

    `ended` is settled when it takes no more. When it was left behind that is as soon as
    the guest that it waits for has answered.
    """

    def __init__(self, round: Round, queue: deque[str]) -> None:
        self.ended: Future[None] = Future()
        self.uuid = ""
        self.began = 0.0  # when the question was put that is open; 0.0: none is
        self._round = round
        self._queue = queue
        self._left = False
        self._lock = threading.Lock()  # between to leave it and to take the next guest
        threading.Thread(target=self._run, name="libvirt lane", daemon=True).start()

    def leave_if_silent(self) -> bool:
        """Whether it waits for its guest for too long; it takes no other after it."""
        with self._lock:
            began = self.began
            self._left = bool(began) and time.monotonic() - began > SILENT_SECONDS
            return self._left

    def _run(self) -> None:
        try:
            with self._round.lend() as link:
                wanted = self._round.wanted
                domains = link.ask(DAEMON_SECONDS, lambda asked: by_uuid(asked, wanted))
                while self._take_next():
                    if self.uuid in domains:
                        self._ask(link, domains[self.uuid])
                    self.began = 0.0
        except BaseException as error:  # noqa: BLE001  it is raised by the round
            self._queue.clear()
            self.ended.set_exception(error)
        else:
            self.ended.set_result(None)

    def _take_next(self) -> bool:
        now = time.monotonic()
        with self._lock:
            if self._left or now > self._round.deadline:
                return False
            try:
                self.uuid = self._queue.popleft()
            except IndexError:
                return False
            self.began = now
        self._round.left.discard(self.uuid)
        self._round.belief.note_asked(self.uuid, now)
        return True

    def _ask(self, link: Link, domain: libvirt.virDomain) -> None:
        answer: Answer = {}
        try:
            for target in self._round.wanted[self.uuid]:
                self.began = time.monotonic()
                answer[target] = progress_of_disk(domain, target)
        except libvirt.libvirtError as error:
            refusal = link.meaning(error)
            if isinstance(refusal, HostUnreachable):
                raise refusal from error
            return  # a refusal is no answer
        self._round.belief.note_answer(self.uuid)
        self._round.found[self.uuid] = answer
