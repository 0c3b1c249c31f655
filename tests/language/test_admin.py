"""The administrator's pages: what they say of their own goes through gettext.

The names of models and of their fields stay those of the database, in any language, as
they do in logs and exports.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.urls import reverse
from django.utils.text import capfirst

from jobs.actor import CHANNELS
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
    *("viewer", "operator", "administrator", "True", "False", "None", "Search"),
}
ROWS = ("tbody.tr.td: ", "tbody.tr.th: ")


def names() -> set[str]:
    """What models and fields are called."""
    of_models = chain.from_iterable(
        (each._meta.verbose_name, each._meta.verbose_name_plural) for each in MODELS
    )
    of_fields = (
        getattr(field, "verbose_name", "")
        for each in MODELS
        for field in each._meta.get_fields()
    )
    found = {str(name) for name in chain(of_models, of_fields) if name}
    return found | {str(capfirst(name)) for name in found}


@pytest.fixture(autouse=True)
def _marked() -> Iterator[None]:
    with marking():
        yield


@pytest.fixture
def world(ada: User, disk: Disk, pool: StoragePool) -> World:
    return furnish(ada, disk, pool)


def read(world: World, address: str) -> None:
    """Find each text but for names and values to have gone through gettext."""
    answer = signed_in(world.reader).get(address, headers=GERMAN)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert "⟦" in page
    known = KNOWN | VALUES | names()
    found = [text for text in unmarked(page, known, DATA) if not text.startswith(ROWS)]
    assert not found, "\n".join(["outside:", *found])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.model_name)
def test_the_list_of_a_model(world: World, model: type[Model]) -> None:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    read(world, reverse(name))


@pytest.mark.parametrize("name", ["index", "password_change"])
def test_the_entrance(world: World, name: str) -> None:
    read(world, reverse(f"admin:{name}"))
