"""One run: round after round, then rest, then judgement. Needs Django to be set up."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from queue import Queue

from django.db import connection

from bench.chaos.calls import read_calls
from bench.chaos.deeds import judge_calls, stories
from bench.chaos.images import Images
from bench.chaos.judge import judge, judge_by_tests
from bench.chaos.killers import Killers
from bench.chaos.ledger import Ledger
from bench.chaos.operators import Operator
from bench.chaos.plan import Deed, Kill, Plan, Round
from bench.chaos.promises import Break
from bench.chaos.rest import come_to_rest, judge_guests, judge_hosts
from bench.chaos.scene import Scene
from bench.chaos.table import Result
from bench.chaos.watch import Watch
from jobs.models import CopyJob
from lab.machine import Machine

# Images are judged, and what nobody needs is removed, each so many rounds.
JUDGED_EACH = 8
# So many deeds may wait for the operator's hands.
MOST_WAITING = 12


class Run:
    """Carries out a plan on a scene."""

    def __init__(self, scene: Scene, plan: Plan, *, promised: float) -> None:
        self._scene = scene
        self._plan = plan
        self.ledger = Ledger()
        self._killers = Killers(scene, self.ledger)
        self._operator = Operator(scene, self.ledger)
        self._machine = Machine()
        self._watch = Watch(scene, self.ledger, self._machine, promised)
        self._images = Images(scene, self.ledger)
        self._deeds: Queue[tuple[float, Deed] | None] = Queue()
        self._since = time.time()
        self._pool = ThreadPoolExecutor(8)
        self.result = Result(
            plan.seed, scene.database, len(plan.guests), len(plan.places), 0, 0
        )

    def go(self, seconds: float, kills: int = sys.maxsize) -> Result:
        """For so long, or until so many have died; the table's content."""
        began = time.monotonic()
        self._machine.begin()
        acting = threading.Thread(target=self._act, daemon=True)
        acting.start()
        while time.monotonic() - began < seconds and self._died < kills:
            self._round(self._plan.draw())
            if self.result.rounds % JUDGED_EACH == 0:
                self._note(self._images.judge())
        self.result.seconds = time.monotonic() - began
        self._deeds.put(None)
        acting.join()
        self._say("coming to rest")
        come_to_rest(self._scene, self._operator, self._killers)
        self._judge()
        return self.result

    @property
    def _died(self) -> int:
        return self.result.kills.total()

    # -- a round -----------------------------------------------------------------------

    def _round(self, drawn: Round) -> None:
        began = time.monotonic()
        self._ask(drawn, began)
        deaths = [self._pool.submit(self._strike, kill) for kill in drawn.kills]
        struck = [death.result() for death in deaths]
        self._killers.mend()
        self._watch.recover(tuple(kind for kind in struck if kind))
        self.result.rounds += 1
        self._note(self._watch.breaks)
        self._watch.breaks = []
        last = self._watch.recoveries[-1]
        self._say(f"{', '.join(last.deaths) or 'nothing'}: {last.seconds:.1f} s")

    def _ask(self, drawn: Round, began: float) -> None:
        """Tell the operator what to do, who leaves it if too much waits already."""
        for after, deed in drawn.deeds:
            if self._deeds.qsize() < MOST_WAITING:
                self._deeds.put((began + after, deed))

    def _act(self) -> None:
        """Do one thing after the other, until there is nothing more."""
        try:
            while (next_ := self._deeds.get()) is not None:
                at, deed = next_
                time.sleep(max(0.0, at - time.monotonic()))
                self._operator.do(deed)
        finally:
            connection.close()

    def _strike(self, kill: Kill) -> str:
        time.sleep(kill.after)
        struck = self._killers.strike(kill)
        (self.result.kills if struck else self.result.idle)[kill.kind] += 1
        return kill.kind if struck else ""

    # -- judgement ---------------------------------------------------------------------

    def _judge(self) -> None:
        self._note(self._images.judge())
        url = self._scene.stack.environment["DATABASE_URL"]
        self._note(judge(self.ledger))
        self._note(judge_by_tests(url))
        calls = [
            call
            for host in self._scene.hosts.values()
            for call in read_calls(host.directory / "log" / "calls.log")
        ]
        self._note(judge_calls(calls, self.ledger, stories(), self._since))
        self._note(judge_hosts(self._scene, self.ledger))
        self._note(judge_guests(self._scene, self.ledger))
        result = self.result
        result.jobs = Counter(CopyJob.objects.values_list("state", flat=True))
        result.answers = self.ledger.http
        result.recoveries = [each for each in self._watch.recoveries if each.deaths]
        result.compared = self._images.compared
        result.calls = sum(call.at >= self._since for call in calls)
        result.loads, result.slow = self._machine.loads, self._machine.slow
        result.unheard = CopyJob.objects.filter(failure__contains="vouched").count()
        result.lost_by_libvirt = self.ledger.lost_by_libvirt
        result.restarted = self.ledger.restarted

    def _note(self, breaks: Iterable[Break]) -> None:
        for each in breaks:
            self.result.breaks.append(each)
            self._say(f"BROKEN job {each.job}: {each.promise}: {each.sentence}")

    def _say(self, words: str) -> None:
        clock = time.strftime("%H:%M:%S", time.gmtime())
        print(f"{clock} {self.result.rounds:4} {words}", file=sys.stderr, flush=True)

    def close(self) -> None:
        self._machine.end()
        self._pool.shutdown(wait=False, cancel_futures=True)
        connection.close()
