"""Copy jobs and their history: to be read, and ended by the console's own verbs."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from jobs import actions
from jobs.actions import Verb
from jobs.admin.base import ReadOnlyAdmin, actor_of, one_of
from jobs.admin.confirming import Act, ConfirmingAdmin
from jobs.admin.inventory import ReadOnlyInline
from jobs.admin.shown import NOTHING
from jobs.hypervisor.destination import KINDS
from jobs.lifecycle import State
from jobs.models import CopyJob, JobDefinition, JobEvent, Leftover
from jobs.models.search import SEARCHED
from jobs.preflight import Finding, Level, findings_from_json
from jobs.said import localized, say
from jobs.units import bandwidth_text, bytes_text, seconds_text


class EventInline(ReadOnlyInline):
    model = JobEvent
    fields = ["time", "level", "actor", "old_state", "new_state", "message"]
    show_change_link = False


class DefinitionInline(ReadOnlyInline):
    model = JobDefinition
    fields = ["when", "taken_at", "xml"]
    show_change_link = False


class LeftoverInline(ReadOnlyInline):
    model = Leftover
    fields = ["kind", "location", "bytes", "removal_asked_at", "refusal", "removed_at"]


class FlaggedFilter(admin.SimpleListFilter):
    """Jobs that reached a limit."""

    title = _("limit")
    parameter_name = "flagged"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("reached")), ("no", _("not reached"))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        if self.value() is None:
            return None
        flagged = queryset.exclude(flagged="")
        return flagged if self.value() == "yes" else queryset.filter(flagged="")


_WHO = ["requested_by_name", "requested_by", "reason", "accepted_rules", "found"]
_WHAT = ["host", "domain", "domain_uuid", "disk", "source", "source_format", "capacity"]
_WHERE = [
    *("destination_kind", "destination", "destination_format", "destination_xml"),
    *("volume_asked_at", "volume_made"),
]
_HOW = [
    *("shallow", "reuse_external", "synchronous_writes", "target_zeroed"),
    *("transient_job", "speed", "granularity_text", "buf_size_text"),
]
_END = ["when_ready", "consistent", "limits", "at_limit"]
_CAME = [
    *("state", "libvirt_id", "flagged", "failure", "remedy", "qemu_text"),
    *("likely_cause", "libvirt_code", "libvirt_text", "consistency", "left_behind"),
]
_TIMES = [
    *("requested_at", "start_at", "queued_at", "started_at", "ready_at", "ending_at"),
    *("ended_at", "seen_at", "frozen_at", "adopted_at"),
]


@admin.register(CopyJob)
class CopyJobAdmin(ConfirmingAdmin):
    """Copy jobs. A verb asks first, and says for each job what it will do."""

    list_display = [
        *("id", "state", "host_name", "domain_name", "disk", "destination"),
        *("when_ready", "requested_by_name", "requested_at", "ended_at"),
    ]
    list_filter = [
        *("state", "when_ready", "consistency", FlaggedFilter),
        one_of("destination_kind", _("destination kind"), KINDS),
        *("host__site", "requested_at"),
    ]
    list_select_related = ["host", "domain", "requested_by"]
    search_fields = SEARCHED["CopyJob"]
    actions = ["start", "pivot", "finish", "cancel"]
    inlines = [LeftoverInline, DefinitionInline, EventInline]
    fieldsets = [
        (_("What came of it"), {"fields": [*_CAME]}),
        (_("What is copied"), {"fields": [*_WHAT]}),
        (_("Where to"), {"fields": [*_WHERE]}),
        (_("How"), {"fields": [*_HOW]}),
        (_("When it is ready, and when it is not"), {"fields": [*_END]}),
        (_("Who asked, and what was found before the start"), {"fields": [*_WHO]}),
        (_("Times"), {"fields": [*_TIMES]}),
    ]

    @admin.display(description=_("created volume"))
    def volume_made(self, job: CopyJob) -> str:
        made = job.created_volume
        return f"{made['pool']}/{made['name']} ({made['path']})" if made else NOTHING

    @admin.display(description=_("bandwidth"))
    def speed(self, job: CopyJob) -> str:
        return bandwidth_text(job.bandwidth)

    @admin.display(description=_("granularity"))
    def granularity_text(self, job: CopyJob) -> str:
        return _or_default(job.granularity)

    @admin.display(description=_("buf-size"))
    def buf_size_text(self, job: CopyJob) -> str:
        return _or_default(job.buf_size)

    @admin.display(description=_("limits"))
    def limits(self, job: CopyJob) -> str:
        told = [
            (_("without progress"), job.stall_limit),
            (_("in all"), job.total_limit),
        ]
        texts = [
            f"{localized(seconds_text(value))} {what}" for what, value in told if value
        ]
        return ", ".join(texts) or NOTHING

    @admin.display(description=_("accepted warnings"))
    def accepted_rules(self, job: CopyJob) -> str:
        return ", ".join(job.accepted) or NOTHING

    @admin.display(description=_("findings"))
    def found(self, job: CopyJob) -> str:
        """What speaks against it or should be known, and how many rules passed."""
        findings = findings_from_json(job.findings)
        told = [found for found in findings if found.level != Level.PASS]
        passed = len(findings) - len(told)
        if not findings:
            return NOTHING
        return format_html(
            "{}{}",
            _list(told),
            say("%(count)d passed.", count=passed) if passed else "",
        )

    # --- Verbs -----------------------------------------------------------------------

    @admin.action(description=_("Start now…"), permissions=["verb"])
    def start(self, request: HttpRequest, jobs: QuerySet[CopyJob]) -> Any:
        return self._verb(request, actions.START, jobs)

    @admin.action(description=_("Pivot to the destination…"), permissions=["verb"])
    def pivot(self, request: HttpRequest, jobs: QuerySet[CopyJob]) -> Any:
        return self._verb(request, actions.PIVOT, jobs)

    @admin.action(description=_("Finish and keep the copy…"), permissions=["verb"])
    def finish(self, request: HttpRequest, jobs: QuerySet[CopyJob]) -> Any:
        return self._verb(request, actions.FINISH, jobs)

    @admin.action(description=_("Cancel the copy…"), permissions=["verb"])
    def cancel(self, request: HttpRequest, jobs: QuerySet[CopyJob]) -> Any:
        return self._verb(request, actions.CANCEL, jobs)

    def has_verb_permission(self, request: HttpRequest) -> bool:
        return any(map(actor_of(request).may, _PERMISSIONS))

    def _verb(
        self, request: HttpRequest, verb: Verb, jobs: QuerySet[CopyJob]
    ) -> HttpResponse | None:
        act = Act(
            name=verb.name,
            label=verb.label,
            why_not=verb.why_not,
            consequence=verb.consequence,
            perform=partial(actions.perform, verb),
            asked_for=say("%(verb)s was asked for.", verb=verb.label),
            to_type=partial(actions.to_type_for_many, actions.BULK_ACTS[verb.name]),
        )
        return self.confirm(request, act, jobs)


_PERMISSIONS = [verb.permission for verb in actions.VERBS.values()]


def _or_default(count: int) -> str:
    return bytes_text(count) if count else say("libvirt's default")


_GRAVE = {
    Level.NOTICE: say("notice"),
    Level.WARN: say("warning"),
    Level.STOP: say("stop"),
}


def _list(findings: list[Finding]) -> SafeString:
    rows = ((_GRAVE[found.level], found.rule, found.sentence) for found in findings)
    items = format_html_join("", "<li><b>{}</b> {}: {}</li>", rows)
    return format_html("<ul>{}</ul>", items) if findings else SafeString("")


@admin.register(JobEvent)
class JobEventAdmin(ReadOnlyAdmin):
    """The histories of all jobs, newest first."""

    is_logged = False
    list_display = ["time", "level", "job", "actor", "new_state", "message"]
    list_filter = ["level", one_of("new_state", _("state"), State.values)]
    list_select_related = ["job"]
    search_fields = ["=job__id"]
    ordering = ["-id"]
