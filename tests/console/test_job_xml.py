"""A job's XML: before, sent, after, and what changed in between."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from jobs.console.job_xml import xml_of
from jobs.lifecycle import State
from jobs.models import CopyJob, Disk, JobDefinition
from tests.conftest import signed_in
from tests.console.rows import job_in, text_of

XML = "<disk><driver type='{}'/><source file='{}'/><target dev='vda'/></disk>"
OLD, NEW = "/srv/images/web.qcow2", "/srv/fast/<img src=x>.qcow2"


def keep(job: CopyJob, when: str, path: str = OLD, driver: str = "qcow2") -> None:
    escaped = path.replace("<", "&lt;")
    JobDefinition.objects.create(job=job, when=when, xml=XML.format(driver, escaped))


def page_of(user: User, job: CopyJob) -> str:
    return text_of(signed_in(user).get(reverse("job", args=[job.pk])))


@pytest.fixture
def pivoted(disk: Disk) -> CopyJob:
    job = job_in(State.PIVOTED, disk, destination=NEW)
    keep(job, "before")
    keep(job, "after", NEW)
    return job


def test_only_what_changed_is_marked(pivoted: CopyJob) -> None:
    xml = xml_of(pivoted)
    assert [line.text.strip() for line in xml.before if line.changed] == [
        f'<source file="{OLD}" />'
    ]
    assert [line.text.strip() for line in xml.after if line.changed] == [
        '<source file="/srv/fast/&lt;img src=x&gt;.qcow2" />'
    ]
    assert (len(xml.before), len(xml.after), xml.same) == (5, 5, False)


def test_the_page_shows_it(olga: User, pivoted: CopyJob) -> None:
    text = page_of(olga, pivoted)
    assert (
        f'<del class="xml-line"> &lt;source file=&quot;{OLD}&quot; /&gt;</del>' in text
    )
    assert "&amp;lt;img src=x&amp;gt;.qcow2&quot; /&gt;</ins>" in text
    assert "<img src=x" not in text
    assert "Sent to libvirt" in text


def test_a_disk_that_is_as_before(olga: User, disk: Disk) -> None:
    job = job_in(State.COPIED, disk)
    keep(job, "before")
    keep(job, "after")
    assert xml_of(job).same
    text = page_of(olga, job)
    assert "As before, to the letter." in text
    assert "<ins" not in text


@pytest.mark.parametrize(
    ("state", "fields", "words"),
    [
        (State.REQUESTED, {}, "It is recorded when the copy starts."),
        (State.REQUESTED, {}, "To be sent to libvirt"),
        (State.COPYING, {}, "It is recorded when the copy ends."),
        (State.COPYING, {}, "It was not recorded."),  # of an older release
        (State.LOST, {}, "nothing had begun, or the domain was gone"),
        (State.CANCELLED, {"started_at": None}, "nothing had begun"),
    ],
)
def test_what_is_not_known_says_so(
    state: State, fields: dict[str, None], words: str, olga: User, disk: Disk
) -> None:
    assert words in page_of(olga, job_in(state, disk, **fields))


def test_an_adopted_copy(olga: User, disk: Disk) -> None:
    job = job_in(State.COPIED, disk)
    CopyJob.objects.update(adopted_at=job.started_at)
    keep(job, "after")
    text = page_of(olga, job)
    assert "how the disk was before is not known" in text
    assert "Sent to libvirt" not in text


def test_xml_that_was_cut_is_shown_as_it_is(disk: Disk) -> None:
    job = job_in(State.COPYING, disk)
    JobDefinition.objects.create(job=job, when="before", xml="<disk><source fi…")
    assert [line.text for line in xml_of(job).before] == ["<disk><source fi…"]


@pytest.mark.parametrize(
    ("state", "sent", "there", "absent"),
    [
        (State.COPYING, 2**21, "bandwidth=2097152", "bandwidth=3145728"),
        (State.COPYING, 0, "granularity=65536", "bandwidth="),
        (State.PIVOTED, None, "bandwidth at the start was not recorded", "bandwidth="),
        (State.QUEUED, None, "bandwidth=3145728", "was not recorded"),
    ],
)
def test_a_bandwidth_that_came_into_force_later_was_not_sent(
    state: State, sent: int | None, there: str, absent: str, olga: User, disk: Disk
) -> None:
    job = job_in(state, disk, bandwidth=3 * 2**20, granularity=2**16)
    CopyJob.objects.update(bandwidth_sent=sent)
    keep(job, "before")
    listed = page_of(olga, job).split('<ul class="sent-with')[1].split("</ul>")[0]
    assert there in listed
    assert absent not in listed
