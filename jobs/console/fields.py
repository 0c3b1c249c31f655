"""Form fields for what people write: sizes, times, days, servers, secrets.

None of them ever holds a password: a secret is named, its value stays with libvirt.
"""

from __future__ import annotations

import re
import uuid
from abc import ABC, abstractmethod
from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.formats import get_format, sanitize_separators
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.hypervisor import Secret, Server
from jobs.said import localized, say
from jobs.units import parse_bytes, parse_seconds

MOST_SERVERS = 16
_PORT_MAX = 65535
# At the ends of the calendar a day that one zone has is no day in another.
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9998, 12, 31)
# host, host:port, [IPv6], [IPv6]:port
_SERVER = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.%]+)\]|(?P<name>[^\s:\[\]/]+))(?::(?P<port>\d{1,5}))?"
)
# "1.500": one and a half, or fifteen hundred.
_TWO_MEANINGS = re.compile(r"\d\.\d{3}(?!\d)")


def read_bytes(text: str) -> int:
    """Return the bytes that a reader means: "1,5 GiB" where a comma is the point.

    ValueError with what to write instead, also for what has two meanings there.
    """
    if get_format("DECIMAL_SEPARATOR") == "," and _TWO_MEANINGS.search(text):
        raise ValueError(
            say(
                "“%(text)s” has two meanings: write 1,5 or 1500.",
                text=text,
            )
        )
    return parse_bytes(str(sanitize_separators(text)))


class WrittenField(forms.Field, ABC):
    """A line of text that means something else; an empty one is `nothing`."""

    widget = forms.TextInput
    nothing: Any = None
    longest = 200

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"required": False, **options})
        self.widget.attrs.update(
            {"autocomplete": "off", "spellcheck": "false", "maxlength": self.longest}
        )

    def to_python(self, value: Any) -> Any:
        text = str(value or "").strip()
        if not text:
            return self.nothing
        if len(text) > self.longest:
            raise ValidationError(self.too_long)
        if not text.isprintable():
            raise ValidationError(_("It contains control characters."))
        return self.read(text)

    too_long = gettext_lazy("The text is too long.")

    @abstractmethod
    def read(self, text: str) -> Any:
        """Return what `text` means; ValidationError with what to write instead."""


class SizeField(WrittenField):
    """Bytes, written as people write them ("64 KiB"); an empty field is 0."""

    nothing = 0
    longest = 40
    too_long = gettext_lazy("The number is too long.")

    def read(self, text: str) -> int:
        try:
            return read_bytes(text)
        except ValueError as error:
            raise ValidationError(localized(error.args[0])) from error


class SecondsField(WrittenField):
    """Whole seconds, written as people write them ("10m"); an empty field is 0."""

    nothing = 0
    longest = 40

    def read(self, text: str) -> int:
        try:
            return parse_seconds(text)
        except ValueError as error:
            raise ValidationError(localized(error.args[0])) from error


class DayField(forms.DateField):
    """A day that has a beginning and an end in every zone."""

    default_error_messages = {"invalid": gettext_lazy("“%(day)s” is no date.")}
    longest = 40  # of what is told of a text that is no day

    def __init__(self, **options: Any) -> None:
        early = gettext_lazy(
            "“%(show_value)s” is too early: the first day is %(limit_value)s."
        )
        late = gettext_lazy(
            "“%(show_value)s” is too late: the last day is %(limit_value)s."
        )
        ends = [MinValueValidator(FIRST_DAY, early), MaxValueValidator(LAST_DAY, late)]
        super().__init__(validators=ends, **options)

    def to_python(self, value: Any) -> date | None:
        try:
            return super().to_python(value)
        except ValidationError as error:
            told = {"day": str(value)[: self.longest]}
            raise ValidationError(
                self.error_messages["invalid"], "invalid", told
            ) from error


class SecretField(WrittenField):
    """A libvirt secret by its UUID or its usage; an empty field is None."""

    def read(self, text: str) -> Secret:
        try:
            return Secret(uuid=str(uuid.UUID(text)))
        except ValueError:
            return Secret(usage=text)


class ServersField(WrittenField):
    """Servers between commas or spaces: "ceph1:6789, ceph2". One that begins with "/"
    is a Unix socket's path on the host."""

    nothing: tuple[Server, ...] = ()
    longest = 2000

    def read(self, text: str) -> tuple[Server, ...]:
        if text.startswith("/"):
            return (Server(socket=text),)
        written = re.split(r"[\s,]+", text.strip(", "))
        if len(written) > MOST_SERVERS:
            raise ValidationError(
                _("More than %(count)d servers are too many.") % {"count": MOST_SERVERS}
            )
        return tuple(map(_server, written))


def _server(text: str) -> Server:
    found = _SERVER.fullmatch(text)
    if found is None and text.count(":") > 1 and "[" not in text:
        raise ValidationError(
            _("Write the IPv6 address in brackets: [%(text)s]") % {"text": text}
        )
    if found is None:
        raise ValidationError(
            _("“%(text)s” is no server: write host or host:port.") % {"text": text}
        )
    port = int(found["port"]) if found["port"] else None
    if port is not None and not 0 < port <= _PORT_MAX:
        raise ValidationError(
            _("The port must be between 1 and %(most)d.") % {"most": _PORT_MAX}
        )
    return Server(name=found["six"] or found["name"], port=port)
