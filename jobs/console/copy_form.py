"""The form of a new copy: where to, in which format, how, and until when."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, cast

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS

from jobs.console.copy_fields import (
    FLAGS,
    FORMATS,
    KIND_FIELDS,
    LIMITS,
    MORE,
    NUMBERS,
    PROTOCOL_FIELDS,
    CopyFields,
)
from jobs.console.forms import Obstacle, prepare, wrong_fields
from jobs.console.storage import takes_volumes, with_room
from jobs.hypervisor import (
    CopyOptions,
    Destination,
    DestinationError,
    destination_to_json,
    from_xml,
)
from jobs.lifecycle import WhenReady
from jobs.models import Disk, StoragePool
from jobs.models.job import AtLimit
from jobs.preflight import CopyRequest, Finding
from jobs.preflight.options import DEFAULT_BUFFER, fitting_buffer
from jobs.said import localized, say

# What raw XML says itself.
_IN_XML = frozenset(
    {
        *("destination", "device", "path", "pool", "volume", "protocol", "servers"),
        *("name", "tls", "user", "auth", "format", *MORE),
    }
)
MOST_ACCEPTED = 40


class CopyForm(CopyFields):
    """Where a disk is copied to, and how. Always bound: defaults are filled in.

    What speaks against the copy comes from preflight, beside the same fields. `found`
    is the format of what lies at the destination, "" while nobody has looked.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        disk: Disk,
        pools: Iterable[StoragePool] = (),
        found: str = "",
    ) -> None:
        super().__init__(data)
        self.disk, self.found = disk, found
        self._choose_among(pools)
        prepare(self)
        self.full_clean()
        self.wanted = self._request()

    def _choose_among(self, pools: Iterable[StoragePool]) -> None:
        """Offer what this disk and its host have."""
        self.pools = [pool for pool in pools if takes_volumes(pool)]
        self._offer("pool", [(pool.name, with_room(pool)) for pool in self.pools])
        formats = [
            ("raw", "raw"),
            ("qcow2", "qcow2"),
            ("found", say("what is there")),
        ]
        if self.disk.format in FORMATS:
            same = (
                "same",
                say("same as the source (%(format)s)", format=self.disk.format),
            )
            formats.insert(0, same)
        self._offer("format", formats)

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        cast(forms.ChoiceField, self.fields[name]).choices = choices

    def clean(self) -> dict[str, Any]:
        """Empty the fields of other kinds of destination than the chosen one."""
        cleaned = super().clean() or self.cleaned_data
        for name in self._unused(cleaned):
            cleaned.pop(name, None)
            self.errors.pop(name, None)
        return cleaned

    def _unused(self, cleaned: dict[str, Any]) -> set[str]:
        kind, protocol = cleaned.get("destination_kind"), cleaned.get("protocol")
        if kind not in KIND_FIELDS:
            return set()
        used = set(KIND_FIELDS[kind])
        if kind == "network" and protocol in PROTOCOL_FIELDS:
            apart = {name for names in PROTOCOL_FIELDS.values() for name in names}
            used -= apart - set(PROTOCOL_FIELDS[protocol])
        unused = {name for names in KIND_FIELDS.values() for name in names} - used
        if kind == "xml":
            unused |= {"format", *MORE}
        if kind == "volume":
            unused |= {"slice_offset", "slice_size"}
        if cleaned.get("when_ready") != WhenReady.FINISH:
            unused.add("consistent")
        return unused

    # --- What is asked for ----------------------------------------------------------

    def _request(self) -> CopyRequest:
        """Return what is asked for; a field that makes no sense counts as not set."""
        given = self.cleaned_data
        destination = self._destination()
        options = CopyOptions(
            **{name: given.get(name, False) for name in FLAGS},
            **{name: given.get(name, 0) for name in NUMBERS},
        )
        return CopyRequest(
            disk=self.disk,
            destination=destination,
            options=options,
            when_ready=WhenReady(given.get("when_ready", WhenReady.WAIT)),
            consistent=given.get("consistent", False),
            stall_limit=given.get("stall_limit", 0),
            total_limit=given.get("total_limit", 0),
            at_limit=AtLimit(given.get("at_limit") or AtLimit.FLAG),
            accepted=self._accepted(destination, options),
            reason=given.get("reason", ""),
        )

    def _destination(self) -> Destination:
        if self.kind == "xml":
            return self._from_xml()
        given, kind = self.cleaned_data, self.kind
        more = {name: given[name] for name in MORE if given.get(name)}
        if kind == "volume":
            more |= {"pool": given.get("pool", ""), "volume": given.get("volume", "")}
        elif kind == "network":
            names = ("protocol", "name", "servers", "tls", "user", "auth")
            more |= {name: given[name] for name in names if given.get(name)}
        else:
            more["path"] = given.get(KIND_FIELDS[kind][0], "")
        known: Any = {"kind": kind, "format": self.declared_format}
        return Destination(**known, **more)

    def _from_xml(self) -> Destination:
        nothing = Destination("file", "", "raw")
        if self.has_error("xml") or not self.cleaned_data.get("xml"):
            return nothing
        try:
            return from_xml(self.cleaned_data.get("xml", ""))
        except DestinationError as error:
            self.add_error("xml", localized(error.cause))
            return nothing

    @property
    def kind(self) -> str:
        """Return the chosen kind of destination, "file" for one that is none."""
        return str(self.cleaned_data.get("destination_kind", "file"))

    @property
    def nowhere(self) -> bool:
        """Whether a kind was chosen, and nothing yet said of where."""
        names = {
            "block": ("device",),
            "network": ("servers", "name"),
            "xml": ("xml",),
        }.get(self.kind)
        return names is not None and not any(self[name].value() for name in names)

    @property
    def declared_format(self) -> Any:
        """Return the format that libvirt is told: raw or qcow2."""
        chosen = self.cleaned_data.get("format", "same")
        known = {"same": self.disk.format, "found": self.found or self.disk.format}
        meant = known.get(chosen, chosen)
        return meant if meant in FORMATS else "qcow2"

    @property
    def asks_what_is_there(self) -> bool:
        """Whether the format is to be what lies at the destination already."""
        return self.cleaned_data.get("format") == "found"

    # --- Warnings that were accepted ------------------------------------------------

    def _accepted(
        self, destination: Destination, options: CopyOptions
    ) -> frozenset[str]:
        """Return the rules whose warnings were accepted, for this destination."""
        self.stamp = _stamp(destination, options)
        pairs = (token.rpartition(":") for token in self.tokens)
        return frozenset(rule for rule, _, stamp in pairs if stamp == self.stamp)

    @property
    def tokens(self) -> list[str]:
        """Return every acceptance that the page holds, also for other destinations."""
        data: Any = self.data
        given = data.getlist("accepted") if hasattr(data, "getlist") else []
        return [str(token)[:120] for token in given[:MOST_ACCEPTED]]

    def token(self, finding: Finding) -> str:
        """Return the value that accepts `finding` for what the form says now."""
        return f"{finding.rule}:{self.stamp}"

    # --- What the page shows --------------------------------------------------------

    @property
    def wrong(self) -> list[str]:
        """The labels of the fields that something is wrong with."""
        return wrong_fields(self)

    @property
    def unread(self) -> bool:
        """Whether a field makes no sense, which no finding tells."""
        errors = (each for field in self for each in field.errors.as_data())
        return any(not isinstance(each, Obstacle) for each in errors)

    @property
    def more_used(self) -> bool:
        return self._used(*MORE)

    @property
    def advanced_used(self) -> bool:
        """Whether a folded field was filled in or has an error to show."""
        names = ("shallow", "synchronous_writes", "target_zeroed", *NUMBERS, *LIMITS)
        return self._used(*names)

    def _used(self, *names: str) -> bool:
        return any(self[name].value() or self[name].errors for name in names)

    @property
    def fitting_buf_size(self) -> int:
        """Return a buf-size (bytes) that a low bandwidth wants, 0 for none.

        With the default one the progress jumps by 16 MiB at a time.
        """
        options = self.wanted.options
        if options.buf_size or not 0 < options.bandwidth < DEFAULT_BUFFER:
            return 0
        return fitting_buffer(options.bandwidth)

    def oppose(self, findings: Iterable[Finding]) -> None:
        """Put each finding beside its field; those of the disk above the form."""
        for finding in findings:
            home, obstacle = self.home(finding.field), Obstacle(finding)
            if obstacle.message not in self.errors.get(home or NON_FIELD_ERRORS, ()):
                self.add_error(home, obstacle)

    def home(self, field: str) -> str | None:
        """Return the field on the page that a finding's field means; None for none."""
        if self.kind == "xml" and field in _IN_XML:
            return "xml"
        if field in ("destination", "path"):
            return KIND_FIELDS[self.kind][0]
        return field if field in self.fields else None


def _stamp(destination: Destination, options: CopyOptions) -> str:
    """Return one short text for one destination with the flags that bear on it."""
    flags = {name: value for name, value in asdict(options).items() if name in FLAGS}
    text = json.dumps([destination_to_json(destination), flags], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
