"""The operator's verbs: who may, when, what is written, and who comes second."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from jobs import actions
from jobs.hypervisor import CopyOptions, Destination
from jobs.lifecycle import ON_HOST, State, WhenReady
from jobs.models import AuditEntry, ChainLink, CopyJob, Disk, Domain, Host, Site
from jobs.preflight import CopyRequest
from tests.conftest import actor_of

NEW = Destination("file", "/srv/images/web-copy.qcow2", "qcow2")


@pytest.fixture
def job(disk: Disk, olga: User) -> CopyJob:
    return actions.request_copy(CopyRequest(disk, NEW), actor_of(olga))


def in_state(job: CopyJob, state: State) -> CopyJob:
    CopyJob.objects.filter(pk=job.pk).update(state=state, libvirt_id=7)
    job.refresh_from_db()
    return job


# --- Requesting --------------------------------------------------------------------


def test_a_request_is_queued_and_audited(job: CopyJob) -> None:
    assert job.state == State.QUEUED
    assert job.destination_xml.startswith('<disk type="file">')
    assert [event.new_state for event in job.events.all()] == ["requested", "queued"]
    entry = AuditEntry.objects.get(action="request")
    assert (entry.actor, entry.outcome) == ("olga", "asked")
    assert NEW.path in entry.intent


def test_a_viewer_may_not_request(disk: Disk, victor: User) -> None:
    with pytest.raises(actions.Denied):
        actions.request_copy(CopyRequest(disk, NEW), actor_of(victor))
    assert not CopyJob.objects.exists()
    assert AuditEntry.objects.get().outcome == "refused"


def test_a_second_job_on_the_disk_is_refused(job: CopyJob, olga: User) -> None:
    disk = Disk.objects.get()
    other = replace(NEW, path="/srv/images/another.qcow2")
    with pytest.raises(actions.Invalid, match=f"Job {job.pk} is active on this disk"):
        actions.request_copy(CopyRequest(disk, other), actor_of(olga))


def test_the_database_refuses_a_second_active_job(
    job: CopyJob, olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two requests at once both pass preflight; the constraint lets one in."""
    monkeypatch.setattr("jobs.actions.copies.problems", lambda request: [])
    other = replace(NEW, path="/srv/images/another.qcow2")
    with pytest.raises(actions.Invalid, match="just started"):
        actions.request_copy(CopyRequest(Disk.objects.get(), other), actor_of(olga))
    assert CopyJob.objects.count() == 1


def _request_problem(olga: User, request: CopyRequest) -> tuple[str, str]:
    with pytest.raises(actions.Invalid) as caught:
        actions.request_copy(request, actor_of(olga))
    assert not CopyJob.objects.exists()
    problem = caught.value.problems[0]
    return problem.field, str(problem)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("relative.qcow2", "absolute path"),
        ("", "no path"),
        ("/srv/../etc/x", "must be written without"),
        ("/srv/images/web.qcow2", "is the source itself"),
        ("/srv/images/base.qcow2", "is the source itself"),
        ("/srv/images/mail.qcow2", "in use by vdb of web"),
        ("/srv/images/mail-base.qcow2", "in use by vdb of web"),
        ("/srv/images/mail-next-boot.qcow2", "in use by vdb of web"),
    ],
)
def test_a_bad_destination(disk: Disk, olga: User, path: str, words: str) -> None:
    other = Disk.objects.create(
        domain=disk.domain,
        target="vdb",
        device="disk",
        source="/srv/images/mail.qcow2",
        persistent_source="/srv/images/mail-next-boot.qcow2",
    )
    for depth, name in enumerate(("mail", "mail-base")):
        ChainLink.objects.create(
            disk=other, depth=depth, location=f"/srv/images/{name}.qcow2", kind="file"
        )
    field, text = _request_problem(olga, CopyRequest(disk, replace(NEW, path=path)))
    assert field == "destination"
    assert words in text


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (CopyOptions(granularity=3000), "granularity"),
        (CopyOptions(granularity=256), "granularity"),
        (CopyOptions(granularity=2**27), "granularity"),
        (CopyOptions(bandwidth=-1), "bandwidth"),
        (CopyOptions(bandwidth=2**63), "bandwidth"),
        (CopyOptions(buf_size=2**63), "buf_size"),
    ],
)
def test_a_bad_option(disk: Disk, olga: User, options: CopyOptions, field: str) -> None:
    assert _request_problem(olga, CopyRequest(disk, NEW, options))[0] == field


def test_shallow_needs_a_chain_and_a_format(disk: Disk, olga: User) -> None:
    shallow = CopyOptions(shallow=True)
    raw = replace(NEW, format="raw")
    assert (
        "needs a format" in _request_problem(olga, CopyRequest(disk, raw, shallow))[1]
    )
    disk.chain.filter(depth__gt=0).delete()
    assert (
        "no backing file" in _request_problem(olga, CopyRequest(disk, NEW, shallow))[1]
    )


def test_a_domain_that_is_off(disk: Disk, domain: Domain, olga: User) -> None:
    Domain.objects.update(libvirt_id=None, state="shutoff")
    disk.domain.refresh_from_db()
    assert "web is not running" in _request_problem(olga, CopyRequest(disk, NEW))[1]


def test_a_disk_with_a_strangers_copy(disk: Disk, olga: User) -> None:
    disk.mirror = "/srv/elsewhere.qcow2"
    disk.save()
    assert "not started here" in _request_problem(olga, CopyRequest(disk, NEW))[1]


