"""What templates of the console share: badges, sizes, times and the live region."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

from django import template
from django.forms.utils import flatatt
from django.http import HttpRequest
from django.template.context import Context
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from heroicons.templatetags.heroicons import heroicon_micro, heroicon_mini

from jobs.console import clock
from jobs.console.look import DOMAIN_LOOKS, DOMAIN_OFF, DOMAIN_WORDS, LOOKS, Look
from jobs.console.preferences import APPEARANCE_COOKIE, preferences_of
from jobs.console.tab import Tab
from jobs.console.texts import texts_address
from jobs.lifecycle import State
from jobs.live import FRESH_SECONDS
from jobs.models import Host, Preferences
from jobs.models.told import Told
from jobs.processes import Process
from jobs.roles import role_label, role_of
from jobs.said import localized, recalled, say
from jobs.units import bandwidth_text, bytes_text, rate_text, rough_text, version_text

register = template.Library()

# The lists, and the letter that leads to each after "g" (keys.js); "n" is a new copy.
PAGES = {
    "overview": (say("Overview"), "o"),
    "jobs": (say("Jobs"), "j"),
    "hosts": (say("Hosts"), "h"),
    "domains": (say("Domains"), "d"),
    "storage": (say("Storage"), "s"),
    "leftovers": (say("Leftovers"), "l"),
    "audit": (say("Audit"), "a"),
}
# Which entry of the navigation a page belongs to, by the name of its address.
SECTIONS = {
    "job": "jobs",
    "job-verb": "jobs",
    "jobs-bulk": "jobs",
    "views": "jobs",
    "view-act": "jobs",
    "job-speed": "jobs",
    "host": "hosts",
    "host-add": "hosts",
    "host-edit": "hosts",
    "domain": "domains",
    "disk-copy": "domains",
    "domain-copy": "domains",
    "disk-adopt": "domains",
    "copy-new": "domains",
    "leftover-act": "leftovers",
    "audit-export": "audit",
}


# --- Icons and badges ---------------------------------------------------------------


@register.simple_tag
@cache
def icon(name: str, size: int = 16) -> SafeString:
    """Draw a heroicon (16 or 20 px wide) that screen readers pass over."""
    draw = heroicon_micro if size <= 16 else heroicon_mini
    # Icon markup comes from the heroicons package, never from a user.
    return mark_safe(draw(name, size=size, aria_hidden="true"))  # noqa: S308


def _badge(look: Look, text: str) -> SafeString:
    return _drawn(look, localized(text))


@lru_cache(maxsize=500)
def _drawn(look: Look, text: str, title: str = "", stale: bool = False) -> SafeString:
    return format_html(
        '<span class="state state-{}{}{}"{}>{}{}</span>',
        look.family,
        " state-outlined" if look.outlined else "",
        " stale" if stale else "",
        format_html(' title="{}"', title) if title else "",
        icon(look.icon),
        text,
    )


@register.simple_tag
def state(value: str) -> SafeString:
    """Show a job's state as icon, colour and word."""
    known = State(value)
    return _badge(LOOKS[known], known.label)


@register.simple_tag
def attributes(given: dict[str, Any]) -> SafeString:
    """Write a widget's attributes."""
    return flatatt(given)


@register.simple_tag(name="input")
def input_(widget: dict[str, Any]) -> SafeString:
    """Write a widget that is one input."""
    value = widget["value"]
    return format_html(
        '<input type="{}" name="{}"{}{}>',
        widget["type"],
        widget["name"],
        "" if value is None else flatatt({"value": value}),
        flatatt(widget["attrs"]),
    )


@register.filter
def family(value: str) -> str:
    """Return the colour family of a job's state."""
    return LOOKS[State(value)].family


@register.simple_tag
def domain_state(value: str, *, stale: bool = False) -> SafeString:
    """Show a domain's state as icon, colour and word; libvirt's own is its title.

    `stale`: it was so when the host was last seen.
    """
    words = localized(DOMAIN_WORDS.get(value, value))
    title = "" if words == value else say("libvirt: %(state)s", state=value)
    look = DOMAIN_LOOKS.get(value, DOMAIN_OFF)
    return _drawn(look, words, localized(title), stale)


