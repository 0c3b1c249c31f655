"""A copy job as pages show it: its progress, how far it can be trusted, its verbs.

Nothing here is guessed. What is not known is None, and a number that is not fresh is
shown with its age.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from django.utils import timezone

from jobs import live, samples
from jobs.actions import SPEED_STATES, VERBS, Verb, speed_why_not
from jobs.actor import Actor
from jobs.console import words
from jobs.console.look import LOOKS
from jobs.console.verdict import ShownFinding, Verdict
from jobs.forecast import UNKNOWN, Forecast, Kind, what_helps
from jobs.hypervisor import CopyOptions, flag_names, options_for, parameters
from jobs.lifecycle import ENDED, ON_HOST, State, WhenReady
from jobs.models import CopyJob
from jobs.models.job import AtLimit, Consistency
from jobs.preflight import findings_from_json
from jobs.said import say
from jobs.units import bandwidth_text, bytes_text, seconds_text

# The sweep looks each second: no look for longer is worth saying.
SILENT_SECONDS = 10.0

_FLAG = "VIR_DOMAIN_BLOCK_COPY_"
_THEN = {
    WhenReady.WAIT: say("then you decide"),
    WhenReady.PIVOT: say("then pivot"),
    WhenReady.FINISH: say("then finish"),
}


@dataclass(frozen=True)
class ShownVerb:
    """A verb as a button: possible now, or greyed with the reason."""

    verb: Verb
    why_not: str
    consequence: str

    @property
    def style(self) -> str:
        """Return the button's class."""
        return {
            "start": "btn-primary",
            "pivot": "btn-primary",
            "cancel": "btn-danger",
        }.get(self.verb.name, "btn-quiet")


