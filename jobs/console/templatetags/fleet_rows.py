"""The rows of domain_rows.html and pool_rows.html (see jobs.console.markup), and those
of their parts that other pages have too."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.console.markup import NOTHING, address_of, told
from jobs.console.pools import ShownPool
from jobs.console.templatetags.console import (
    age,
    ago,
    domain_state,
    icon,
    state,
)
from jobs.models import Disk, Domain, Host, StoragePool
from jobs.units import bytes_text

register = template.Library()

_SILENT = mark_safe(' class="silent"')


# --- Hosts --------------------------------------------------------------------------


@register.simple_tag
def production(host: Host) -> SafeString:
    """Mark what is in production."""
    if not host.production:
        return NOTHING
    return format_html(
        '<span class="tag tag-production" title="{}">{}'
        '<span class="tag-words">{}</span></span>',
        _("Confirmed by typing the domain’s name"),
        icon("shield-exclamation"),
        _("production"),
    )


def _last_seen(host: Host) -> SafeString:
    """That what is shown of a host is old, and how old."""
    if not host.stale:
        return NOTHING
    message = (
        _("does not answer, last seen %(when)s")
        if host.enabled
        else _("disabled, last seen %(when)s")
    )
    return format_html(
        ' <span class="small d-block with-icon">{}{}</span>',
        icon("signal-slash" if host.enabled else "pause"),
        told(message, when=ago(host.last_seen_at)),
    )


# --- Domains ------------------------------------------------------------------------


@register.simple_tag
def domain_row(domain: Domain, *, with_host: bool = False) -> SafeString:
    """Draw a domain of `fleet.domain_rows` as a row."""
    host: Any = domain.host
    rows: Any = domain
    silent = domain.gone_at or host.stale
    return format_html(
        '<tr role="row" id="domain-row-{pk}"{silent}>'
        '<td role="cell" class="main name whole"><a href="{address}" title="{name}">'
        '<bdi>{name}</bdi></a></td><td role="cell" class="tight">{state}</td>{host}'
        '<td role="cell" class="disks whole"><span class="tags">{disks}</span></td>'
        '<td role="cell">{jobs}</td></tr>\n',
        pk=domain.pk,
        silent=_SILENT if silent else "",
        address=address_of("domain", domain.pk),
        name=domain.name,
        state=_gone(domain) if domain.gone_at else domain_state(domain.state),
        host=_host_cell(host) if with_host else "",
        disks=_disks(rows.present_disks),
        jobs=format_html_join(
            " ",
            '<a class="plain disk-job" href="{}"><span class="mono">{}</span> {}</a>',
            (
                (address_of("job", job.pk), job.disk, state(job.state))
                for job in rows.active_jobs
            ),
        ),
    )


def _gone(domain: Domain) -> SafeString:
    when = told(_("gone %(when)s"), when=ago(domain.gone_at))
    return format_html('<span class="muted">{}</span>', when)


def _host_cell(host: Host) -> SafeString:
    return format_html(
        '<td role="cell"><a class="plain" href="{}">{}</a>{}</td>',
        address_of("host", host.pk),
        host.name,
        _last_seen(host),
    )


def _disks(disks: list[Disk]) -> SafeString:
    """Disks in a line, with what is odd about them."""
    if not disks:
        return format_html('<span class="muted">{}</span>', _("no disks"))
    return format_html_join(" ", "{}", ((_disk(disk),) for disk in disks))


def _disk(disk: Disk) -> SafeString:
    what = disk.device
    if what in ("disk", "lun"):
        what = bytes_text(disk.capacity) if disk.capacity else ""
    return format_html(
        '<span class="tag"><span class="mono">{}</span> {}{}{}</span>',
        disk.target,
        what,
        _disagreement() if disk.definitions_disagree else "",
        _mirror(disk.mirror) if disk.mirror else "",
    )


def _disagreement() -> SafeString:
    return format_html(
        ' <span class="tag-warn" title="{}">{}<span class="visually-hidden">{}</span>'
        "</span>",
        _("The persistent definition names another file."),
        icon("exclamation-triangle"),
        _("the persistent definition names another file"),
    )


def _mirror(place: str) -> SafeString:
    return format_html(
        ' <span title="{}">{}<span class="visually-hidden">{}</span></span>',
        told(_("Mirrored to %(place)s"), place=place),
        icon("arrows-right-left"),
        _("mirrored"),
    )


# --- Storage pools ------------------------------------------------------------------


@register.simple_tag
def pool_row(shown: ShownPool) -> SafeString:
    """Draw a pool with what is going on in it as a row."""
    pool, host = shown.pool, shown.pool.host
    return format_html(
        '<tr role="row" id="pool-{pk}"{silent}>'
        '<td role="cell" class="whole pool-place">{place}</td>'
        '<td role="cell" class="name pool-host"><a class="plain" href="{address}">'
        "{host}</a> {production}{last_seen}</td>"
        '<td role="cell" class="pool-used">{fill}</td>'
        '<td role="cell" class="num">{free}</td>{promised}{left}</tr>\n',
        pk=pool.pk,
        silent=_SILENT if shown.stale else "",
        place=_pool_place(shown),
        address=address_of("host", host.pk),
        host=host.name,
        production=production(host),
        last_seen=_last_seen(host),
        fill=pool_fill(pool, brief=True),
        free=_free(pool),
        promised=_cell("promised", _("Promised:"), shown.promised, _promised(shown)),
        left=_cell("left", _("Left behind:"), shown.left, _left(shown)),
    )


def _cell(name: str, label: str, there: list[Any], what: SafeString) -> SafeString:
    """A cell that a narrow list has with a label, and only if there is something."""
    return format_html(
        '<td role="cell" class="pool-{}{}"><span class="narrow-only muted">{} </span>'
        "{}</td>",
        name,
        "" if there else " narrow-hide",
        label,
        what if there else format_html('<span class="muted">{}</span>', _("nothing")),
    )


def _pool_place(shown: ShownPool) -> SafeString:
    pool = shown.pool
    return format_html(
        '<bdi class="main name">{}</bdi> <span class="muted small">{}{}</span>{}{}',
        pool.name,
        pool.kind,
        "" if pool.active else f", {_('inactive')}",
        format_html(' <span class="path d-block">{}</span>', pool.path)
        if pool.path
        else "",
        _same_storage(shown),
    )


def _same_storage(shown: ShownPool) -> SafeString:
    """Where the same storage is a pool too; else where it comes from."""
    source, more = shown.pool.source, shown.more_elsewhere
    if not shown.others:
        message = _("from <bdi>%(source)s</bdi>")
        return (
            format_html(
                ' <span class="small muted d-block">{}</span>',
                told(message, source=source),
            )
            if source
            else NOTHING
        )
    return format_html(
        ' <span class="small d-block with-icon">{}{} {}{} '
        '<span class="muted">(<bdi>{}</bdi>)</span></span>',
        icon("link"),
        _("The same storage:"),
        format_html_join(
            ", ",
            '<a class="plain" href="{}">{}</a>',
            (
                (address_of("host", other.host_id), other.host.name)
                for other in shown.elsewhere
            ),
        ),
        _more(
            more,
            ngettext("and %(n)s more host", "and %(n)s more hosts", more),
            shown.same_address,
        ),
        source,
    )


def _more(count: int, message: str, address: str) -> SafeString:
    if not count:
        return NOTHING
    return format_html(' <a href="{}">{}</a>', address, told(message, n=count))


@register.simple_tag
def pool_fill(pool: StoragePool, *, brief: bool = False) -> SafeString:
    """Draw how full a pool is, as a bar and in words; `brief` where what is free stands
    elsewhere."""
    percent = pool.used_percent
    room = told(_("<strong>%(room)s</strong> free"), room=bytes_text(pool.available))
    return format_html(
        '<progress class="meter meter-fill{full}" max="100" value="{percent}" '
        'aria-label="{label}"></progress> <p class="small pool-room">{free}'
        '<span class="muted">{used}</span>{warning}</p>',
        full=" meter-full" if pool.nearly_full else "",
        percent=percent,
        label=told(_("%(name)s: %(percent)s %% used"), name=pool.name, percent=percent),
        free="" if brief else format_html("<span>{}</span> ", room),
        used=told(
            _("%(percent)s %% of %(size)s used"),
            percent=percent,
            size=bytes_text(pool.capacity),
        ),
        warning=_tag("warn", _("nearly full") if pool.available else _("full"))
        if pool.nearly_full
        else "",
    )


def _tag(kind: str, words: str) -> SafeString:
    sign = "x-circle" if kind == "bad" else "exclamation-triangle"
    return format_html(' <span class="tag tag-{}">{}{}</span>', kind, icon(sign), words)


def _free(pool: StoragePool) -> SafeString:
    return format_html(
        '<span title="{}"><strong>{}</strong></span> <span class="narrow-only muted">'
        '{}</span> <span class="muted small d-block">{}</span>',
        told(_("%(count)s bytes"), count=pool.available),
        bytes_text(pool.available),
        _("free"),
        age(pool.seen_at.timestamp()),
    )


def _promised(shown: ShownPool) -> SafeString:
    """What active copies will still take of a pool, and which they are."""
    if not shown.promised:
        return NOTHING
    most = bytes_text(shown.most)
    room: Any = most
    if shown.least != shown.most:
        message = _("%(least)s to %(most)s")
        room = told(message, least=bytes_text(shown.least), most=most)
    warning = NOTHING
    if shown.will_overflow:
        warning = _tag("bad", _("more than is free"))
    elif shown.may_overflow:
        warning = _tag("warn", _("may not fit"))
    more = shown.more_jobs
    return format_html(
        '<span>{}{}</span>{}<span class="small">{}</span>',
        room,
        warning,
        format_html_join(
            "",
            ' <a class="plain d-block small pool-job" href="{}">{} <bdi>{}</bdi> '
            '<span class="mono">{}</span></a>',
            (
                (
                    address_of("job", job.pk),
                    state(job.state),
                    job.domain_name,
                    job.disk,
                )
                for job in shown.jobs
            ),
        ),
        _more(
            more,
            ngettext("and %(n)s more job", "and %(n)s more jobs", more),
            shown.jobs_address,
        ),
    )


def _left(shown: ShownPool) -> SafeString:
    """What jobs left in a pool."""
    count, unmeasured = len(shown.left), shown.unmeasured
    if not count:
        return NOTHING
    if unmeasured < count:
        message = ngettext(
            "%(taken)s in %(n)s leftover", "%(taken)s in %(n)s leftovers", count
        )
    else:
        message = ngettext("%(n)s leftover", "%(n)s leftovers", count)
    return format_html(
        '<a href="{}">{}</a>{}',
        shown.leftovers_address,
        told(message, taken=bytes_text(shown.left_bytes), n=count),
        format_html(
            ' <span class="muted small d-block">{}</span>',
            told(_("%(n)s not measured"), n=unmeasured),
        )
        if unmeasured
        else "",
    )
