"""Pages go out compressed; the event stream does not."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient
from django.urls import reverse

from jobs.console.views import stream
from tests.conftest import signed_in

ASKED = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.mark.usefixtures("redis")
def test_a_page_is_compressed_for_who_asks(olga: User) -> None:
    client = signed_in(olga)
    plain = client.get(reverse("jobs"))
    small = client.get(reverse("jobs"), headers=ASKED)
    assert "Content-Encoding" not in plain
    assert small["Content-Encoding"] == "gzip"
    assert len(small.content) < len(plain.content) / 2
    assert b"<h1>Jobs</h1>" in gzip.decompress(small.content)
    assert "Accept-Encoding" in small["Vary"]


def test_of_equal_pages_the_length_is_not_equal(olga: User) -> None:
    """What is compressed tells nobody its exact length."""
    client = signed_in(olga)
    address = reverse("password")
    lengths = {len(client.get(address, headers=ASKED).content) for _ in range(8)}
    assert len(lengths) > 1


@pytest.mark.django_db(transaction=True)
def test_a_stream_goes_out_as_it_comes(
    olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def one_event(_: Any) -> Any:
        yield stream.event("beat")

    async def ask() -> tuple[Any, bytes]:
        client = AsyncClient()
        await client.aforce_login(olga)
        answer: Any = await client.get(
            f"{reverse('stream')}?topics=jobs", headers=ASKED
        )
        return answer, b"".join([part async for part in answer.streaming_content])

    monkeypatch.setattr(stream, "events", one_event)
    answer, sent = asyncio.run(ask())
    assert "Content-Encoding" not in answer
    assert sent == b"event: beat\ndata: {}\n\n"
