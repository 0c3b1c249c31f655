"""Measuring the pages of a running server, in a process that knows its database."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bench.pages.addresses import Address, addresses
from bench.pages.browser import Browser
from jobs import live, processes
from jobs.hypervisor import Progress
from jobs.lifecycle import State
from jobs.models import CopyJob, Host, Site
from jobs.roles import ADMINISTRATOR

AIM_SECONDS = 0.100  # at the 95th percentile
AIM_FIRST = 150_000  # bytes at the first visit
AIM_AFTER = 30_000
WARMING = 3
BARE = Address("(bare)", "/bare/")


@dataclass(frozen=True)
class Measured:
    """What came of asking for one page again and again."""

    address: Address
    seconds: list[float]
    queries: int
    first: int
    after: int

    @property
    def p95(self) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]

    @property
    def misses(self) -> list[str]:
        """Say which aims are missed."""
        return [
            *(["slow"] if self.p95 > AIM_SECONDS else []),
            *(["heavy"] if self.first > AIM_FIRST or self.after > AIM_AFTER else []),
        ]


def measure(port: int, requests: int, only: str) -> int:
    """Measure all pages and print the table; 1 if an aim is missed, else 0."""
    client = Client(headers={"host": "localhost"})
    client.force_login(_administrator())
    browser = Browser(port, client.cookies[settings.SESSION_COOKIE_NAME].value)
    pages = [BARE, *(each for each in addresses() if only in each.name)]
    print(f"{connection.vendor}, {CopyJob.objects.count():,} jobs, {requests} requests")
    print(f"{'':44} queries  median     p95   bare=1  first KB  after KB", flush=True)
    bare, missed = 0.0, 0
    for address in pages:
        _give_signs()
        result = _measured(browser, client, address, requests)
        bare = bare or statistics.median(result.seconds)
        print(row(result, bare), flush=True)
        missed += bool(result.misses)
    print(f"{missed} of {len(pages)} pages miss an aim.")
    return 1 if missed else 0


def _administrator() -> User:
    return User.objects.filter(groups__name=ADMINISTRATOR).order_by("pk")[0]


def _give_signs() -> None:
    """Have the pages find processes, hosts and numbers, as in a console at work."""
    answering = Host.objects.filter(enabled=True, error="").values_list("pk", flat=True)
    for pk in answering:  # one by one, as workers do, so that PostgreSQL can tidy up
        Host.objects.filter(pk=pk).update(last_seen_at=timezone.now())
    for kind in (processes.Kind.BEAT, processes.Kind.TICK):
        processes.give_sign(kind, "made up")
    sites = list(Site.objects.values_list("name", flat=True))
    for kind in (processes.Kind.WORKER, processes.Kind.LISTENER):
        processes.give_sign(kind, "made up", sites)
    running = CopyJob.objects.filter(state__in=(State.COPYING, State.MIRRORING))
    live.store_progress(
        {
            pk: Progress((size or 0) * (pk % 90) // 100, size or 0, 0)
            for pk, size in running.values_list("pk", "capacity")
        }
    )


def _measured(
    browser: Browser, client: Client, address: Address, requests: int
) -> Measured:
    for _ in range(WARMING):
        answer = browser.get(address.path, part=address.part)
    linked = browser.weight_of_linked(answer.text)
    seconds = []
    for _ in range(requests):
        answer = browser.get(address.path, part=address.part)
        seconds.append(answer.seconds)
        time.sleep(0.002)
    # It would have given up waiting while the queries are counted.
    browser.connection.close()
    queries = queries_of(client, address)
    return Measured(address, seconds, queries, answer.weight + linked, answer.weight)


def queries_of(client: Client, address: Address) -> int:
    """Return how many queries a page takes; RuntimeError if there is none."""
    headers = {"HX-Request": "true", "HX-Target": "live"} if address.part else {}
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(address.path, headers=headers)
    if answer.status_code != 200:
        raise RuntimeError(f"{address.path} answers with {answer.status_code}")
    return len(captured)


def row(result: Measured, bare: float) -> str:
    """Return a row of the table."""
    middle = statistics.median(result.seconds)
    misses = f"  {', '.join(result.misses)}" if result.misses else ""
    return (
        f"{result.address.name[:43]:44} {result.queries:7} {middle * 1000:5.1f} ms "
        f"{result.p95 * 1000:5.1f} ms {middle / bare:7.1f} "
        f"{result.first / 1000:9.1f} {result.after / 1000:9.1f}{misses}"
    )
