"""`blockcopy audit verify` and `export`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from jobs import audit
from jobs.actor import SYSTEM
from jobs.audit import checkpoints
from jobs.audit.chain import Keyring
from jobs.audit.checkpoints import checkpoint
from jobs.models import AuditVerification, Host
from tests.cli.conftest import Run
from tests.conftest import actor_of
from tests.unit.audit import tampering
from tests.unit.audit.tampering import append, link

pytestmark = pytest.mark.django_db(transaction=True)


# --- Verify ---------------------------------------------------------------------------


def test_a_whole_log(blockcopy: Run) -> None:
    append(3)
    done = blockcopy("audit", "verify", "--json")
    assert done.status == 0
    found = done.json
    assert found["intact"]
    assert (found["entries"], found["first"], found["newest"]) == (3, 1, 3)
    assert found["hash"] == link(3).hash
    assert found["first_bad"] is None
    assert "whole" in blockcopy("audit", "verify").out
    assert AuditVerification.objects.count() == 2


def test_an_empty_log_is_whole(blockcopy: Run) -> None:
    assert blockcopy("audit", "verify").status == 0


def test_a_broken_log_is_a_failure_that_names_the_entry(blockcopy: Run) -> None:
    append(3)
    tampering.edit(2, detail="another")
    done = blockcopy("audit", "verify", "--json")
    assert done.status == 1
    assert not done.json["intact"]
    assert done.json["first_bad"]["number"] == 2
    assert done.json["first_bad"]["what"] == "edited"
    assert "Entry 2 is the first bad one" in done.json["error"]
    done = blockcopy("audit", "verify")
    assert done.status == 1
    assert "Entry 2" in done.err
    assert "NOT WHOLE" in done.out


def test_checkpoints_are_read(blockcopy: Run, settings: Any, tmp_path: Path) -> None:
    file = tmp_path / "checkpoints"
    settings.BLOCKCOPY_AUDIT_CHECKPOINTS = str(file)
    append(3)
    checkpoints.append(file, checkpoint(link(3), Keyring({})))
    assert blockcopy("audit", "verify", "--json").json["checked_to"] == 3
    tampering.remove(3)
    done = blockcopy("audit", "verify", "--json")
    assert (done.status, done.json["first_bad"]["what"]) == (1, "cut off")


@pytest.mark.parametrize("act", ["verify", "export"])
def test_an_outsider_sees_nothing(blockcopy: Run, otto: User, act: str) -> None:
    append(1)
    done = blockcopy("audit", act, "--as", "otto")
    assert done.status == 1
    assert "role of otto" in done.err
    assert "act 1" not in done.out


# --- Export ---------------------------------------------------------------------------


def test_an_export_goes_to_standard_output(blockcopy: Run) -> None:
    append(3)
    done = blockcopy("audit", "export")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert done.status == 0
    assert [line["action"] for line in lines[:-1]] == ["act 1", "act 2", "act 3"]
    assert lines[-1]["end"]["entries"] == 3


def test_a_comma_separated_export(blockcopy: Run) -> None:
    append(2)
    head, *rows = blockcopy("audit", "export", "--format", "csv").out.splitlines()
    assert head.startswith("number,time,actor")
    assert len(rows) == 2


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_to_a_file_verifies(
    blockcopy: Run, tmp_path: Path, form: str
) -> None:
    append(3)
    path = tmp_path / "export"
    done = blockcopy("audit", "export", "--format", form, "-o", path, "--json")
    assert done.json["entries"] == 3
    assert os.listdir(tmp_path) == ["export"]
    assert path.stat().st_mode & 0o077 == 0
    assert blockcopy("audit", "verify", "--file", path).status == 0
    path.write_text(path.read_text().replace("act 2", "another"))
    done = blockcopy("audit", "verify", "--file", path, "--json")
    assert (done.status, done.json["first_bad"]["number"]) == (1, 2)


def test_an_export_that_fails_leaves_the_old_one(
    blockcopy: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "export"
    path.write_text("the old one")
    monkeypatch.setattr(
        "jobs.audit.exports.write",
        lambda *_: (_ for _ in ()).throw(OSError(28, "full")),
    )
    done = blockcopy("audit", "export", "-o", path)
    assert (done.status, path.read_text()) == (1, "the old one")
    assert "full" in done.err
    assert os.listdir(tmp_path) == ["export"]


def test_filters(blockcopy: Run, olga: User, host: Host, time_machine: Any) -> None:
    for day in (1, 2, 3):
        time_machine.move_to(f"2027-03-0{day}T12:00:00+00:00", tick=False)
        audit.record(SYSTEM, "sync", host, audit.Outcome.DONE)
        audit.record(actor_of(olga), "look", host, audit.Outcome.REFUSED)

    def exported(*words: str) -> list[int]:
        out = blockcopy("audit", "export", *words).out
        return [json.loads(line)["number"] for line in out.splitlines()[:-1]]

    assert exported("--actor", "olga") == [2, 4, 6]
    assert exported("--outcome", "done", "--since", "2027-03-02") == [3, 5]
    assert exported("--until", "2027-03-02T13:00+01:00") == [1, 2]
    assert exported("--until", "2027-03-02T13:00+00:00") == [1, 2, 3, 4]
    assert exported("--action", "nothing") == []

    audit.record(SYSTEM, "sign out", None, audit.Outcome.DONE)
    audit.record(SYSTEM, "sign in", None, audit.Outcome.REFUSED)
    assert exported("--actor", "system", "--without", "sign-ins") == [1, 3, 5, 8]
    end = blockcopy("audit", "export", "--without", "sign-ins").out.splitlines()[-1]
    assert json.loads(end)["end"]["filters"] == {"without": "sign-ins"}
    listed = blockcopy(
        "audit", "list", "--without", "sign-ins", "--limit", "1", "--json"
    )
    assert [entry["action"] for entry in listed.json] == ["sign in"]


@pytest.mark.parametrize("time", ["yesterday", "2027-13-01", ""])
def test_what_is_no_time(blockcopy: Run, time: str) -> None:
    done = blockcopy("audit", "export", "--since", time)
    assert done.status == 2
    assert "is no time" in done.err


def test_what_is_no_export(blockcopy: Run, tmp_path: Path) -> None:
    path = tmp_path / "letter"
    path.write_text("Dear Olga,")
    done = blockcopy("audit", "verify", "--file", path)
    assert (done.status, done.out) == (1, "")
    assert "is no export" in done.err


def test_an_export_verifies_where_there_is_no_database(
    blockcopy: Run, tmp_path: Path
) -> None:
    append(3)
    path = tmp_path / "export"
    blockcopy("audit", "export", "-o", path)
    environment = {
        **os.environ,
        "SECRET_KEY": "another machine's",
        "DATABASE_URL": "postgres://nobody@192.0.2.1:1/nothing",
        "DJANGO_SETTINGS_MODULE": "blockcopy_web.settings",
    }
    command = [sys.executable, "manage.py", "blockcopy", "audit", "verify"]
    done = subprocess.run(
        [*command, "--file", str(path), "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["entries"] == 3


def test_a_reader_that_goes_away(blockcopy: Run, tmp_path: Path) -> None:
    """`… export | head` ends in a sentence and not in a traceback."""
    append(1)
    read, write = os.pipe()
    os.close(read)
    program = (
        "import django; django.setup()\n"
        "from jobs.commandline import log\n"
        "from jobs.commandline.answer import Failure\n"
        "try:\n"
        "    with log._target(None) as out: out.write('x' * 100_000)\n"
        "except Failure as error: raise SystemExit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(write)
    assert done.stderr.strip() == "Whoever read the export went away."
