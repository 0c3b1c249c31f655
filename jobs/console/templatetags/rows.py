"""The rows of job_table.html (see jobs.console.markup): forty of them on a page, each
with up to thirty parts, the same in every list of jobs."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from jobs.console import clock
from jobs.console.markup import NOTHING, address_of, told
from jobs.console.shown import ShownJob, ShownVerb
from jobs.console.templatetags.console import (
    age,
    ago,
    moment,
    path,
    rate,
    since,
    state,
    until,
)
from jobs.lifecycle import State, WhenReady

register = template.Library()


@register.simple_tag
def job_row(
    shown: ShownJob, *, deciding: bool = False, choosing: bool = False
) -> SafeString:
    """Draw a job as a row; with `deciding` its verbs instead of who asked for it, with
    `choosing` so that it can be selected."""
    job = shown.job
    return format_html(
        '<tr role="row" id="row-{pk}"{silent}>{choose}<td role="cell">{state}</td>'
        '<td role="cell" class="job-name"><a class="plain job-link" href="{address}">'
        '<bdi class="main" title="{domain}">{domain}</bdi> '
        '<span class="mono">{disk}</span></a></td>'
        '<td role="cell" class="job-host" title="{host}">{host}</td>'
        '<td role="cell" class="job-path whole">{path}</td>'
        '<td role="cell" class="job-progress whole">{progress}</td>{last}</tr>\n',
        pk=job.pk,
        silent=mark_safe(' class="silent"') if shown.host_silent else "",
        choose=_choose(shown) if choosing else "",
        state=state(job.state),
        address=address_of("job", job.pk),
        domain=job.domain_name,
        disk=job.disk,
        host=job.host_name,
        path=path(job.destination),
        progress=_progress(shown),
        last=_verbs(shown) if deciding else _asked(shown),
    )


def _choose(shown: ShownJob) -> SafeString:
    job = shown.job
    return format_html(
        '<td role="cell" class="choose"><input class="form-check-input" '
        'type="checkbox" data-choose name="job" value="{pk}" id="choose-{pk}" '
        'aria-label="{label}"></td>',
        pk=job.pk,
        label=told(
            _("Select %(disk)s of %(domain)s, job %(id)s"),
            disk=job.disk,
            domain=job.domain_name,
            id=job.pk,
        ),
    )


def _asked(shown: ShownJob) -> SafeString:
    job = shown.job
    return format_html(
        '<td role="cell" class="job-asked muted small"><span class="who-when">'
        '<bdi title="{name}">{name}</bdi><span>, {when}</span></span></td>',
        name=job.requested_by_name,
        when=ago(job.requested_at),
    )


def _verbs(shown: ShownJob) -> SafeString:
    """What is possible now, as buttons."""
    possible = [choice for choice in shown.verbs if not choice.why_not]
    return format_html(
        '<td role="cell" class="whole"><div class="verbs verbs-brief">{}</div></td>',
        format_html_join(" ", "{}", ((_verb(shown, each),) for each in possible)),
    )


def _verb(shown: ShownJob, choice: ShownVerb) -> SafeString:
    job = shown.job
    return format_html(
        '<a class="btn {style}" role="button" id="{name}-{key}" href="{address}" '
        'hx-get="{address}" hx-target="#dialog-body">{label}'
        '<span class="visually-hidden"> {of}</span></a>',
        style=choice.style,
        name=choice.verb.name,
        key=shown.key,
        address=address_of("job-verb", job.pk, choice.verb.name),
        label=choice.verb.label,
        of=told(_("%(disk)s of %(domain)s"), disk=job.disk, domain=job.domain_name),
    )


# --- How far it is ------------------------------------------------------------------


def _progress(shown: ShownJob) -> SafeString:
    """How far a job is, in one line."""
    if shown.host_silent:
        return _silent(shown)
    if shown.ended:
        return _ended(shown)
    if shown.state == State.MIRRORING:
        return _in_sync(shown)
    if shown.copying:
        return _copying(shown)
    if shown.scheduled:
        return _scheduled(shown)
    return format_html(
        '<span class="muted">{}</span>',
        told(_("for %(time)s"), time=since(shown.state_since)),
    )


def _silent(shown: ShownJob) -> SafeString:
    host = shown.job.host
    message = (
        _("no answer, last seen %(when)s")
        if host.error
        else _("no news, last seen %(when)s")
    )
    when = ago(host.last_seen_at)
    return format_html('<span class="age">{}</span>', told(message, when=when))


def _ended(shown: ShownJob) -> SafeString:
    took: Any = ""
    if shown.ran_for is not None:
        time = clock.duration_text(shown.ran_for)
        took = format_html(", {}", told(_("took %(time)s"), time=time))
    return format_html(
        '<span class="muted">{} {}{}</span>',
        shown.state.label,
        ago(shown.job.ended_at),
        took,
    )


def _in_sync(shown: ShownJob) -> SafeString:
    job = shown.job
    return format_html(
        '<div class="line-parts"><span class="in-sync">{}</span>{}{}</div>',
        told(_("in sync for %(time)s"), time=since(job.ready_at)),
        _mirrored(shown),
        ""
        if job.when_ready == WhenReady.WAIT
        else format_html('<span class="muted small part">, {}</span>', shown.then),
    )


def _mirrored(shown: ShownJob) -> SafeString:
    if shown.progress is None or not shown.mirrored_text:
        return NOTHING
    return format_html(
        '<span class="muted small part">, <span class="text-nowrap">{}</span>{}</span>',
        told(_("%(size)s mirrored"), size=shown.mirrored_text),
        age(shown.progress.at),
    )


def _copying(shown: ShownJob) -> SafeString:
    job, percent = shown.job, shown.percent
    return format_html(
        '<div class="line-parts"><span class="line-meter"><progress class="meter '
        'meter-blue" max="100"{value} aria-label="{label}"></progress> '
        '<span class="line-meter-text">{text}</span></span>{left}{age}{rate}</div>',
        value="" if percent is None else format_html(' value="{}"', f"{percent:.1f}"),
        label=told(
            _("Copied of %(disk)s of %(domain)s"),
            disk=job.disk,
            domain=job.domain_name,
        ),
        text=shown.percent_text or _("begins"),
        left=_left(shown),
        age=age(shown.progress.at) if shown.progress else "",
        rate=_rate(shown),
    )


def _left(shown: ShownJob) -> SafeString:
    words = shown.forecast.short
    if not words:
        return NOTHING
    if shown.what_helps:
        return format_html(' <strong class="warn small">{}</strong>', words)
    return format_html(' <span class="muted small">{}</span>', words)


def _rate(shown: ShownJob) -> SafeString:
    if not shown.rate:
        return NOTHING
    apart, comma = ("", ", ") if shown.forecast.short else (" ", "")
    return format_html(
        '{}<span class="muted small part">{}{}</span>', apart, comma, rate(shown.rate)
    )


def _scheduled(shown: ShownJob) -> SafeString:
    start_at = shown.job.start_at
    if shown.overdue:
        message = told(_("was to start %(time)s"), time=moment(start_at))
        return format_html('<strong class="warn">{}</strong>', message)
    return format_html(
        '<span class="muted">{}</span>',
        told(
            _("starts %(time)s, %(left)s"),
            time=moment(start_at),
            left=until(start_at),
        ),
    )
