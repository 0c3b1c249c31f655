"""The administrator's pages: what they say of their own goes through gettext.

The names of models and of their fields do, too; records call them what they are called
in English.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.urls import reverse
from django.utils import translation
from django.utils.text import camel_case_to_spaces

from jobs.actor import CHANNELS
from jobs.admin import names
from jobs.admin.inventory import BUSES, DEVICES, FORMATS, POOLS, STATES
from jobs.audit.log import ACTIONS
from jobs.hypervisor.destination import KINDS
from jobs.lifecycle import State
from jobs.models import Disk, StoragePool
from tests.conftest import signed_in
from tests.language.marks import marking, unmarked
from tests.language.reading import DATA, GERMAN, KNOWN
from tests.language.world import World, furnish

pytestmark = pytest.mark.usefixtures("redis")

MODELS: list[type[Model]] = list(admin.site._registry)
# What filters offer as it is recorded, roles, and what Django itself leaves so.
VALUES = {
    *CHANNELS,
    *ACTIONS,
    *KINDS,
    *State.values,
    *(*STATES, *DEVICES, *BUSES, *FORMATS, *POOLS),
    *("viewer", "operator", "administrator", "True", "False", "None", "Search", "ID"),
}
ROWS = ("tbody.tr.td: ", "tbody.tr.th: ")


@pytest.fixture(autouse=True)
def _marked() -> Iterator[None]:
    with marking():
        yield


@pytest.fixture
def world(ada: User, disk: Disk, pool: StoragePool) -> World:
    return furnish(ada, disk, pool)


def outside(world: World, address: str) -> list[str]:
    """Return the texts but for values that have not gone through gettext."""
    answer = signed_in(world.reader).get(address, headers=GERMAN)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert "⟦" in page
    return unmarked(page, KNOWN | VALUES, DATA)


def read(world: World, address: str) -> None:
    """Find each text but for values to have gone through gettext."""
    found = [text for text in outside(world, address) if not text.startswith(ROWS)]
    assert not found, "\n".join(["outside:", *found])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.model_name)
def test_the_list_of_a_model(world: World, model: type[Model]) -> None:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    read(world, reverse(name))


@pytest.mark.parametrize("name", ["index", "password_change"])
def test_the_entrance(world: World, name: str) -> None:
    read(world, reverse(f"admin:{name}"))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.model_name)
def test_the_labels_of_an_object_s_page(world: World, model: type[Model]) -> None:
    row = model._default_manager.first()
    if row is None:
        pytest.skip("no such row in this world")
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
    found = outside(world, reverse(name, args=[row.pk]))
    labels = [text for text in found if re.search(r"^\S*\.(label|th): ", text)]
    assert not labels, "\n".join(["outside:", *labels])


def test_fields_are_named_that_are_there() -> None:
    there = {field.name for model in names.MODELS for field in model._meta.fields}
    assert set(names.FIELDS) <= there


@pytest.mark.parametrize("model", names.MODELS, ids=lambda model: model.__name__)
def test_records_call_a_model_what_it_is_called_in_english(model: type[Model]) -> None:
    """As they did before it had a name in German: the audit log is searched by that."""
    with translation.override("de"):
        recorded = model._meta.verbose_name_raw
        assert str(model._meta.verbose_name) == f"⟦{recorded}⟧"
    assert recorded == camel_case_to_spaces(model.__name__)
