"""A host's address by fields, and what all forms share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

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

    def clean_name(self) -> str:
        """Refuse the name of another host."""
        name: str = self.cleaned_data["name"]
        if Host.objects.filter(name=name).exclude(pk=self.instance.pk).exists():
            raise ValidationError(
                _("There is a host called %(name)s already."), params={"name": name}
            )
        return name

    def clean_port(self) -> int | None:
        """Refuse what is no port here, beside whatever else is wrong."""
        port: int | None = self.cleaned_data["port"]
        if port is not None and not 1 <= port <= 65535:
            raise ValidationError(_("The port must be a number from 1 to 65535."))
        return port

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
        super().__init__(localized(finding.cause))
        self.remedy = finding.remedy


def wrong_fields(form: forms.BaseForm) -> list[str]:
    """Return what the fields are called that something is wrong with."""
    return [f"“{localized(field.label)}”" for field in form if field.errors]


def prepare(form: forms.BaseForm) -> None:
    """Give every field its name and look, and tie it to its help and its errors."""
    for name, field in form.fields.items():
        field.label = LABELS.get(name, field.label)
        attributes = field.widget.attrs
        ids = f"{name}-help {name}-error" if field.help_text else f"{name}-error"
        attributes["aria-describedby"] = ids
        attributes["class"] = CLASSES.get(type(field.widget), "form-control")


# What the pages call the fields.
LABELS: dict[str, str] = {
    "destination_kind": say("Destination kind"),
    "destination": say("Destination"),
    "device": say("Device"),
    "pool": say("Pool"),
    "volume": say("Name of the volume"),
    "protocol": say("Protocol"),
    "servers": say("Servers"),
    "name": say("Name"),
    "user": say("User"),
    "auth": say("libvirt secret of the user"),
    "encryption": say("Encryption secret"),
    "slice_offset": say("Offset"),
    "slice_size": say("Size"),
    "format": say("Format"),
    "reuse_external": say("Reuse what is there"),
    "when_ready": say("When ready"),
    "consistent": say("Guest-consistent"),
    "shallow": say("Shallow"),
    "synchronous_writes": say("Synchronous writes"),
    "target_zeroed": say("Destination is zeroed"),
    "bandwidth": say("Bandwidth"),
    "granularity": say("Granularity"),
    "stall_limit": say("Stalled for"),
    "total_limit": say("In all"),
    "at_limit": say("Then"),
    "reason": say("Reason"),
    "directory": say("Directory"),
    "pattern": say("Names of the files"),
    "transport": say("Transport"),
    "site": say("Site"),
    "host_name": say("Host name"),
    "port": say("Port"),
    "socket": say("Socket"),
    "enabled": say("Enabled"),
    "production": say("Production"),
    "mode": say("Daemon"),
    "xml": say("The destination as XML"),
}
CLASSES: dict[type[forms.Widget], str] = {
    forms.CheckboxInput: "form-check-input",
    forms.RadioSelect: "form-check-input",
    forms.Select: "form-select",
}