@dataclass
class ShownJob:
    """A job with what is known of its progress, for one reader.

    `ready_end`: libvirt's `end` when the mirror was ready, from the samples.
    """

    job: CopyJob
    progress: live.LiveProgress | None
    actor: Actor
    ready_end: int | None = None

    @property
    def state(self) -> State:
        return State(self.job.state)

    @property
    def key(self) -> str:
        """Return what makes ids in the page this job's."""
        return str(self.job.pk)

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def needs_decision(self) -> bool:
        """Whether the job stands in sync until a person decides."""
        return self.state == State.MIRRORING and self.job.when_ready == WhenReady.WAIT

    # --- Progress -------------------------------------------------------------------

    @property
    def was_ready(self) -> bool:
        """Whether source and destination were in sync at some time."""
        return self.job.ready_at is not None

    @property
    def percent(self) -> float | None:
        """How much is copied, 0 to 100; None while there is no figure.

        100 is kept for the mirror: libvirt reports current = end before it is ready.
        """
        if self.was_ready:
            return 100.0
        if self.progress is None or self.progress.percent is None:
            return None
        return min(self.progress.percent, 99.0)

    @property
    def percent_text(self) -> str:
        percent = self.percent
        return "" if percent is None else f"{int(percent)} %"

    @property
    def size_text(self) -> str:
        """Return the bytes copied as "3.2 GiB of 10 GiB"; empty without a figure.

        In the mirroring phase both numbers grow with what the guest writes.
        """
        if self.progress is None or self.progress.end <= 1:
            return ""
        if self.was_ready:
            return bytes_text(self.progress.current)
        return say(
            "%(current)s of %(end)s",
            current=bytes_text(self.progress.current),
            end=bytes_text(self.progress.end),
        )

    @property
    def mirrored_text(self) -> str:
        """Return what the hold has cost so far: the bytes that the guest has written
        since the mirror was ready, all of them to both sides; empty if not known."""
        if self.progress is None or self.ready_end is None:
            return ""
        return bytes_text(max(0, self.progress.end - self.ready_end))

    @property
    def meter_family(self) -> str:
        """Return the colour of the copying phase's bar."""
        return LOOKS[self.state].family if self.ended else "blue"

    @property
    def then(self) -> str:
        """Say what follows the mirroring phase."""
        if self.state in (State.PIVOTING, State.FINISHING, State.CANCELLING):
            return self.state.label
        return _THEN[WhenReady(self.job.when_ready)]

    @property
    def fresh(self) -> bool:
        """Whether the numbers are of this moment."""
        return self.progress is not None and self.progress.fresh

    @property
    def copying(self) -> bool:
        return self.state == State.COPYING

    @property
    def rate(self) -> float | None:
        """Bytes/s copied at present; None if that is not known now."""
        if not self.copying or not self.fresh or self.progress is None:
            return None
        return self.progress.rate or None

    @cached_property
    def forecast(self) -> Forecast:
        """The time left until the mirror."""
        if not self.copying or self.progress is None:
            return UNKNOWN
        return self.progress.forecast

    @property
    def what_helps(self) -> list[str]:
        """Say what makes the copy converge; empty if it does, or nobody knows."""
        if self.forecast.kind != Kind.DIVERGES or self.progress is None:
            return []
        limit, synchronous = self.progress.bandwidth, self.job.synchronous_writes
        return what_helps(limit=limit, synchronous=synchronous)

    @property
    def state_since(self) -> datetime:
        """Since when the job is in its present state, as well as is known."""
        known = {
            State.QUEUED: self.job.queued_at,
            State.STARTING: self.job.started_at,
            State.COPYING: self.job.started_at,
            State.MIRRORING: self.job.ready_at,
        }
        ending = self.job.ended_at or self.job.ending_at
        return known.get(self.state, ending) or self.job.requested_at

    @property
    def scheduled(self) -> bool:
        """Whether the job waits for its start time."""
        return self.state == State.REQUESTED and self.job.start_at is not None

    @property
    def overdue(self) -> bool:
        """Whether nobody has taken the job up although its start time has passed."""
        start_at = self.job.start_at
        late = timezone.now() - timedelta(seconds=SILENT_SECONDS)
        return self.scheduled and start_at is not None and start_at < late

    @property
    def ran_for(self) -> float | None:
        """Seconds from the start to the end; None unless both are known."""
        if self.job.started_at is None or self.job.ended_at is None:
            return None
        if self.job.adopted_at is not None:
            return None
        return (self.job.ended_at - self.job.started_at).total_seconds()

    @property
    def mirrored_for(self) -> float | None:
        """Seconds that an ended job was in sync; None if it never was."""
        if self.job.ready_at is None or self.job.ended_at is None:
            return None
        return (self.job.ended_at - self.job.ready_at).total_seconds()

    @property
    def announcement(self) -> str:
        """Say the progress in words, for those who hear the page."""
        told = {
            "disk": self.job.disk,
            "domain": self.job.domain_name,
            "state": self.state.label,
        }
        if not self.copying:
            return say("%(disk)s of %(domain)s: %(state)s", **told)
        return say(
            "%(disk)s of %(domain)s: %(state)s, %(percent)s",
            percent=self.percent_text,
            **told,
        )

    # --- The host behind it ---------------------------------------------------------

    @property
    def host_silent(self) -> bool:
        """Whether the job's host did not answer, or was not asked, lately."""
        if self.state not in ON_HOST:
            return False
        host = self.job.host
        silent = host.silent_for
        return bool(host.error) or silent is None or silent > SILENT_SECONDS

    @property
    def seen_lately(self) -> bool:
        """Whether the job still is what it is shown as: its host answers, and so does
        its guest, as far as numbers of it are known."""
        stale = self.progress is not None and not self.fresh
        return not self.host_silent and not stale

    # --- The two ends ---------------------------------------------------------------

    @property
    def source_role(self) -> str:
        """Say what the source is to the guest now; empty when that is not known."""
        if self.state == State.PIVOTED:
            return say("the guest has left it; it goes stale")
        stays = self.state in (State.COPIED, State.CANCELLED)
        running = self.state in ON_HOST and self.state != State.PIVOTING
        return say("the guest runs on it") if self._known and (stays or running) else ""

    @property
    def destination_role(self) -> str:
        """Say what the destination is now; empty when that is not known."""
        if self.state == State.COPIED:
            frozen = self.job.consistency == Consistency.GUEST
            return (
                say("complete, the guest's file systems were frozen")
                if frozen
                else say("complete, as after a power cut")
            )
        if self.state == State.PIVOTED:
            return say("the guest runs on it")
        now = {State.MIRRORING: say("in sync"), State.COPYING: say("being written")}
        return now.get(self.state, "") if self._known else ""

    @property
    def _known(self) -> bool:
        return not self.host_silent

    # --- What can be done -----------------------------------------------------------

    @cached_property
    def verbs(self) -> list[ShownVerb]:
        """Return every verb, those that are not possible with the reason; but none
        that has no meaning for this job."""
        return [
            ShownVerb(
                verb, verb.why_not(self.job, self.actor), verb.consequence(self.job)
            )
            for verb in VERBS.values()
            if self.state in verb.states or not verb.only_then
        ]

    @property
    def speed_why_not(self) -> str:
        return speed_why_not(self.job, self.actor)

    @property
    def speed_applies(self) -> bool:
        """Whether there is a running copy whose bandwidth means something."""
        return self.state in SPEED_STATES

    # --- What was asked -------------------------------------------------------------

    @property
    def bandwidth_field(self) -> str:
        """Return the bandwidth as one would type it, exactly."""
        return bandwidth_field(self.job.bandwidth)

    @property
    def bandwidth_known(self) -> bool:
        """Whether the bandwidth was asked for here, or has been seen on the host."""
        seen = self.progress is not None or self.job.bandwidth > 0
        return self.job.adopted_at is None or seen

    @property
    def bandwidth_read_back(self) -> int | None:
        """Return the bytes/s that the host last said are in force, 0 for no limit;
        None if it has not been asked lately."""
        if not self.speed_applies or self.progress is None or not self.fresh:
            return None
        return self.progress.bandwidth

    @cached_property
    def _options(self) -> CopyOptions:
        return options_for(self.job.target_destination, self.job.options)

    @property
    def flags(self) -> list[str]:
        """Return libvirt's flags of this copy, in words."""
        names = self.flag_names
        return [name.removeprefix(_FLAG).lower().replace("_", " ") for name in names]

    @property
    def flag_names(self) -> tuple[str, ...]:
        """Return libvirt's names for the flags of this copy."""
        return flag_names(self._options, bool(self.job.transient_job))

    @property
    def parameters(self) -> list[tuple[str, int]]:
        """Return the typed parameters of the start: name and exact value; those that
        were sent, whatever has come into force since."""
        options = self._options
        if self.job.started_at:
            options = replace(options, bandwidth=self.job.bandwidth_sent or 0)
        return list(parameters(options).items())

    @property
    def bandwidth_sent_unknown(self) -> bool:
        """Whether nobody kept which bandwidth the start was called with."""
        return self.job.started_at is not None and self.job.bandwidth_sent is None

    @property
    def destination_kind(self) -> str:
        return words.kind(self.job.target_destination)

    @property
    def destination_details(self) -> list[tuple[str, str]]:
        return words.details(self.job.target_destination)

    @property
    def limits(self) -> list[str]:
        """Say which limits the copy has, and what happens at them."""
        job = self.job
        then = (
            say("it is cancelled")
            if job.at_limit == AtLimit.CANCEL
            else say("people are told")
        )
        stalled, total = seconds_text(job.stall_limit), seconds_text(job.total_limit)
        return [
            *(
                [
                    say(
                        "%(stalled)s without progress: %(then)s",
                        stalled=stalled,
                        then=then,
                    )
                ]
                if job.stall_limit
                else []
            ),
            *(
                [say("%(total)s until in sync: %(then)s", total=total, then=then)]
                if job.total_limit
                else []
            ),
        ]

    # --- What preflight found -------------------------------------------------------

    @cached_property
    def verdict(self) -> Verdict:
        """Return what preflight found at the start, and what of it was accepted."""
        accepted = set(self.job.accepted)
        return Verdict(
            tuple(
                ShownFinding(found, "", "", found.rule in accepted)
                for found in findings_from_json(self.job.findings)
            )
        )


def bandwidth_field(bytes_per_second: int) -> str:
    """Return a bandwidth so that typing it gives the same number again."""
    if not bytes_per_second:
        return bandwidth_text(0)
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if bytes_per_second % unit == 0:
            return f"{bytes_per_second // unit} {name}/s"
    return f"{bytes_per_second}"


def show_jobs(jobs: Iterable[CopyJob], actor: Actor) -> list[ShownJob]:
    """Return `jobs` with their progress; one request to Redis for all, and one query
    if some are in sync."""
    rows = list(jobs)
    progress = live.progress_of(row.pk for row in rows if row.state in ON_HOST)
    ends = samples.ready_ends([row for row in rows if row.state == State.MIRRORING])
    return [
        ShownJob(row, progress.get(row.pk), actor, ends.get(row.pk)) for row in rows
    ]


def show_job(job: CopyJob, actor: Actor) -> ShownJob:
    """Return one job, an ended one with the last that was known of its progress."""
    ends = samples.ready_ends([job] if job.state == State.MIRRORING else [])
    return ShownJob(
        job, live.progress_of([job.pk]).get(job.pk), actor, ends.get(job.pk)
    )
