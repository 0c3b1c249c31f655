"""What can be written into the form of a new copy, and which of it a kind of
destination takes."""

from __future__ import annotations

from django import forms

from jobs.console.fields import SecondsField, SecretField, ServersField, SizeField
from jobs.lifecycle import WhenReady
from jobs.models.job import AtLimit
from jobs.said import say

FORMATS = ("raw", "qcow2")
# The fields that each kind of destination has, the one of its place first.
KIND_FIELDS: dict[str, tuple[str, ...]] = {
    "file": ("destination", "reuse_external"),
    "block": ("device",),
    "volume": ("volume", "pool", "target_zeroed"),
    "network": ("name", "protocol", "servers", "tls", "user", "auth", "reuse_external"),
    "xml": ("xml", "reuse_external"),
}
PROTOCOL_FIELDS: dict[str, tuple[str, ...]] = {
    "nbd": ("tls",),
    "rbd": ("user", "auth"),
    "iscsi": ("user", "auth"),
    "gluster": (),
}
# A destination's further fields, libvirt's flags and parameters, and the limits.
MORE = ("encryption", "slice_offset", "slice_size")
FLAGS = ("shallow", "synchronous_writes", "reuse_external", "target_zeroed")
NUMBERS = ("bandwidth", "granularity", "buf_size")
LIMITS = ("stall_limit", "total_limit")
_PLAIN_TEXT = {"spellcheck": "false", "autocomplete": "off"}


class CopyFields(forms.Form):
    """Where a disk is copied to, and how: the fields."""

    destination_kind = forms.ChoiceField(
        choices=[
            ("file", say("File")),
            ("block", say("Block device")),
            ("volume", say("Storage volume")),
            ("network", say("Network")),
            ("xml", say("Raw XML")),
        ],
        widget=forms.RadioSelect,
    )
    destination = forms.CharField(
        required=False, max_length=4096, widget=forms.TextInput(attrs=_PLAIN_TEXT)
    )
    device = forms.CharField(
        required=False,
        max_length=4096,
        widget=forms.TextInput(attrs={**_PLAIN_TEXT, "placeholder": "/dev/vg0/web"}),
        help_text=say("It is there already, and what is on it is overwritten."),
    )
    pool = forms.ChoiceField(required=False)
    volume = forms.CharField(
        required=False, max_length=255, widget=forms.TextInput(attrs=_PLAIN_TEXT)
    )
    protocol = forms.ChoiceField(
        required=False,
        choices=[
            ("nbd", "NBD"),
            ("rbd", "Ceph RBD"),
            ("iscsi", "iSCSI"),
            ("gluster", "Gluster"),
        ],
        widget=forms.RadioSelect,
    )
    servers = ServersField()
    name = forms.CharField(
        required=False, max_length=1024, widget=forms.TextInput(attrs=_PLAIN_TEXT)
    )
    tls = forms.BooleanField(
        required=False,
        label="TLS",
        help_text=say("With the certificates that QEMU on the host is set up with."),
    )
    user = forms.CharField(
        required=False, max_length=255, widget=forms.TextInput(attrs=_PLAIN_TEXT)
    )
    auth = SecretField(help_text=say("UUID or usage of a secret that the host has."))
    xml = forms.CharField(
        required=False,
        strip=True,
        max_length=65536,
        widget=forms.Textarea(attrs={"rows": 9, "spellcheck": "false"}),
        help_text=say(
            "A <disk> with <source> and <driver>. What libvirt would not "
            "read is refused by its name."
        ),
    )
    encryption = SecretField(
        help_text=say(
            "Encrypts with LUKS: UUID or usage of the secret on the host "
            "that holds the passphrase. Empty for none."
        ),
    )
    slice_offset = SizeField(
        help_text=say("Where the disk begins. Empty for the start.")
    )
    slice_size = SizeField(
        help_text=say(
            "How much of it is the disk: the disk's exact size, where the "
            "device is larger. Empty for all of it."
        ),
    )
    format = forms.ChoiceField(
        choices=[
            ("same", say("same as the source")),
            ("raw", "raw"),
            ("qcow2", "qcow2"),
            ("found", say("what is there")),
        ],
        widget=forms.RadioSelect,
    )
    reuse_external = forms.BooleanField(
        required=False,
        help_text=say(
            "Write into what is there already. What is in it is overwritten."
        ),
    )
    when_ready = forms.ChoiceField(choices=WhenReady.choices, widget=forms.RadioSelect)
    consistent = forms.BooleanField(
        required=False,
        help_text=say(
            "The guest agent freezes the guest's file systems for the "
            "moment in which the mirror ends. Without it the copy is as "
            "after a power cut."
        ),
    )
    shallow = forms.BooleanField(
        required=False,
        help_text=say(
            "Copy the top of the backing chain only; the copy keeps using "
            "the same backing file."
        ),
    )
    synchronous_writes = forms.BooleanField(
        required=False,
        help_text=say(
            "The guest's writes wait for both sides. The copy surely "
            "becomes ready; the guest's disk is as slow as the slower side "
            "meanwhile."
        ),
    )
    target_zeroed = forms.BooleanField(
        required=False,
        help_text=say("The new volume reads as zeros, so nothing is zeroed first."),
    )
    bandwidth = SizeField(
        help_text=say("For example 100 MiB or 1.5 GB each second. Empty for no limit.")
    )
    granularity = SizeField(
        help_text=say(
            "A power of two, 512 bytes to 64 MiB. Empty for libvirt's default."
        ),
    )
    buf_size = SizeField(
        label="buf-size",
        help_text=say("Bytes in flight. Empty for libvirt's default."),
    )
    stall_limit = SecondsField(
        help_text=say("Time without any progress, for example 10m. Empty for no limit.")
    )
    total_limit = SecondsField(
        help_text=say(
            "Time until both sides are in sync, for example 2h. Empty for none."
        )
    )
    at_limit = forms.ChoiceField(
        required=False, choices=AtLimit.choices, widget=forms.RadioSelect
    )
    reason = forms.CharField(
        required=False, max_length=1000, widget=forms.Textarea(attrs={"rows": 2})
    )
