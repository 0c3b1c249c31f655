"""How many queries each page takes, however much there is: no page takes more of them
for a fleet ten times as large, and none more than it did.

The numbers are in queries.json. Where a page is meant to take others, renew them, and
look at what changed:

    RENEW_QUERIES=1 python -m pytest tests/console/test_queries.py
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType

from bench.pages.addresses import addresses
from bench.pages.measuring import queries_of
from jobs.actor import SYSTEM
from jobs.made_up import Size, make
from jobs.roles import ADMINISTRATOR
from tests.conftest import signed_in

BASELINE = Path(__file__).with_name("queries.json")
# A page that happens to have nothing of a kind saves a query or some.
SLACK = 4
SIZES = {
    "small": Size(
        hosts=20, domains=130, disks=260, past=400, active=70, entries=2000, people=7
    ),
    "large": Size(
        hosts=60, domains=390, disks=780, past=1200, active=210, entries=6000, people=21
    ),
}

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("redis"),
    pytest.mark.timeout(600),
]


def counted(size: str) -> dict[str, int]:
    """Return the number of queries of each page over a fleet of that size."""
    make(SIZES[size], SYSTEM, tell=lambda _: None)
    ada = User.objects.filter(groups__name=ADMINISTRATOR).order_by("pk")[0]
    client = signed_in(ada)
    # Kept by a process for good; the first page that needs one has to ask.
    ContentType.objects.get_for_models(*(type(ada), ContentType))
    return {address.name: queries_of(client, address) for address in addresses()}


def kept() -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads(BASELINE.read_text())
    return found


@pytest.mark.parametrize("size", SIZES)
def test_pages_take_as_many_queries_as_they_did(size: str) -> None:
    found = counted(size)
    if os.environ.get("RENEW_QUERIES"):
        whole = {**(kept() if BASELINE.exists() else {}), size: found}
        BASELINE.write_text(json.dumps(whole, indent=2) + "\n")
    assert found == kept()[size]


def test_no_page_takes_more_for_a_larger_fleet() -> None:
    baseline = kept()
    more = {
        name: (queries, baseline["large"][name])
        for name, queries in baseline["small"].items()
        if baseline["large"][name] > queries + SLACK
    }
    assert more == {}
