"""Copy jobs and their events."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Any, ClassVar, cast

from django.conf import settings
from django.db import models
from django.db.models.functions import Left
from django.utils import timezone

from jobs.hypervisor import (
    CopyOptions,
    Destination,
    Identity,
    destination_from_json,
)
from jobs.lifecycle import ACTIVE, ENDED, ON_HOST, State, WhenReady
from jobs.models.domain import Domain
from jobs.models.host import Host
from jobs.models.search import KNOWN_CHARACTERS, searched
from jobs.models.told import Told
from jobs.said import say

# What waits for a person's decision.
WAITING = models.Q(state=State.MIRRORING, when_ready=WhenReady.WAIT)
# What a list is sorted by: an index has no room for the longest places.
DESTINATION_BEGINS = Left("destination", KNOWN_CHARACTERS)

_IN_A_LIST = (
    *("state", "host_name", "domain_name", "disk", "source", "destination"),
    *("when_ready", "consistent", "synchronous_writes", "libvirt_id", "doubted"),
    *("requested_by_name", "requested_at", "start_at", "queued_at", "started_at"),
    *("ready_at", "ending_at", "ended_at", "adopted_at"),
    *("host__error", "host__last_seen_at"),
)


class CopyJobQuerySet(models.QuerySet["CopyJob"]):
    """The questions that pages and tasks ask of the jobs."""

    def active(self) -> CopyJobQuerySet:
        """Return the jobs that have not ended."""
        return self.filter(state__in=ACTIVE)

    def on_host(self) -> CopyJobQuerySet:
        """Return the jobs that the hypervisor may hold a block job for."""
        return self.filter(state__in=ON_HOST)

    def to_look_at(self) -> CopyJobQuerySet:
        """Return the jobs that a look at their host may move on.

        Active ones, but such as wait for their start time only once it has come; and
        ended ones whose guest could not be thawed yet.
        """
        waits = models.Q(state=State.REQUESTED)
        due = waits & models.Q(start_at__lte=timezone.now())
        active = models.Q(state__in=ACTIVE - {State.REQUESTED})
        return self.filter(active | due | ~models.Q(frozen_at=None))

    def scheduled(self) -> CopyJobQuerySet:
        """Return the jobs that wait for their start time, the next one first."""
        return self.filter(state=State.REQUESTED).order_by("start_at", "id")

    def for_a_look(self) -> CopyJobQuerySet:
        """Leave what only a job's page shows in the database; some of it is long."""
        return self.defer("findings", "accepted", "destination_xml", "searched")

    def for_a_list(self, *more: str) -> CopyJobQuerySet:
        """Load what a row of a list shows, and of its host; all the other columns, four
        times as many, are asked for one by one. `more`: columns to load besides."""
        return self.select_related("host").only(*_IN_A_LIST, *more)

    def waiting(self) -> CopyJobQuerySet:
        """Return the jobs that wait for a person's decision."""
        return self.filter(WAITING)

    def recently_ended(self) -> CopyJobQuerySet:
        """Return the ended jobs, newest first."""
        return self.filter(state__in=ENDED).order_by("-ended_at")


class AtLimit(models.TextChoices):
    """What happens when a copy reaches a limit before it is ready."""

    FLAG = "flag", say("Tell people")
    CANCEL = "cancel", say("Cancel the copy")


class Consistency(models.TextChoices):
    """What a finished copy is like."""

    CRASH = "crash", say("as after a power cut")
    GUEST = "guest", say("with the guest's file systems frozen")


def claim_of(destination: str) -> str:
    """Return what stands for a destination in the rule "one active job per place".

    A digest, since a path may be longer than what a database can keep unique.
    """
    return sha256(destination.encode(errors="surrogateescape")).hexdigest()


