"""What a browser's tab says of its page, for those who look elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from django.templatetags.static import static
from django.utils.translation import gettext as _

from jobs.console.look import LOOKS
from jobs.console.shown import ShownJob
from jobs.names import short


@dataclass(frozen=True)
class Tab:
    """A title, and the colour family of its icon; none: the console's own."""

    title: str
    family: str = ""

    @property
    def icon(self) -> str:
        """Return the address of the icon."""
        name = f"tabs/{self.family}" if self.family else "icon"
        return static(f"console/{name}.svg")


def of_page(title: str, waiting: int) -> Tab:
    """Return the tab of a page of many jobs, `waiting` of which want a decision."""
    return Tab(f"({waiting}) {title}", "violet") if waiting else Tab(title)


def of_job(shown: ShownJob) -> Tab:
    """Return the tab of a job's page: its state first, since tabs are narrow."""
    job, state = shown.job, shown.state.label
    family = LOOKS[shown.state].family
    if shown.host_silent:
        state, family = _("no answer"), "orange"
    elif shown.needs_decision:
        state = _("in sync")
    elif shown.copying and shown.percent_text:
        state = shown.percent_text
    names = {"disk": job.disk, "domain": short(job.domain_name)}
    title = _("%(state)s: %(disk)s of %(domain)s") % {"state": state, **names}
    return Tab(title[:1].upper() + title[1:], family)
