"""Who may enter, and what nobody may change."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from jobs.models import (
    AuditEntry,
    CopyJob,
    Disk,
    Domain,
    Host,
    JobEvent,
    Leftover,
    Site,
    StoragePool,
)
from tests.conftest import PASSWORD, signed_in

READ_ONLY = [Domain, Disk, StoragePool, CopyJob, JobEvent, Leftover, AuditEntry]
MODELS = [*READ_ONLY, Host, Site]


def address(model: Any, page: str, *args: object) -> str:
    return reverse(
        f"admin:{model._meta.label_lower.replace('.', '_')}_{page}", args=args
    )


def row_of(model: Any) -> Any:
    row = model.objects.first()
    assert row is not None
    return row


@pytest.fixture
def everything(
    job: CopyJob, leftover: Leftover, entry: AuditEntry, pool: StoragePool, site: Site
) -> None:
    """At least one row of every model."""


# --- Who may enter -----------------------------------------------------------------


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("model", MODELS)
def test_administrators_and_superusers_read_every_list_and_row(
    model: Any, ada: User, sue: User
) -> None:
    for user in (ada, sue):
        client = signed_in(user)
        for page in (
            address(model, "changelist"),
            address(model, "change", row_of(model).pk),
            address(model, "history", row_of(model).pk),
            f"{address(model, 'changelist')}?q=web",
        ):
            assert client.get(page).status_code == 200, page


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("model", [*MODELS, User])
@pytest.mark.parametrize("who", ["victor", "olga", "otto"])
def test_nobody_else_enters(
    model: Any, who: str, victor: User, olga: User, otto: User
) -> None:
    client = signed_in(User.objects.get(username=who))
    before = AuditEntry.objects.count()

    for page in (
        reverse("admin:index"),
        address(model, "changelist"),
        address(model, "change", row_of(model).pk),
        address(model, "add"),
    ):
        assert client.get(page, follow=True).status_code == 403, page
        assert client.post(page, {"name": "x"}, follow=True).status_code == 403, page
    assert AuditEntry.objects.count() == before


def test_a_stranger_is_led_to_the_one_sign_in_page(client: Client, db: None) -> None:
    page = reverse("admin:jobs_host_changelist")

    response = client.get(page, follow=True)

    assert response.redirect_chain[-1][0] == f"{reverse('login')}?next={page}"


def test_the_admin_takes_no_password_itself(client: Client, ada: User) -> None:
    response = client.post(
        reverse("admin:login"), {"username": "ada", "password": PASSWORD}
    )

    assert response.status_code == 302
    assert "_auth_user_id" not in client.session


def test_a_disabled_administrator_is_out(ada: User) -> None:
    client = signed_in(ada)
    User.objects.update(is_active=False)

    assert client.get(reverse("admin:index")).status_code == 302


# --- What nobody may change ----------------------------------------------------------


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("model", READ_ONLY)
@pytest.mark.parametrize("who", ["ada", "sue"])
def test_no_address_of_a_read_only_model_changes_anything(
    model: Any, who: str, ada: User, sue: User
) -> None:
    client = signed_in(User.objects.get(username=who))
    row = row_of(model)
    before = list(model.objects.values())
    fields = {
        **{field.name: "changed" for field in model._meta.concrete_fields},
        "post": "yes",
        "_save": "Save",
        "reason": "changed",
    }

    for page in ("add", "change", "delete"):
        arguments = [] if page == "add" else [row.pk]
        response = client.post(address(model, page, *arguments), fields)
        assert response.status_code == 403, page
    for action in ("delete_selected", "change", "nonsense"):
        client.post(
            address(model, "changelist"),
            {"action": action, "_selected_action": [row.pk], "post": "yes"},
        )
    client.post(address(model, "history", row.pk), fields)
    client.post(
        address(model, "changelist"),
        {"_save": "Save", "form-TOTAL_FORMS": "1", "form-0-id": row.pk, **fields},
    )

    assert list(model.objects.values()) == before


@pytest.mark.parametrize("who", ["ada", "sue"])
def test_the_audit_log_is_shown_and_offers_nothing_to_press(
    who: str, ada: User, sue: User, entry: AuditEntry
) -> None:
    client = signed_in(User.objects.get(username=who))

    page = client.get(address(AuditEntry, "change", entry.pk)).content.decode()
    listed = client.get(address(AuditEntry, "changelist")).content.decode()

    assert "of course" in page
    assert 'name="_save"' not in page
    assert "deletelink" not in page
    assert 'name="action"' not in listed
    assert "/admin/jobs/auditentry/add/" not in listed


def test_nothing_is_deleted_in_bulk() -> None:
    assert "delete_selected" not in [name for name, _ in admin.site.actions]


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize(
    "model", [Domain, Disk, CopyJob, JobEvent, Leftover, AuditEntry, Host]
)
def test_a_list_asks_a_fixed_number_of_questions(
    model: Any, sue: User, django_assert_max_num_queries: Any
) -> None:
    """A copy of each row must not bring more queries."""
    client = signed_in(sue)
    page = address(model, "changelist")
    client.get(page)  # warms caches of content types
    with django_assert_max_num_queries(30) as few:
        client.get(page)
    _copy_rows(model)
    with django_assert_max_num_queries(len(few)):
        client.get(page)


# What must differ between two rows of a table.
UNIQUE = {
    Domain: "uuid",
    Disk: "target",
    CopyJob: "disk",
    Host: "name",
    Leftover: "location",
}


def _copy_rows(model: Any) -> None:
    """Make twenty more rows, like the first one wherever they may."""
    for number in range(20):
        row = row_of(model)
        row.pk = None
        row._state.adding = True
        if model in UNIQUE:
            setattr(row, UNIQUE[model], f"other{number}")
        row.save()
