"""`blockcopy host …`: add, edit, list, show, sync, test."""

from __future__ import annotations

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db.models import Count, Q

from jobs import actions
from jobs.actions import Outcome
from jobs.commandline import find
from jobs.commandline.answer import Answer, Call, Failure, Status
from jobs.commandline.records import host_record, lacks_record, pool_record
from jobs.commandline.text import fields, table
from jobs.commandline.waiting import wait_until
from jobs.models import AuditEntry, Host
from jobs.units import bytes_text

# What is asked of a worker expires after so many seconds (see jobs.dispatch).
SYNC_EXPIRES = 300.0
TEST_EXPIRES = 60.0


def add(call: Call) -> Answer:
    """Add a host; its inventory is read at once."""
    given = call.options
    host = Host(
        name=given.name,
        site=find.site(given.site),
        transport=given.transport,
        host_name=given.host_name,
        port=given.port,
        user=given.user,
        mode=given.mode,
        socket=given.socket,
        enabled=not given.disabled,
        production=given.production,
    )
    _save(host, call)
    return Answer(host_record(host), f"Host {host} was added.")


def edit(call: Call) -> Answer:
    """Change what is given of a host; another transport empties the address first."""
    given = call.options
    host = find.host(given.host)
    if given.transport not in (None, host.transport):
        host.host_name = host.user = host.socket = ""
        host.port = None
    for name in _EDITABLE:
        if (value := getattr(given, name)) is not None:
            setattr(host, name, value)
    if given.site is not None:
        host.site = find.site(given.site)
    _save(host, call)
    return Answer(host_record(host), f"Host {host} was changed.")


_EDITABLE = (
    *("name", "transport", "host_name", "port", "user", "mode", "socket"),
    *("enabled", "production"),
)


def _save(host: Host, call: Call) -> None:
    try:
        actions.save_host(host, call.actor, call.options.reason)
    except ValidationError as error:
        raise Failure(_what_is_wrong(error)) from error


def _what_is_wrong(error: ValidationError) -> str:
    return " ".join(
        " ".join(messages) if field == "__all__" else f"{field}: {' '.join(messages)}"
        for field, messages in error.message_dict.items()
    )


def list_all(call: Call) -> Answer:
    """List the hosts."""
    call.must_see("host")
    hosts = Host.objects.select_related("site").annotate(
        running=Count(
            "domains", Q(domains__gone_at=None, domains__libvirt_id__isnull=False)
        )
    )
    rows = [
        (host.name, host.site, host.transport, host.running, _answers(host))
        for host in hosts
    ]
    text = table(("HOST", "SITE", "TRANSPORT", "RUNNING", "ANSWERS"), rows)
    records = [host_record(host) | {"running": host.running} for host in hosts]
    return Answer(records, text)


def _answers(host: Host) -> str:
    if not host.enabled:
        return "disabled"
    if host.reachable is None:
        return "not asked yet"
    return "yes" if host.reachable else f"no: {host.error}"


def show(call: Call) -> Answer:
    """Show one host: its pools, and the options of a copy that it lacks."""
    call.must_see("host")
    host = find.host(call.options.host)
    pools = [pool_record(pool) for pool in host.pools.filter(gone_at=None)]
    record = host_record(host) | {"lacks": lacks_record(host)}
    lacks = list(record["lacks"].items())
    rows = [
        (pool["name"], pool["kind"], pool["path"], bytes_text(pool["available"]))
        for pool in pools
    ]
    parts = [
        fields(record | {"lacks": ""}),
        table(("LACKS", "BECAUSE"), lacks) if lacks else "",
        table(("POOL", "KIND", "PATH", "AVAILABLE"), rows),
    ]
    return Answer(record | {"pools": pools}, "\n\n".join(filter(None, parts)))


def sync(call: Call) -> Answer:
    """Ask for a host's inventory; with --wait until it is read."""
    host = find.host(call.options.host)
    actions.sync_host(host, call.actor)
    if not call.options.wait:
        return Answer(host_record(host), f"The inventory of {host} was asked for.")
    fresh = _wait_for_inventory(host, call.options.timeout or SYNC_EXPIRES)
    count = fresh.domains.filter(gone_at=None).count()
    return Answer(
        host_record(fresh) | {"domains": count}, f"{host} has {count} domains."
    )


def _wait_for_inventory(host: Host, timeout: float) -> Host:
    before = (host.synced_at, host.error_at)

    def look() -> Host | None:
        fresh = find.host(host.name)
        return fresh if _told(fresh) not in (before, (before[0], None)) else None

    fresh = wait_until(look, timeout)
    if fresh is None:
        raise _no_answer(host, timeout)
    if fresh.error and fresh.synced_at == before[0]:
        raise Failure(f"{fresh.error} {fresh.error_remedy}", data=host_record(fresh))
    return fresh


def _told(host: Host) -> tuple[datetime | None, datetime | None]:
    return (host.synced_at, host.error_at)


def test(call: Call) -> Answer:
    """Ask a worker to try the address; with --wait until the host answered."""
    host = find.host(call.options.host)
    newest = AuditEntry.objects.first()
    actions.test_host(host, call.actor)
    if not call.options.wait:
        return Answer(host_record(host), f"A try to connect to {host} was asked for.")
    entry = _wait_for_test(
        host, newest.pk if newest else 0, call.options.timeout or TEST_EXPIRES
    )
    fresh = find.host(host.name)
    if entry.outcome != Outcome.DONE:
        raise Failure(f"{entry.detail} {fresh.error_remedy}", data=host_record(fresh))
    return Answer(host_record(fresh), f"{entry.detail}.")


def _wait_for_test(host: Host, after: int, timeout: float) -> AuditEntry:
    answers = AuditEntry.objects.filter(
        pk__gt=after,
        action="test connection",
        object_type=host._meta.verbose_name_raw,
        object_id=str(host.pk),
        outcome__in=(Outcome.DONE, Outcome.FAILED),
    )
    entry = wait_until(answers.first, timeout)
    if entry is None:
        raise _no_answer(host, timeout)
    return entry


def _no_answer(host: Host, timeout: float) -> Failure:
    return Failure(
        f"Nothing came back from {host} within {timeout:g} s. Is a worker running that "
        f"serves the site {host.site}?",
        status=Status.TIMED_OUT,
        data=host_record(host),
    )
