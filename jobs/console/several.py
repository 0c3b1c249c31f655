"""Several disks of one domain copied together: one form, one request for each disk."""

from __future__ import annotations

import posixpath
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext as _

from jobs.actor import Actor
from jobs.console.copy_fields import FORMATS
from jobs.console.copy_form import CopyForm
from jobs.console.fields import SizeField
from jobs.console.forms import prepare, wrong_fields
from jobs.console.pools import ShownPool
from jobs.console.preview import consequence
from jobs.console.storage import EXTENSIONS, free_paths, plain, takes_files, with_room
from jobs.console.suggested import roomiest
from jobs.console.verdict import Verdict, verdicts_of
from jobs.lifecycle import WhenReady
from jobs.models import Disk
from jobs.models.job import AtLimit
from jobs.said import say
from jobs.units import bytes_text

PATTERN = "{domain}-{disk}-{date}"
_WORDS = ("domain", "disk", "date", "host")
_MOST_BYTES = 200  # of a file name; a number and an extension follow


class SeveralForm(forms.Form):
    """Where the disks go and how; always bound, defaults are filled in."""

    pool = forms.ChoiceField(required=False)
    directory = forms.CharField(
        required=False,
        max_length=3000,
        help_text=say("Where no pool is chosen: a directory on the host, from / on."),
    )
    pattern = forms.CharField(
        max_length=_MOST_BYTES,
        help_text=say(
            "{domain}, {disk}, {date} and {host} are filled in; the "
            "extension is the format’s. A name that is taken gets a number."
        ),
    )
    format = forms.ChoiceField(
        choices=[
            ("same", say("same as each source")),
            ("raw", "raw"),
            ("qcow2", "qcow2"),
        ],
        widget=forms.RadioSelect,
    )
    when_ready = forms.ChoiceField(choices=WhenReady.choices, widget=forms.RadioSelect)
    bandwidth = SizeField(
        help_text=say(
            "Of each disk’s copy, as 100 MiB each second. Empty for no limit."
        )
    )
    reason = forms.CharField(
        required=False, max_length=1000, widget=forms.Textarea(attrs={"rows": 2})
    )

    def __init__(
        self, data: QueryDict, pools: Iterable[ShownPool], disks: Sequence[Disk]
    ) -> None:
        filled = data.copy()
        usable = [each for each in pools if takes_files(each.pool) and each.pool.path]
        for name, value in self._defaults(roomiest(disks, usable)).items():
            if name not in filled:
                filled[name] = value
        super().__init__(filled)
        self.pools = {each.pool.name: each for each in usable}
        offered = [(each.pool.name, with_room(each.pool)) for each in usable]
        choices = [*offered, ("", say("none: the directory below"))]
        cast(forms.ChoiceField, self.fields["pool"]).choices = choices
        prepare(self)

    @staticmethod
    def _defaults(chosen: ShownPool | None) -> dict[str, str]:
        return {
            "pool": chosen.pool.name if chosen else "",
            "pattern": PATTERN,
            "format": "same",
            "when_ready": WhenReady.WAIT.value,
        }

    def clean_pattern(self) -> str:
        """Refuse what could be no file name, or would be the same for two disks."""
        pattern = str(self.cleaned_data["pattern"])
        try:
            names = [name for _, name, *_ in string.Formatter().parse(pattern)]
        except ValueError as error:
            raise ValidationError(_("A brace is not closed.")) from error
        strange = [name for name in names if name is not None and name not in _WORDS]
        if strange:
            raise ValidationError(
                _(
                    "There is no {%(strange)s}: write {domain}, {disk}, {date} or "
                    "{host}."
                )
                % {"strange": strange[0]}
            )
        if "disk" not in names:
            raise ValidationError(_("It needs {disk}, or all copies had one name."))
        if "/" in pattern or not pattern.isprintable():
            raise ValidationError(_("It is a file’s name, without a directory."))
        return pattern

    def clean(self) -> dict[str, Any]:
        """Ask for a directory where no pool is chosen."""
        cleaned = super().clean() or self.cleaned_data
        directory = str(cleaned.get("directory", "")).strip()
        if not cleaned.get("pool") and not directory.startswith("/"):
            self.add_error("directory", _("Write a directory, beginning with /."))
        return cleaned

    @property
    def wrong(self) -> list[str]:
        """The labels of the fields that something is wrong with."""
        return wrong_fields(self)

    @property
    def chosen_pool(self) -> ShownPool | None:
        return self.pools.get(self.cleaned_data.get("pool", ""))

    def destinations(self, disks: Sequence[Disk], today: date) -> list[str]:
        """Return where each disk goes: the pattern, or beside it if that is taken."""
        wanted = [self._by_pattern(disk, today) for disk in disks]
        return free_paths(disks[0].domain.host, wanted) if disks else []

    def _by_pattern(self, disk: Disk, today: date) -> str:
        chosen, written = self.chosen_pool, str(self.cleaned_data["directory"]).strip()
        directory = chosen.pool.path if chosen else written
        name = self.cleaned_data["pattern"].format(
            domain=plain(disk.domain.name),
            disk=plain(disk.target),
            date=f"{today:%Y%m%d}",
            host=plain(disk.domain.host.name),
        )
        extension = EXTENSIONS[self.format_of(disk)]
        return posixpath.join(directory, f"{name}.{extension}")

    def format_of(self, disk: Disk) -> str:
        chosen = str(self.cleaned_data["format"])
        known = disk.format if disk.format in FORMATS else "qcow2"
        return known if chosen == "same" else chosen

    def form_of(self, disk: Disk, destination: str) -> CopyForm:
        """Return the form of one disk's copy, as if somebody had filled it in."""
        data, given = QueryDict(mutable=True), self.cleaned_data
        data.update(
            {
                "destination_kind": "file",
                "destination": destination,
                "format": self.format_of(disk),
                "when_ready": given["when_ready"],
                "bandwidth": str(given.get("bandwidth", 0) or ""),
                "at_limit": AtLimit.FLAG.value,
                "protocol": "nbd",
                "reason": given["reason"],
            }
        )
        told: Any = self.data
        data.setlist("accepted", told.getlist("accepted"))
        return CopyForm(data, disk)


