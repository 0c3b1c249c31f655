"""Copy jobs and their history: to be read, and ended by the console's own verbs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from jobs import actions
from jobs.actions import ActionError, Verb
from jobs.admin.base import ReadOnlyAdmin, actor_of, to_the_second
from jobs.admin.inventory import ReadOnlyInline
from jobs.models import CopyJob, JobEvent

AT_ONCE = 200
REASON_MAX = 1000


class EventInline(ReadOnlyInline):
    model = JobEvent
    fields = ["at", "level", "actor", "old_state", "new_state", "message"]
    readonly_fields = ["at"]
    show_change_link = False

    @admin.display(description="time (UTC)")
    def at(self, event: JobEvent) -> str:
        return to_the_second(event.time)


@admin.register(CopyJob)
class CopyJobAdmin(ReadOnlyAdmin):
    """Copy jobs. A verb asks first, and says for each job what it will do."""

    list_display = [
        *("id", "state", "host_name", "domain_name", "disk", "destination"),
        *("when_ready", "requested_by_name", "requested_at", "ended_at"),
    ]
    list_filter = ["state", "when_ready", "host"]
    list_select_related = ["host", "domain", "requested_by"]
    search_fields = [
        *("=id", "domain_name", "domain_uuid", "host_name", "source", "destination"),
        *("requested_by_name", "reason"),
    ]
    date_hierarchy = "requested_at"
    actions = ["pivot", "finish", "cancel"]
    inlines = [EventInline]

    @admin.action(description="Pivot to the destination…", permissions=["verb"])
    def pivot(self, request: HttpRequest, jobs: QuerySet[CopyJob]) -> Any:
        return self._verb(request, actions.PIVOT, jobs)

    @admin.action(description="Finish and keep the copy…", permissions=["verb"])
    def finish(self, request: HttpRequest, jobs: QuerySet[CopyJob]) -> Any:
        return self._verb(request, actions.FINISH, jobs)

    @admin.action(description="Cancel the copy…", permissions=["verb"])
    def cancel(self, request: HttpRequest, jobs: QuerySet[CopyJob]) -> Any:
        return self._verb(request, actions.CANCEL, jobs)

    def has_verb_permission(self, request: HttpRequest) -> bool:
        return any(map(actor_of(request).may, _PERMISSIONS))

    def _verb(
        self, request: HttpRequest, verb: Verb, jobs: QuerySet[CopyJob]
    ) -> HttpResponse | None:
        """Ask for the confirmation; once it was given, act on each job."""
        if "confirmed" in request.POST:
            self._perform(request, verb)
            return None
        chosen = list(jobs[: AT_ONCE + 1])
        if len(chosen) > AT_ONCE:
            too_many = f"Choose at most {AT_ONCE} jobs at once; nothing was done."
            self.message_user(request, too_many, messages.ERROR)
            return None
        return self._ask(request, verb, chosen)

    def _ask(
        self, request: HttpRequest, verb: Verb, jobs: list[CopyJob]
    ) -> HttpResponse:
        actor = actor_of(request)
        refused = {job: why for job in jobs if (why := verb.why_not(job, actor))}
        context = {
            **self.admin_site.each_context(request),
            "title": f"{verb.label}: are you sure?",
            "opts": self.opts,
            "media": self.media,
            "verb": verb,
            "possible": {
                job: verb.consequence(job) for job in jobs if job not in refused
            },
            "refused": refused,
            "checkbox": ACTION_CHECKBOX_NAME,
            "reason_max": REASON_MAX,
        }
        template = "admin/jobs/copyjob/confirm_verb.html"
        return TemplateResponse(request, template, context)

    def _perform(self, request: HttpRequest, verb: Verb) -> None:
        """Act on the confirmed jobs, by number: the list's filters may no longer let
        a job through that has changed its state since."""
        confirmed = request.POST.getlist(ACTION_CHECKBOX_NAME)[:AT_ONCE]
        reason = request.POST.get("reason", "").strip()[:REASON_MAX]
        jobs = CopyJob.objects.select_related("host__site").filter(pk__in=confirmed)
        for job in jobs.order_by("pk"):
            try:
                actions.perform(verb, job, actor_of(request), reason)
            except ActionError as error:
                told = f"{job}: not done. {error}"
                self.message_user(request, told, messages.ERROR)
            else:
                told = f"{job}: {verb.name} was asked for."
                self.message_user(request, told, messages.SUCCESS)


_PERMISSIONS = [verb.permission for verb in actions.VERBS.values()]


@admin.register(JobEvent)
class JobEventAdmin(ReadOnlyAdmin):
    """The histories of all jobs, newest first."""

    list_display = ["at", "level", "job", "actor", "new_state", "message"]
    list_filter = ["level", "new_state"]
    list_select_related = ["job"]
    search_fields = ["=job__id", "message", "actor"]
    date_hierarchy = "time"
    ordering = ["-id"]

    @admin.display(description="time (UTC)", ordering="time")
    def at(self, event: JobEvent) -> str:
        return to_the_second(event.time)