class CopyJob(Told):
    """One disk of one running domain, copied to one destination.

    Intent (what was asked) is written once; the rest is what was last seen on the
    host. Names are kept as text, since history outlives hosts and domains.
    """

    host = models.ForeignKey(Host, on_delete=models.PROTECT, related_name="jobs")
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT, related_name="jobs")
    host_name = models.CharField(max_length=63)
    domain_name = models.CharField(max_length=255)
    domain_uuid = models.CharField(max_length=36)
    disk = models.CharField(max_length=64)

    # The destination as hypervisor.Destination, as JSON; then what of it is shown and
    # searched. A volume's `destination` is "pool/volume" until it has a path.
    destination_spec = models.JSONField(default=dict)
    destination_kind = models.CharField(max_length=16, default="file")
    destination = models.TextField()
    destination_format = models.CharField(max_length=16)
    destination_xml = models.TextField()
    # Digest of the destination while a host may write there: `claim_of`. Only one job
    # may hold it.
    claim = models.CharField(max_length=64, blank=True)
    # The volume that the console made for this job: {"pool", "name", "path"}. The time
    # is written before the host is asked to make it.
    volume_asked_at = models.DateTimeField(null=True)
    created_volume = models.JSONField(null=True)
    shallow = models.BooleanField(default=False)
    reuse_external = models.BooleanField(default=False)
    synchronous_writes = models.BooleanField(default=False)
    target_zeroed = models.BooleanField(default=False)
    # bytes/s and bytes; 0 is no limit, and libvirt's default
    bandwidth = models.BigIntegerField(default=0)
    # What the start was called with; `bandwidth` is what has been in force since. None
    # before that, and where it was not kept.
    bandwidth_sent = models.BigIntegerField(null=True)
    # Another bandwidth that was asked for and is not in force yet, and by whom.
    bandwidth_asked = models.BigIntegerField(null=True)
    bandwidth_asked_by = models.CharField(max_length=150, blank=True)
    granularity = models.BigIntegerField(default=0)
    buf_size = models.BigIntegerField(default=0)
    when_ready = models.CharField(
        max_length=8, choices=WhenReady, default=WhenReady.WAIT
    )
    # Limits in seconds, 0 is none: without progress, and until it is ready.
    stall_limit = models.PositiveIntegerField(default=0)
    total_limit = models.PositiveIntegerField(default=0)
    at_limit = models.CharField(max_length=8, choices=AtLimit, default=AtLimit.FLAG)
    # Freeze the guest's file systems while the mirror is ended (finish).
    consistent = models.BooleanField(default=False)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL
    )
    requested_by_name = models.CharField(max_length=150)
    reason = models.TextField(blank=True)

    # What preflight found at the start (Finding as JSON), and the rules whose warnings
    # were accepted, with `reason`.
    findings = models.JSONField(default=list)
    accepted = models.JSONField(default=list)

    state = models.CharField(max_length=12, choices=State, default=State.REQUESTED)
    libvirt_id = models.IntegerField(null=True)  # of the running domain, at start
    source = models.TextField(blank=True)
    source_format = models.CharField(max_length=16, blank=True)
    capacity = models.BigIntegerField(null=True)
    transient_job = models.BooleanField(null=True)
    failure = models.TextField(blank=True)
    remedy = models.TextField(blank=True)
    libvirt_code = models.IntegerField(null=True)
    libvirt_text = models.TextField(blank=True)
    # QEMU's own words for a failure, which libvirt keeps to itself; and, without them,
    # what the evidence makes likely.
    qemu_text = models.TextField(blank=True)
    likely_cause = models.TextField(blank=True)
    # A limit that was reached, in one sentence.
    flagged = models.TextField(blank=True)
    # Set before the guest's file systems are frozen, emptied when they are thawed.
    frozen_at = models.DateTimeField(null=True)
    consistency = models.CharField(max_length=8, choices=Consistency, blank=True)
    # Evidence of how a mirror ended: libvirt's last event, and its consent to our end.
    last_event = models.CharField(max_length=16, blank=True)
    end_accepted = models.BooleanField(default=False)
    # Lost while the guest's run went on: libvirt may be wrong about where it runs.
    doubted = models.BooleanField(default=False)
    # How often in a row the host refused what is to happen when the copy is ready.
    refusals = models.PositiveIntegerField(default=0)
    # What stays on the host's storage after the end, in one sentence.
    left_behind = models.TextField(blank=True)

    requested_at = models.DateTimeField(default=timezone.now)
    # Before this nothing is started; None is at once. Then: since when it may start.
    start_at = models.DateTimeField(null=True)
    queued_at = models.DateTimeField(null=True)
    # When a copy that somebody else had begun was taken over; its past is not known.
    adopted_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    ready_at = models.DateTimeField(null=True)
    ending_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    searched = searched("CopyJob")

    objects = CopyJobQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["host", "domain_uuid", "disk"],
                condition=models.Q(state__in=sorted(ACTIVE)),
                name="one_active_job_per_disk",
            ),
            models.UniqueConstraint(
                fields=["claim"],
                condition=models.Q(state__in=sorted(ACTIVE)) & ~models.Q(claim=""),
                name="one_active_job_per_destination",
            ),
        ]
        indexes: ClassVar = [
            # The tick: which hosts have active jobs?
            models.Index(
                fields=["host", "state"],
                condition=models.Q(state__in=sorted(ACTIVE)),
                name="active_jobs_by_host",
            ),
            # The tick, too: whose guest is to be thawed?
            models.Index(
                fields=["host"],
                condition=models.Q(frozen_at__isnull=False),
                name="frozen_jobs_by_host",
            ),
            # The tick: whose start time has come? And the overview: what comes next?
            models.Index(
                fields=["start_at"],
                condition=models.Q(state=State.REQUESTED),
                name="jobs_by_start_time",
            ),
            # The jobs page, by state; and how many there are of each.
            models.Index(fields=["state", "-id"], name="jobs_by_state"),
            # The same list sorted by a column, from either end.
            models.Index(fields=["state", "id"], name="jobs_by_state_backwards"),
            models.Index(fields=["domain_name", "-id"], name="jobs_by_domain"),
            models.Index(fields=["host_name", "-id"], name="jobs_by_host"),
            models.Index(fields=["requested_by_name", "-id"], name="jobs_by_person"),
            models.Index(
                DESTINATION_BEGINS, models.F("id").desc(), name="jobs_by_destination"
            ),
            # And what was asked for since a day, or until then.
            models.Index(fields=["requested_at", "-id"], name="jobs_by_request"),
            # The overview: what ended last, and what failed since yesterday.
            models.Index(
                fields=["-ended_at"],
                condition=models.Q(state__in=sorted(ENDED)),
                name="jobs_by_end",
            ),
            # What ended on a host since it was looked at, and what ended there last.
            models.Index(
                fields=["host", "-ended_at"],
                condition=models.Q(state__in=sorted(ENDED)),
                name="jobs_by_host_and_end",
            ),
            # The overview: what waits for a decision, the longest first; and what has
            # reached a limit.
            models.Index(fields=["ready_at"], condition=WAITING, name="jobs_that_wait"),
            models.Index(
                fields=["id"],
                condition=models.Q(state=State.COPYING) & ~models.Q(flagged=""),
                name="jobs_at_a_limit",
            ),
            # What runs, the oldest first.
            models.Index(
                fields=["id"],
                condition=models.Q(state__in=sorted(ACTIVE)),
                name="active_jobs",
            ),
        ]
        permissions: ClassVar = [
            ("start_copyjob", "Can start a copy"),
            ("pivot_copyjob", "Can pivot a guest to its copy"),
            ("finish_copyjob", "Can finish a copy"),
            ("cancel_copyjob", "Can cancel a copy"),
            ("speed_copyjob", "Can change a copy's bandwidth"),
        ]

    def __str__(self) -> str:
        return f"job {self.pk}: {self.disk} of {self.domain_name} on {self.host_name}"

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def queued_since(self) -> datetime:
        """Since when a queued job may start."""
        return self.queued_at or self.requested_at

    @property
    def begun(self) -> bool:
        """Whether the copy is known to have begun: the start or an end was accepted,
        or it was seen on the host."""
        accepted = self.transient_job is not None or self.end_accepted
        return accepted or self.seen_at is not None

    @property
    def cancelled_by_limit(self) -> bool:
        """Whether a limit, and nobody else, asked for the copy to be cancelled."""
        by_limit = self.at_limit == AtLimit.CANCEL and bool(self.flagged)
        return by_limit and self.state == State.CANCELLING

    def is_doubted_in(self, run: int | None) -> bool:
        """Whether libvirt may be wrong, in the guest's run with the numeric id `run`
        (None: it is off), about which side it is on since this job."""
        return self.doubted and run is not None and run == self.libvirt_id

    @property
    def target_destination(self) -> Destination:
        """The destination as the hypervisor layer takes it."""
        if self.destination_spec:
            return destination_from_json(self.destination_spec)
        # Requested before there were other kinds than files and devices.
        return Destination(
            kind=cast(Any, self.destination_kind),
            path=self.destination,
            format=cast(Any, self.destination_format),
        )

    @property
    def options(self) -> CopyOptions:
        """Flags and typed parameters as the hypervisor layer takes them."""
        return CopyOptions(
            shallow=self.shallow,
            reuse_external=self.reuse_external,
            synchronous_writes=self.synchronous_writes,
            target_zeroed=self.target_zeroed,
            bandwidth=self.bandwidth,
            granularity=self.granularity,
            buf_size=self.buf_size,
        )

    @property
    def identity(self) -> Identity:
        """What a verb checks on the host before it acts.

        ValueError for a job that was never started.
        """
        if self.libvirt_id is None:
            raise ValueError(f"{self} was not started yet")
        return Identity(
            domain_uuid=self.domain_uuid,
            domain_id=self.libvirt_id,
            disk=self.disk,
            destination=self.destination,
        )


class JobEvent(models.Model):
    """A line of a job's history, written in the transaction of what it tells."""

    class Level(models.TextChoices):
        INFO = "info", say("info")
        WARNING = "warning", say("warning")
        ERROR = "error", say("error")

    job = models.ForeignKey(CopyJob, on_delete=models.CASCADE, related_name="events")
    time = models.DateTimeField(default=timezone.now)
    level = models.CharField(max_length=8, choices=Level, default=Level.INFO)
    old_state = models.CharField(max_length=12, blank=True)
    new_state = models.CharField(max_length=12, blank=True)
    actor = models.CharField(max_length=150, blank=True)
    message = models.TextField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.message

    @property
    def record(self) -> dict[str, str]:
        """What the event says, for JSON."""
        return {
            "time": self.time.isoformat(),
            "level": str(self.level),
            "actor": self.actor,
            "old_state": self.old_state,
            "new_state": self.new_state,
            "message": self.message,
        }
