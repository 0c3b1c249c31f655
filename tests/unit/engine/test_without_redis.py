"""Losing Redis loses no job: the intent is written, the next tick asks for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.contrib.auth.models import User

from jobs import actions, live
from jobs.hypervisor import Destination
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk
from jobs.preflight import CopyRequest
from tests.conftest import actor_of, signed_in


@pytest.fixture
def no_redis(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A Redis that is not there, for the locks and wake-ups and for the broker."""
    socket = tmp_path / "nobody-listens.sock"
    settings.REDIS_URL = f"unix://{socket}"
    live.client.cache_clear()
    nowhere = Celery(broker=f"redis+socket://{socket}", set_as_current=False)
    nowhere.conf.broker_transport_options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    monkeypatch.setattr("jobs.dispatch.current_app", nowhere)
    yield
    live.client.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_a_request_is_kept_without_redis(
    no_redis: None, disk: Disk, olga: User
) -> None:
    path = Destination("file", "/srv/images/copy.qcow2", "qcow2")
    job = actions.request_copy(CopyRequest(disk, path), actor_of(olga))
    assert CopyJob.objects.get().state == State.QUEUED
    assert live.progress_of([job.pk]) == {}
    actions.perform(actions.CANCEL, job, actor_of(olga))
    assert CopyJob.objects.get().state == State.CANCELLED


@pytest.mark.django_db(transaction=True)
def test_pages_are_shown_without_redis(no_redis: None, disk: Disk, olga: User) -> None:
    path = Destination("file", "/srv/images/copy.qcow2", "qcow2")
    job = actions.request_copy(CopyRequest(disk, path), actor_of(olga))
    CopyJob.objects.update(state=State.COPYING, libvirt_id=7)
    client = signed_in(olga)
    for page in ("/", "/jobs/", f"/jobs/{job.pk}/", f"/hosts/{job.host_id}/"):
        assert client.get(page).status_code == 200, page