def test_an_empty_cdrom(disk: Disk, olga: User) -> None:
    disk.device, disk.source = "cdrom", ""
    disk.save()
    assert "without a medium" in _request_problem(olga, CopyRequest(disk, NEW))[1]


def test_a_host_that_does_not_answer(disk: Disk, olga: User) -> None:
    Host.objects.update(error="The host does not answer.", error_remedy="Look at it.")
    disk.domain.host.refresh_from_db()
    words = _request_problem(olga, CopyRequest(disk, NEW))[1]
    assert words == "alder does not answer. Look at it."


def test_a_shared_disk_stays_raw(disk: Disk, olga: User) -> None:
    disk.shareable = True
    disk.save()
    assert _request_problem(olga, CopyRequest(disk, NEW))[0] == "format"
    raw = replace(NEW, format="raw")
    assert actions.request_copy(CopyRequest(disk, raw), actor_of(olga)).pk


def test_a_mirror_of_our_own_ended_job_is_no_strangers(
    job: CopyJob, disk: Disk, olga: User
) -> None:
    actions.perform(actions.CANCEL, job, actor_of(olga))
    disk.mirror = job.destination
    disk.save()
    other = replace(NEW, path="/srv/images/another.qcow2")
    assert actions.request_copy(CopyRequest(disk, other), actor_of(olga)).pk


# --- Verbs -------------------------------------------------------------------------


@pytest.mark.parametrize("verb", actions.VERBS.values(), ids=actions.VERBS)
def test_a_verb_writes_the_intent(verb: actions.Verb, job: CopyJob, olga: User) -> None:
    in_state(job, State.MIRRORING if verb.intended in ON_HOST else State.REQUESTED)
    actions.perform(verb, job, actor_of(olga), "ticket 17")
    job.refresh_from_db()
    assert job.state == verb.intended
    assert (job.ending_at is not None) == (verb.intended in ON_HOST)
    entry = AuditEntry.objects.get(action=verb.name)
    assert (entry.actor, entry.outcome, entry.reason) == ("olga", "asked", "ticket 17")
    assert job.destination in entry.intent


@pytest.mark.parametrize("verb", actions.VERBS.values(), ids=actions.VERBS)
@pytest.mark.parametrize("state", list(State))
def test_a_verb_in_every_state(
    verb: actions.Verb, state: State, job: CopyJob, olga: User
) -> None:
    in_state(job, state)
    if state in verb.states:
        assert verb.why_not(job) == ""
        return
    assert verb.why_not(job)
    with pytest.raises(actions.NotPossible):
        actions.perform(verb, job, actor_of(olga))
    job.refresh_from_db()
    assert job.state == state
    assert AuditEntry.objects.filter(action=verb.name, outcome="refused").exists()


def test_a_viewer_may_not_pivot(job: CopyJob, victor: User) -> None:
    in_state(job, State.MIRRORING)
    with pytest.raises(actions.Denied):
        actions.perform(actions.PIVOT, job, actor_of(victor))
    job.refresh_from_db()
    assert job.state == State.MIRRORING


def test_the_second_of_two_operators_is_told(job: CopyJob, olga: User) -> None:
    in_state(job, State.MIRRORING)
    stale = CopyJob.objects.get(pk=job.pk)
    actions.perform(actions.PIVOT, job, actor_of(olga))
    with pytest.raises(actions.NotPossible, match="the job is pivoting now"):
        actions.perform(actions.CANCEL, stale, actor_of(olga))
    assert CopyJob.objects.get().state == State.PIVOTING


def test_cancelling_a_queued_job_needs_no_host(job: CopyJob, olga: User) -> None:
    actions.perform(actions.CANCEL, job, actor_of(olga))
    job.refresh_from_db()
    assert job.state == State.CANCELLED
    assert job.ended_at is not None
    assert job.left_behind == ""


def test_speed(job: CopyJob, olga: User) -> None:
    in_state(job, State.COPYING)
    actions.set_speed(job, 2**20, actor_of(olga))
    assert AuditEntry.objects.get(action="speed").intent.startswith("bandwidth 1 MiB/s")
    with pytest.raises(actions.Invalid):
        actions.set_speed(job, -5, actor_of(olga))
    in_state(job, State.PIVOTED)
    with pytest.raises(actions.NotPossible):
        actions.set_speed(job, 0, actor_of(olga))


def test_the_requests_policy_is_kept(disk: Disk, olga: User) -> None:
    request = CopyRequest(disk, NEW, when_ready=WhenReady.PIVOT)
    assert actions.request_copy(request, actor_of(olga)).when_ready == WhenReady.PIVOT


# --- Hosts -------------------------------------------------------------------------


def test_a_host_with_active_jobs_keeps_its_address(job: CopyJob, ada: User) -> None:
    host = job.host
    host.enabled = False
    with pytest.raises(ValidationError, match="Copies are active"):
        actions.save_host(host, actor_of(ada))
    host.refresh_from_db()
    assert host.enabled


def test_adding_and_changing_a_host(site: Site, ada: User, olga: User) -> None:
    host = Host(name="birch", site=site, transport="ssh", host_name="birch.example")
    with pytest.raises(actions.Denied):
        actions.save_host(host, actor_of(olga))
    actions.save_host(host, actor_of(ada))
    host.host_name = "-oProxyCommand=evil"
    with pytest.raises(ValidationError):
        actions.save_host(host, actor_of(ada))
    host.host_name = "birch.example.org"
    actions.save_host(host, actor_of(ada))
    done = AuditEntry.objects.filter(object_type="host", outcome="done").order_by("id")
    assert [entry.action for entry in done] == ["add host", "change host"]
    assert done[1].intent == "host_name: birch.example → birch.example.org"