@register.simple_tag
def host_state(host: Host) -> SafeString:
    """Show whether a host answered at the last look."""
    if not host.enabled:
        return _badge(Look("neutral", "pause", outlined=True), say("disabled"))
    if host.reachable is None:
        return _badge(Look("neutral", "clock", outlined=True), say("not asked yet"))
    if host.reachable:
        return _badge(Look("green", "signal"), say("answers"))
    return _badge(Look("red", "signal-slash"), say("does not answer"))


@register.simple_tag
def process_state(process: Process) -> SafeString:
    """Show whether a process is at work."""
    if process.alive is None:
        look = Look("neutral", "question-mark-circle", outlined=True)
        return _badge(look, say("unknown"))
    if process.alive:
        return _badge(Look("green", "check-circle"), say("at work"))
    return _badge(Look("red", "x-circle"), say("missing"))


@register.simple_tag
def path(location: str) -> SafeString:
    """Show a path in one line; when room is short its directory gives way first."""
    directory, slash, name = location.rpartition("/")
    return format_html(
        '<span class="path-line" title="{}"><span class="path-dir">{}{}</span>'
        '<span class="path-name">{}</span></span>',
        location,
        directory,
        slash,
        name,
    )


@register.filter
def told(row: Told, name: str) -> str:
    """Return the text of a row's column in the reader's language, where it is known."""
    return recalled(row.told(name))


@register.filter(name="recalled")
def recalled_(text: str) -> str:
    """Return what was written down in the reader's language, where it is known."""
    return recalled(text)


# --- Numbers ------------------------------------------------------------------------


@register.filter(name="bytes")
def bytes_(count: float | None) -> str:
    """Return bytes in powers of 1024, "unknown" for None."""
    return bytes_text(count)


@register.filter
def bandwidth(bytes_per_second: int) -> str:
    """Return a bandwidth limit; 0 is unlimited."""
    return bandwidth_text(bytes_per_second)


@register.filter
def rate(bytes_per_second: float) -> str:
    """Return a measured rate."""
    return rate_text(bytes_per_second)


@register.filter
def sentence(words: str) -> str:
    """Return words in the reader's language, the first with a capital letter.

    `capfirst` would have them in English, as they are recorded.
    """
    return capfirst(localized(words))


@register.filter
def duration(seconds: float | None) -> str:
    """Return a duration exactly ("12:31"), "unknown" for None."""
    return say("unknown") if seconds is None else clock.duration_text(seconds)


@register.filter
def rough(seconds: float | None) -> str:
    """Return a duration as an estimate ("5 min"), "unknown" for None."""
    return say("unknown") if seconds is None else rough_text(seconds)


@register.filter
def libvirt_version(number: int | None) -> str:
    """Return libvirt's or QEMU's version integer (9000000) as "9.0.0"."""
    return say("unknown") if number is None else version_text(number)


# --- Times --------------------------------------------------------------------------


def _time(moment: datetime, text: str, mark: str, css: str = "") -> SafeString:
    utc = moment.astimezone(UTC)
    # Not by format_html, which takes as long as all the rest of a row's times.
    return mark_safe(  # noqa: S308
        f'<time datetime="{utc.isoformat(timespec="milliseconds")}"'
        f' title="{clock.moment_text(utc)} UTC" {mark}{css}>{escape(text)}</time>'
    )


@register.simple_tag
def moment(value: datetime | None, missing: str = "never") -> SafeString | str:
    """Show a point in time in the reader's zone: the chosen one, else the browser puts
    it into its own."""
    if value is None:
        return missing
    text = clock.moment_text(timezone.localtime(value))
    return _time(value, text, "data-moment")


@register.simple_tag
def ago(value: datetime | None, missing: str = "never") -> SafeString | str:
    """Show an age that goes on counting: "5 min ago"."""
    if value is None:
        return missing
    return _time(value, clock.ago_text(clock.seconds_since(value)), "data-ago")


@register.simple_tag
def since(value: datetime | None, missing: str = "") -> SafeString | str:
    """Show a duration that goes on counting: "12:31"."""
    if value is None:
        return missing
    text = clock.duration_text(clock.seconds_since(value))
    return _time(value, text, "data-since")


