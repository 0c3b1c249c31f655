"""The times in the admin: in the reader's zone, whose name stands beside each."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from jobs.models import (
    AuditEntry,
    CopyJob,
    Domain,
    Host,
    JobEvent,
    Leftover,
    Preferences,
    StoragePool,
)

AT = datetime(2026, 11, 27, 19, 23, 16, tzinfo=UTC)
IN = {
    ("en", ""): "2026-11-27 19:23:16 UTC",
    ("en", "Asia/Kolkata"): "2026-11-28 00:53:16 IST",
    ("de", ""): "27.11.2026 19:23:16 UTC",
    ("de", "Europe/Berlin"): "27.11.2026 20:23:16 CET",
}
TOLD = {
    CopyJob: "requested_at",
    JobEvent: "time",
    Domain: "seen_at",
    Host: "last_seen_at",
    Leftover: "noted_at",
    StoragePool: "seen_at",
    User: "last_login",
}


def pages(client: Client, model: Any) -> list[str]:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    row = model.objects.get(username="ada") if model is User else model.objects.first()
    addresses = (
        reverse(f"{name}_changelist"),
        reverse(f"{name}_change", args=[row.pk]),
    )
    return [client.get(address).content.decode() for address in addresses]


@pytest.mark.parametrize(("language", "zone"), IN)
@pytest.mark.parametrize("model", TOLD)
@pytest.mark.usefixtures("leftover", "pool", "entry")
def test_each_time_tells_its_zone(
    administration: Client, ada: User, model: Any, language: str, zone: str
) -> None:
    Preferences.objects.create(user=ada, language=language, time_zone=zone)
    model.objects.update(**{TOLD[model]: AT})

    for page in pages(administration, model):
        assert IN[language, zone] in page
        assert not re.search(r"[ap]\.m\.|\d\d:\d\d(?!:?\d| [A-Z])", page)


@pytest.mark.usefixtures("entry")
def test_the_audit_log_tells_them_too(administration: Client, ada: User) -> None:
    Preferences.objects.create(user=ada, time_zone="Asia/Kolkata")

    for page in pages(administration, AuditEntry):
        assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d IST", page)
        assert "UTC" not in page