@dataclass(frozen=True)
class OneCopy:
    """What one disk's copy would be, and what speaks against it."""

    disk: Disk
    form: CopyForm
    verdict: Verdict

    @property
    def consequence(self) -> str:
        return consequence(self.form.wanted)

    @property
    def why_not(self) -> str:
        """Say why this disk's copy can't be started now; empty when it can."""
        if self.verdict.why_not:
            return self.verdict.why_not
        wrong = [str(text) for texts in self.form.errors.values() for text in texts]
        return " ".join(wrong)


def copies_of(
    form: SeveralForm,
    disks: Sequence[Disk],
    actor: Actor,
    today: date,
    *,
    asks: bool,
    patience: float = 0.0,
) -> list[OneCopy]:
    """Return each disk's copy with its verdict; none while the form makes no sense.

    The host is asked about all of them (`asks`) before any answer is waited for, at
    most `patience` seconds for each.
    """
    if not form.is_valid():
        return []
    places = zip(disks, form.destinations(disks, today), strict=True)
    forms_of = [form.form_of(disk, place) for disk, place in places]
    verdicts = verdicts_of(forms_of, actor, asks, patience)
    return [OneCopy(*each) for each in zip(disks, forms_of, verdicts, strict=True)]


def together(form: SeveralForm, disks: Iterable[Disk]) -> str:
    """Warn if the disks in full need more room than their pool has; else ""."""
    chosen = form.chosen_pool if form.is_valid() else None
    needed = sum(disk.capacity or 0 for disk in disks)
    if chosen is None or needed <= chosen.room:
        return ""
    words = {
        "needed": bytes_text(needed),
        "pool": chosen.pool.name,
        "available": bytes_text(chosen.pool.available),
    }
    if not chosen.most:
        return say(
            "Together the disks may grow to %(needed)s, and %(pool)s has "
            "%(available)s free.",
            **words,
        )
    return say(
        "Together the disks may grow to %(needed)s, and %(pool)s has %(available)s "
        "free, of which other copies may take %(promised)s.",
        promised=bytes_text(chosen.most),
        **words,
    )