@register.simple_tag
def until(value: datetime | None, missing: str = "") -> SafeString | str:
    """Show how far a point in time is ahead, counting down: "in 2 h 14 min"."""
    if value is None:
        return missing
    return _time(value, clock.until_text(clock.seconds_until(value)), "data-until")


@register.simple_tag
def age(epoch: float) -> SafeString:
    """Say how old a number is, from five seconds on. `epoch` as of time.time()."""
    seen = datetime.fromtimestamp(epoch, tz=UTC)
    seconds = clock.seconds_since(seen)
    mark = "data-age" if seconds > FRESH_SECONDS else "data-age hidden"
    return _time(seen, clock.as_of_text(seconds), mark, ' class="age"')


@register.simple_tag
def server_now() -> str:
    """Return the server's clock in milliseconds, for the browser's ages."""
    return str(round(timezone.now().timestamp() * 1000))


# --- The frame ----------------------------------------------------------------------


@register.simple_tag
def texts() -> str:
    """Return the address of the texts that the scripts say."""
    return texts_address()


def _request(context: Context) -> HttpRequest | None:
    return context.get("request")


@register.simple_tag(takes_context=True)
def live(context: Context, topics: str, url: str = "") -> SafeString:
    """Return the attributes of a region that the stream refreshes (see live.js).

    `topics`: job-12, jobs, host-3, hosts, domain-5, separated by spaces. `url`: where
    the region comes from, this page unless told.
    """
    request = _request(context)
    source = url or (request.get_full_path() if request else "")
    return format_html(
        'data-live="{}" hx-get="{}" hx-trigger="live" hx-target="this" '
        'hx-select="#live" hx-swap="morph" hx-sync="this:queue last" '
        'hx-request="{{&quot;timeout&quot;: 15000}}"',
        topics,
        source,
    )


@register.simple_tag
def tab_says(tab: Tab) -> SafeString:
    """Return the attributes of a live region that say what its browser tab says."""
    return format_html('data-title="{}" data-icon="{}"', tab.title, tab.icon)


@register.simple_tag
def filters_live(url: str) -> SafeString:
    """Return the attributes of a form that filters the live region while one types."""
    return format_html(
        'role="search" action="{0}" hx-get="{0}" hx-target="#live" hx-swap="morph" '
        'hx-push-url="true" hx-sync="this:replace" '
        'hx-trigger="input delay:250ms, change, submit"',
        url,
    )


@register.simple_tag(takes_context=True)
def reader(context: Context) -> Preferences:
    """Return what the reader prefers; what is usual, for one who is not signed in."""
    request = _request(context)
    user = getattr(request, "user", None)
    return preferences_of(user) if user is not None else Preferences()


@register.simple_tag(takes_context=True)
def appearance(context: Context) -> str:
    """Return the appearance: light, dark or system, as chosen by the reader, else as
    this browser was told."""
    request = _request(context)
    cookie = request.COOKIES.get(APPEARANCE_COOKIE, "") if request else ""
    chosen = reader(context).appearance or cookie
    return chosen if chosen in Preferences.Appearance else "system"


@register.simple_tag
def appearances() -> list[tuple[str, Any]]:
    """Return the appearances to choose from, with their labels."""
    return Preferences.Appearance.choices


@register.simple_tag(takes_context=True)
def section(context: Context) -> str:
    """Return the entry of the navigation that this page belongs to."""
    request = _request(context)
    match = request.resolver_match if request else None
    name = (match.url_name if match else "") or ""
    return SECTIONS.get(name, name)


@dataclass(frozen=True)
class Entry:
    """An entry of the main navigation."""

    name: str
    label: str
    address: str
    key: str


@register.simple_tag
def navigation() -> list[Entry]:
    """Return the main navigation: the lists, in the order of an operator's day."""
    return [
        Entry(name, label, reverse(name), key) for name, (label, key) in PAGES.items()
    ]


@register.simple_tag
def role(user: Any) -> str:
    """Return a user's highest role, or an empty string."""
    return role_label(role_of(user))
