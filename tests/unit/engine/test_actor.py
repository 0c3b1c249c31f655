"""Who acts, as the audit log will have it, whatever a client sends along."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client, RequestFactory

from jobs.actor import client_address
from jobs.models import AuditEntry


@pytest.mark.parametrize(
    ("headers", "behind_proxy", "address"),
    [
        ({}, False, "127.0.0.1"),
        ({"HTTP_X_FORWARDED_FOR": "6.6.6.6"}, False, "127.0.0.1"),
        ({"HTTP_X_FORWARDED_FOR": "6.6.6.6, 10.0.0.7"}, True, "10.0.0.7"),
        ({"HTTP_X_FORWARDED_FOR": "2001:db8::7"}, True, "2001:db8::7"),
        ({"HTTP_X_FORWARDED_FOR": "10.0.0.7:5044"}, True, None),
        ({"HTTP_X_FORWARDED_FOR": "unknown"}, True, None),
        ({"REMOTE_ADDR": ""}, False, None),
    ],
)
def test_the_clients_address(
    headers: dict[str, str], behind_proxy: bool, address: str | None, settings: Any
) -> None:
    settings.BLOCKCOPY_BEHIND_PROXY = behind_proxy
    request = RequestFactory().get("/", **headers)  # type: ignore[arg-type]
    assert client_address(request) == address


@pytest.mark.django_db
def test_no_header_keeps_a_failed_sign_in_out_of_the_log(
    client: Client, settings: Any
) -> None:
    """PostgreSQL refuses an address that is none."""
    settings.BLOCKCOPY_BEHIND_PROXY = True
    client.post(
        "/login/",
        {"username": "olga", "password": "guessed"},
        headers={"X-Forwarded-For": "nowhere"},
    )
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.outcome, entry.address) == ("sign in", "refused", None)
