"""An audit log of what never happened, chained as a real one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from jobs.audit import guard
from jobs.audit.chain import VERSION, Link, sealed
from jobs.audit.sealing import keyring
from jobs.made_up.copies import SPAN, Told
from jobs.made_up.loading import Row, load
from jobs.made_up.people import Person
from jobs.models import AuditEntry

_O = AuditEntry.Outcome


def write(
    told: Sequence[Told], persons: Sequence[Person], count: int, now: datetime
) -> None:
    """Write so many entries, with their places in the chain and signed as all are.

    The log must be empty. The guard takes entries without a place only, and gives the
    places one by one, which would take an hour: so it goes for this transaction, in
    which nobody else can write, and stands again before its end.
    """
    guard.remove(connection)
    load(AuditEntry, _chained(_entries(told, persons, count, now)))
    guard.install(connection)


def _chained(entries: Iterator[dict[str, Any]]) -> Iterator[Row]:
    last, keys = None, keyring()
    for values in entries:
        entry = sealed(values, last, keys)
        place = entry.content
        last = Link(place["number"], entry.hash, keys.current)
        yield {
            **values,
            "version": VERSION,
            "number": place["number"],
            "previous": place["previous"],
            "key": place["key"],
            "hash": entry.hash,
            "mac": entry.mac,
        }


def _entries(
    told: Sequence[Told], persons: Sequence[Person], count: int, now: datetime
) -> Iterator[dict[str, Any]]:
    """Yield what people did to the copies at about that time, and between it what they
    do all day."""
    begin, jobs, step = now - SPAN, len(told), -1
    current = -1
    for number in range(1, count + 1):
        which = (number - 1) * jobs // count if jobs else -1
        step = step + 1 if which == current else 0
        current = which
        person = persons[number * 7 % len(persons)]
        acts = _acts(told[which]) if jobs else []
        what = acts[step] if step < len(acts) else _daily(number, person)
        name = what.pop("by", person.name)
        yield {
            "id": number,
            "time": begin + SPAN * (number / count),
            "actor": name,
            "actor_id": None if name == "system" else person.pk,
            "channel": "system" if name == "system" else "console",
            "address": None if name == "system" else f"192.0.2.{number % 250}",
            "request_id": "" if name == "system" else f"made-up-{number:012}",
            "object_type": "",
            "object_id": "",
            "object_text": "",
            "intent": "",
            "reason": "",
            "detail": "",
            **what,
        }


def _daily(number: int, person: Person) -> dict[str, Any]:
    about = {"object_type": "user", "object_id": str(person.pk)}
    about["object_text"] = person.name
    if number % 23 == 0:
        detail = "The name or the password was wrong."
        return {"action": "sign in", "outcome": _O.REFUSED, "detail": detail, **about}
    if number % 3 == 0:
        return {"action": "sign out", "outcome": _O.DONE, **about}
    return {"action": "sign in", "outcome": _O.DONE, **about}


def _acts(job: Told) -> list[dict[str, Any]]:
    """Return the entries of one copy."""
    about = {
        "object_type": "copy job",
        "object_id": str(job.pk),
        "object_text": job.text,
    }
    asked = {"by": job.person, "action": "request", "outcome": _O.ASKED}
    acts = [{**asked, "intent": job.intent, "reason": job.reason, **about}]
    if job.started:
        acts.append({"by": "system", "action": "start", "outcome": _O.DONE, **about})
    if job.verb:
        ask = {"by": job.person, "action": job.verb, "outcome": _O.ASKED}
        acts.append({**ask, "reason": job.reason, "intent": job.intent, **about})
    if job.outcome:
        end = {"by": "system", "action": job.verb or "copy", "outcome": job.outcome}
        acts.append({**end, "detail": job.detail, **about})
    return acts
