"""A person's preferences: found, chosen in a form, and kept in cookies too where they
must hold before anybody has signed in."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from jobs.console.forms import prepare
from jobs.models import Preferences

APPEARANCE_COOKIE = "appearance"
MOST_NAMED = 6  # time zones that a text may mean
YEAR = 365 * 24 * 3600  # seconds


def preferences_of(user: Any) -> Preferences:
    """Return what `user` has chosen; without a choice, or a user, what is usual.

    Asks the database once for a user object.
    """
    if not user.is_authenticated:
        return Preferences()
    try:
        found: Preferences = user.preferences
    except Preferences.DoesNotExist:
        return Preferences(user_id=user.pk)
    return found


def remember(response: HttpResponse, chosen: Preferences) -> None:
    """Have this browser keep what its sign-in page must know."""
    for name, value in (
        (APPEARANCE_COOKIE, chosen.appearance),
        (settings.LANGUAGE_COOKIE_NAME, chosen.language),
    ):
        if value:
            response.set_cookie(
                name,
                value,
                max_age=YEAR,
                samesite="Lax",
                secure=settings.SESSION_COOKIE_SECURE,
            )


@cache
def zones() -> tuple[str, ...]:
    """Return the time zones to choose from: those of places, and UTC."""
    technical = ("Etc/", "SystemV/", "US/", "posix/", "right/")
    places = (
        name
        for name in available_timezones()
        if "/" in name and not name.startswith(technical)
    )
    return ("UTC", *sorted(places))


@cache
def _known_zones() -> dict[str, str]:
    return {name.casefold(): name for name in available_timezones()}


def zones_called(text: str) -> list[str]:
    """Return the zones that `text` may mean: the one of that name; else those of a city
    of that name; else those with `text` anywhere in their names."""
    typed = text.casefold().replace(" ", "_")
    if typed in _known_zones():
        return [_known_zones()[typed]]
    names = {name: name.casefold() for name in zones()}
    cities = [name for name, low in names.items() if low.endswith(f"/{typed}")]
    return cities or [name for name, low in names.items() if typed in low]


if TYPE_CHECKING:
    ModelFormOfPreferences = forms.ModelForm[Preferences]
else:
    ModelFormOfPreferences = forms.ModelForm  # takes no type at run time


class PreferencesForm(ModelFormOfPreferences):
    """The preferences as the account page asks for them."""

    language = forms.ChoiceField(
        label=_("Language"), required=False, widget=forms.RadioSelect
    )

    class Meta:
        model = Preferences
        fields = (
            *("appearance", "density", "language", "time_zone", "shortcuts"),
            *("tell_waiting", "tell_failed", "tell_ended", "told_of"),
            *("toasts", "notifications"),
        )
        labels = {
            "appearance": _("Appearance"),
            "density": _("Lists"),
            "time_zone": _("Time zone"),
            "shortcuts": _("Keys without a modifier are shortcuts"),
            **{f"tell_{news}": news.label for news in Preferences.News},
            "told_of": _("Of which copies"),
            "toasts": _("On the page, in a corner"),
            "notifications": _("By the browser, while its tab is hidden"),
        }
        help_texts = {
            "density": _(
                "Compact: every row in one line, so that more of them fit a screen."
            ),
            "time_zone": _(
                "Part of a city’s or a continent’s name. Empty: the browser’s."
            ),
            "shortcuts": _(
                "Switch them off if you speak to your machine, or press keys by "
                "mistake."
            ),
        }
        widgets = {
            "appearance": forms.RadioSelect,
            "density": forms.RadioSelect,
            "told_of": forms.RadioSelect,
            "time_zone": forms.TextInput(
                {"list": "time-zones", "autocomplete": "off", "spellcheck": "false"}
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["appearance"].choices = Preferences.Appearance.choices  # type: ignore[attr-defined]
        self.initial["appearance"] = self.initial.get("appearance") or "system"
        self.fields["density"].choices = Preferences.Density.choices  # type: ignore[attr-defined]
        self.initial["density"] = self.initial.get("density") or "comfortable"
        self.fields["language"].choices = [  # type: ignore[attr-defined]
            ("", _("As the browser asks")),
            *settings.LANGUAGES,
        ]
        prepare(self)

    def clean_time_zone(self) -> str:
        """Return the zone as it is spelled, whichever way its letters were typed.

        A part of its name will do, where no other zone has it.
        """
        typed = " ".join(str(self.cleaned_data["time_zone"]).split())
        if not typed:
            return ""
        found = zones_called(typed)
        if len(found) == 1:
            return found[0]
        if not found:
            words = gettext("There is no time zone “%(zone)s”; one is Europe/Berlin.")
            raise ValidationError(words % {"zone": typed})
        told = {"zone": typed, "names": ", ".join(found[:MOST_NAMED])}
        more = len(found) - MOST_NAMED
        if more > 0:
            words = gettext(
                "“%(zone)s” may mean several time zones: %(names)s and %(more)d more."
            )
            raise ValidationError(words % {**told, "more": more})
        words = gettext("“%(zone)s” may mean several time zones: %(names)s.")
        raise ValidationError(words % told)
