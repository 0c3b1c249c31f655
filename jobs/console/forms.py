"""The forms: a host's address by fields, and a new copy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError

from jobs.hypervisor import CopyOptions, Destination
from jobs.lifecycle import WhenReady
from jobs.models import Disk, Host
from jobs.preflight import CopyRequest, Finding
from jobs.units import parse_bytes

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
        help_text="Optional; kept in the audit log.",
    )

    class Meta:
        model = Host
        fields = (
            *("name", "site", "transport", "host_name", "port", "user"),
            *("socket", "mode", "enabled"),
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
        cause = finding.cause
        if cause.startswith(finding.field):  # a sentence that begins with its field
            cause = cause[:1].upper() + cause[1:]
        super().__init__(cause)
        self.remedy = finding.remedy


class SizeField(forms.Field):
    """Bytes, written as people write them ("64 KiB"); an empty field is 0."""

    widget = forms.TextInput

    def to_python(self, value: Any) -> int:
        text = str(value or "").strip()
        if not text:
            return 0
        if len(text) > 40:
            raise ValidationError("The number is too long.")
        try:
            count = parse_bytes(text)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        return count


class CopyForm(forms.Form):
    """Where a disk is copied to, and how. Always bound: defaults are filled in.

    What speaks against the copy comes from `preflight`, beside the same fields.
    """

    destination = forms.CharField(
        required=False,
        max_length=4096,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"}),
        help_text="An absolute path on the host. The directory must be there, the "
        "file must not.",
    )
    destination_kind = forms.ChoiceField(
        choices=[("file", "a new file"), ("block", "a block device that exists")],
        widget=forms.RadioSelect,
    )
    format = forms.ChoiceField(
        choices=[("qcow2", "qcow2"), ("raw", "raw")], widget=forms.RadioSelect
    )
    when_ready = forms.ChoiceField(choices=WhenReady.choices, widget=forms.RadioSelect)
    shallow = forms.BooleanField(
        required=False,
        help_text="Copy the top of the backing chain only; the copy keeps using the "
        "same backing file.",
    )
    reuse_external = forms.BooleanField(
        required=False,
        label="Reuse an existing file",
        help_text="Write into a file that is there already. What is in it is "
        "overwritten.",
    )
    synchronous_writes = forms.BooleanField(
        required=False,
        help_text="The guest's writes wait for both sides. The copy surely becomes "
        "ready; the guest's disk is as slow as the slower side meanwhile.",
    )
    bandwidth = SizeField(
        required=False, help_text="For example 100 MiB or 1.5 GB. Empty for no limit."
    )
    granularity = SizeField(
        required=False,
        help_text="A power of two, 512 bytes to 64 MiB. Empty for libvirt's default.",
    )
    buf_size = SizeField(
        required=False,
        label="buf-size",
        help_text="Bytes in flight. 1 MiB gives smooth progress at a low bandwidth; "
        "empty for libvirt's default.",
    )
    reason = forms.CharField(
        required=False,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Optional; kept with the job and in the audit log.",
    )

    def __init__(self, data: Mapping[str, Any], disk: Disk) -> None:
        super().__init__(data)
        self.disk = disk
        prepare(self)
        self.full_clean()
        self.wanted = self._request()

    def _request(self) -> CopyRequest:
        """Return what is asked for; a field that makes no sense counts as not set."""
        given = self.cleaned_data
        return CopyRequest(
            disk=self.disk,
            destination=Destination(
                kind=given.get("destination_kind", "file"),
                path=given.get("destination", ""),
                format=given.get("format", "qcow2"),
            ),
            options=CopyOptions(**{name: given.get(name, 0) for name in _OPTIONS}),
            when_ready=WhenReady(given.get("when_ready", WhenReady.WAIT)),
            reason=given.get("reason", ""),
        )

    @property
    def wrong(self) -> list[str]:
        """The labels of the fields that something is wrong with."""
        return [str(field.label).lower() for field in self if field.errors]

    @property
    def advanced_used(self) -> bool:
        """Whether a folded field was filled in or has an error to show."""
        return any(self[name].value() or self[name].errors for name in _OPTIONS)

    def oppose(self, findings: Iterable[Finding]) -> None:
        """Put each finding beside its field; those of the disk above the form."""
        for finding in findings:
            known = finding.field in self.fields
            self.add_error(finding.field if known else None, Obstacle(finding))


_OPTIONS = (
    *("shallow", "reuse_external", "synchronous_writes"),
    *("bandwidth", "granularity", "buf_size"),
)


def prepare(form: forms.BaseForm) -> None:
    """Give every field its look, and tie it to its help and to its errors' place."""
    for name, field in form.fields.items():
        attributes = field.widget.attrs
        ids = f"{name}-help {name}-error" if field.help_text else f"{name}-error"
        attributes["aria-describedby"] = ids
        attributes["class"] = CLASSES.get(type(field.widget), "form-control")


CLASSES: dict[type[forms.Widget], str] = {
    forms.CheckboxInput: "form-check-input",
    forms.RadioSelect: "form-check-input",
    forms.Select: "form-select",
}
