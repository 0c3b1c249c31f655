"""A host's address by fields, and what all forms share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError

from jobs.models import Host
from jobs.preflight import Finding
from jobs.said import localized, say

# The fields of an address that each transport uses.
ADDRESS_FIELDS: dict[str, tuple[str, ...]] = {
    "local": (),
    "socket": ("socket",),
    "ssh": ("host_name", "port", "user"),
    "tls": ("host_name", "port"),
}
_ALL_ADDRESS_FIELDS = ("host_name", "port", "user", "socket")


if TYPE_CHECKING:
    ModelFormOfHost = forms.ModelForm[Host]
else:
    ModelFormOfHost = forms.ModelForm  # takes no type at run time


class HostForm(ModelFormOfHost):
    """A host as fields, never as a URI.

    Of the address only what the chosen transport uses is kept, since the page hides
    the rest. Saving is `actions.save_host`'s.
    """

    transport = forms.ChoiceField(
        choices=Host.Transport.choices, widget=forms.RadioSelect
    )
    reason = forms.CharField(
        required=False,
        max_length=1000,
        help_text=say("Optional; kept in the audit log."),
    )

    class Meta:
        model = Host
        fields = (
            *("name", "site", "transport", "host_name", "port", "user"),
            *("socket", "mode", "enabled", "production"),
        )
        widgets = {"mode": forms.RadioSelect}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        prepare(self)

    def clean(self) -> dict[str, Any]:
        """Empty the fields of other transports than the chosen one."""
        cleaned = super().clean() or self.cleaned_data
        used = ADDRESS_FIELDS.get(cleaned.get("transport", ""), _ALL_ADDRESS_FIELDS)
        for name in set(_ALL_ADDRESS_FIELDS) - set(used):
            cleaned[name] = None if name == "port" else ""
            self.errors.pop(name, None)
        return cleaned


class Obstacle(ValidationError):
    """An error beside a field that also says what to do about it."""

    def __init__(self, finding: Finding) -> None:
        cause = localized(finding.cause)
        if cause.startswith(finding.field):  # a sentence that begins with its field
            cause = cause[:1].upper() + cause[1:]
        super().__init__(cause)
        self.remedy = finding.remedy


def prepare(form: forms.BaseForm) -> None:
    """Give every field its name and look, and tie it to its help and its errors."""
    for name, field in form.fields.items():
        field.label = LABELS.get(name, field.label)
        attributes = field.widget.attrs
        ids = f"{name}-help {name}-error" if field.help_text else f"{name}-error"
        attributes["aria-describedby"] = ids
        attributes["class"] = CLASSES.get(type(field.widget), "form-control")


# What people call the fields, where a page has no better word for one.
LABELS: dict[str, str] = {
    "destination_kind": say("Destination kind"),
    "destination": say("Destination"),
    "device": say("Device"),
    "pool": say("Pool"),
    "volume": say("Volume"),
    "protocol": say("Protocol"),
    "servers": say("Servers"),
    "name": say("Name"),
    "user": say("User"),
    "auth": say("Auth"),
    "encryption": say("Encryption"),
    "slice_offset": say("Slice offset"),
    "slice_size": say("Slice size"),
    "format": say("Format"),
    "reuse_external": say("Reuse external"),
    "when_ready": say("When ready"),
    "consistent": say("Consistent"),
    "shallow": say("Shallow"),
    "synchronous_writes": say("Synchronous writes"),
    "target_zeroed": say("Target zeroed"),
    "bandwidth": say("Bandwidth"),
    "granularity": say("Granularity"),
    "stall_limit": say("Stall limit"),
    "total_limit": say("Total limit"),
    "at_limit": say("At limit"),
    "reason": say("Reason"),
    "directory": say("Directory"),
    "pattern": say("Pattern"),
    "transport": say("Transport"),
    "site": say("Site"),
    "host_name": say("Host name"),
    "port": say("Port"),
    "socket": say("Socket"),
    "enabled": say("Enabled"),
    "production": say("Production"),
    "mode": say("Daemon"),
    "xml": say("XML"),
}
CLASSES: dict[type[forms.Widget], str] = {
    forms.CheckboxInput: "form-check-input",
    forms.RadioSelect: "form-check-input",
    forms.Select: "form-select",
}
