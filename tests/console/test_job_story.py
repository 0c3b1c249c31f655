"""What a job's page tells besides its progress: what was found and accepted, where it
goes, its limits, and why it failed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from jobs import audit, live
from jobs.actor import Actor
from jobs.hypervisor import (
    Destination,
    Progress,
    Secret,
    Server,
    destination_to_json,
)
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk
from jobs.preflight import Finding, Level, findings_to_json
from tests.conftest import signed_in
from tests.console.rows import job_in, text_of

FOUND = [
    Finding("stale", Level.WARN, "Snapshots <go> stale.", "Remove them.", "disk", "s1"),
    Finding("thick", Level.WARN, "The copy becomes thick."),
    Finding("there", Level.PASS, "The directory is there."),
]


def page(user: User, job: CopyJob) -> str:
    return text_of(signed_in(user).get(reverse("job", args=[job.pk])))


def kept(destination: Destination) -> dict[str, Any]:
    return {
        "destination_spec": destination_to_json(destination),
        "destination_kind": destination.kind,
        "destination": destination.location,
        "destination_format": destination.format,
    }


def test_what_preflight_found_stays_with_the_job(victor: User, disk: Disk) -> None:
    job = job_in(
        State.COPYING,
        disk,
        findings=findings_to_json(FOUND),
        accepted=["stale"],
        reason="they are old",
    )
    text = page(victor, job)
    assert "2 warnings, 1 passed" in text
    assert "Snapshots &lt;go&gt; stale." in text
    assert text.count("Accepted by <bdi>olga</bdi>") == 1
    assert "“they are old”" in text
    assert 'name="accepted"' not in text


@pytest.mark.parametrize(
    ("destination", "said"),
    [
        (
            Destination(
                "network",
                protocol="nbd",
                servers=(Server("store", 10810),),
                name="web",
                tls=True,
                encryption=Secret(usage="web luks"),
            ),
            ("NBD with TLS", "store:10810", "LUKS, secret of usage web luks"),
        ),
        (
            Destination(
                "network",
                protocol="rbd",
                servers=(Server("fe80::1", 6789), Server("ceph2")),
                name="pool/image",
                user="console",
                auth=Secret(uuid="7c7b0a52-8f0f-4f0e-8f5c-3d2b6f2f9a11"),
            ),
            (
                "Ceph RBD",
                "[fe80::1]:6789, ceph2",
                "console",
                "secret 7c7b0a52-8f0f-4f0e-8f5c-3d2b6f2f9a11",
            ),
        ),
        (
            Destination(
                "volume", "/srv/images/v", pool="images", volume="v", format="raw"
            ),
            ("volume v in the pool images", "VIR_DOMAIN_BLOCK_COPY_REUSE_EXT"),
        ),
        (
            Destination("block", "/dev/sdx", slice_offset=512, slice_size=2**30),
            ("block device", "1 GiB from 512 bytes on (1073741824 bytes at 512)"),
        ),
    ],
)
def test_every_destination_is_told_in_words(
    destination: Destination, said: tuple[str, ...], victor: User, disk: Disk
) -> None:
    text = page(victor, job_in(State.COPYING, disk, **kept(destination)))
    for words in said:
        assert words in text


def test_a_volume_of_our_own(victor: User, disk: Disk) -> None:
    made = {"pool": "images", "name": "v", "path": "/srv/images/v"}
    assert "made this volume" in page(
        victor, job_in(State.COPYING, disk, created_volume=made)
    )


def test_limits(victor: User, disk: Disk) -> None:
    job = job_in(
        State.COPYING,
        disk,
        stall_limit=600,
        total_limit=5400,
        at_limit="cancel",
        flagged="No progress for 10m.",
    )
    text = page(victor, job)
    assert "10m without progress: it is cancelled" in text
    assert "1h 30m until in sync: it is cancelled" in text
    assert "A limit was reached.</strong> No progress for 10m." in text
    assert "Limits" not in page(victor, job_in(State.FAILED, disk))


def test_qemus_reason_goes_before_a_likely_one(victor: User, disk: Disk) -> None:
    job = job_in(State.FAILED, disk, failure="It failed.", likely_cause="Pool is full.")
    assert "Likely cause, not certain: Pool is full." in page(victor, job)
    CopyJob.objects.update(qemu_text="No space left on device")
    text = page(victor, job)
    assert "QEMU’s reason: <strong>No space left on device</strong>" in text
    assert "Likely cause" not in text


@pytest.mark.parametrize(
    ("consistency", "said"),
    [("guest", "file systems were frozen"), ("crash", "as after a power cut")],
)
def test_how_consistent_a_copy_is(
    consistency: str, said: str, victor: User, disk: Disk
) -> None:
    assert said in page(victor, job_in(State.COPIED, disk, consistency=consistency))


def test_frozen_file_systems_are_told(victor: User, disk: Disk) -> None:
    frozen = timezone.now() - timedelta(seconds=3)
    text = page(victor, job_in(State.FINISHING, disk, frozen_at=frozen))
    assert "file systems are frozen since" in text


@pytest.mark.usefixtures("redis")
class TestBandwidth:
    def told(self, user: User, job: CopyJob, bytes_per_second: int) -> str:
        live.store_progress({job.pk: Progress(1, 100, bytes_per_second)})
        return page(user, job)

    def test_is_read_back(self, olga: User, disk: Disk) -> None:
        job = job_in(State.COPYING, disk, bandwidth=2**20)
        text = self.told(olga, job, 2**20)
        assert "read back from alder: 1048576 bytes/s" in text
        assert "alder says: 2 MiB/s" in self.told(olga, job, 2**21)
        assert "alder says: unlimited" in self.told(olga, job, 0)

    def test_says_what_is_not_in_force_yet(self, olga: User, disk: Disk) -> None:
        job = job_in(State.COPYING, disk, bandwidth_asked=0, bandwidth_asked_by="ada")
        assert "unlimited asked for by <bdi>ada</bdi>, not in force yet." in page(
            olga, job
        )


def test_a_finish_asks_whether_to_freeze(olga: User, disk: Disk) -> None:
    job = job_in(State.MIRRORING, disk)
    address = reverse("job-verb", args=[job.pk, "finish"])
    assert 'name="consistent"' in text_of(signed_in(olga).get(address))
    pivot = reverse("job-verb", args=[job.pk, "pivot"])
    assert 'name="consistent"' not in text_of(signed_in(olga).get(pivot))
    typed = {"asks_consistent": "1", "consistent": "on"}
    signed_in(olga).post(address, typed)
    job.refresh_from_db()
    assert (job.state, job.consistent) == (State.FINISHING, True)


@pytest.mark.parametrize(
    ("typed", "kept"), [({}, True), ({"asks_consistent": "1"}, False)]
)
def test_a_finish_without_the_question_keeps_what_was_asked(
    typed: dict[str, str], kept: bool, olga: User, disk: Disk
) -> None:
    job = job_in(State.MIRRORING, disk, consistent=True)
    signed_in(olga).post(reverse("job-verb", args=[job.pk, "finish"]), typed)
    job.refresh_from_db()
    assert job.consistent is kept


def test_the_audit_part_tells_intent_reason_and_result_apart(
    ada: User, disk: Disk
) -> None:
    job = job_in(State.COPYING, disk)
    audit.record(
        Actor("<b>olga", "cli"),
        "speed",
        job,
        audit.Outcome.DONE,
        intent="bandwidth 1 MiB/s",
        reason="<i>night",
        detail="1048576 bytes/s in force",
    )
    text = page(ada, job)
    for told in (
        '<p translate="no">bandwidth 1 MiB/s</p>',
        'Reason:</span> <span translate="no">&lt;i&gt;night</span>',
        'Result:</span> <span translate="no">1048576 bytes/s in force</span>',
    ):
        assert told in text
