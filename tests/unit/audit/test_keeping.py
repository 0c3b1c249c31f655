"""The tick writes down where the log ends, tells others, and has it verified daily."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from jobs import keeping, live, tasks
from jobs.audit import checkpoints, last_verification, webhook
from jobs.audit.webhook import NotSent
from jobs.models import AuditEntry
from tests.unit.audit import tampering
from tests.unit.audit.tampering import KEY, append, link
from tests.workers import Workers, workers

__all__ = ["workers"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def file(tmp_path: Path, settings: Any) -> Path:
    path = tmp_path / "checkpoints"
    settings.BLOCKCOPY_AUDIT_CHECKPOINTS = str(path)
    return path


def written(file: Path) -> list[int]:
    return [made.number for _, made in checkpoints.read(file) if made]


def a_minute_later() -> None:
    live.taken_up("audit checkpoint")
    live.taken_up("audit alarm")


def test_the_tick_keeps_the_log(
    workers: Workers, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(2)
    tasks.tick()
    workers.work()
    assert written(file) == [2]
    kept = last_verification()
    assert kept is not None
    assert (kept.intact, kept.entries) == (True, 2)


def test_a_log_without_entries_needs_nothing(workers: Workers, file: Path) -> None:
    keeping.tend()
    assert not file.exists()
    assert not workers.inbox


def test_a_checkpoint_each_minute_if_there_is_something_new(
    workers: Workers, file: Path
) -> None:
    append(2)
    keeping.tend()
    append(2, first=3)
    keeping.tend()
    assert written(file) == [2]
    a_minute_later()
    keeping.tend()
    assert written(file) == [2, 4]
    a_minute_later()
    keeping.tend()
    assert written(file) == [2, 4]


def test_a_checkpoint_at_once_after_many_entries(
    workers: Workers, file: Path, settings: Any
) -> None:
    settings.BLOCKCOPY_AUDIT_CHECKPOINT_ENTRIES = 3
    append(1)
    keeping.tend()
    append(2, first=2)
    keeping.tend()
    assert written(file) == [1]
    append(1, first=4)
    keeping.tend()
    assert written(file) == [1, 4]


def test_a_checkpoint_goes_to_the_log_stream(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    append(2)
    with caplog.at_level(logging.INFO):
        keeping.tend()
    (line,) = [r.getMessage() for r in caplog.records if "checkpoint" in r.getMessage()]
    assert link(2).hash in line


def test_an_emptied_redis_writes_no_checkpoint_twice(
    workers: Workers, file: Path
) -> None:
    append(2)
    keeping.tend()
    live.client().flushall()
    keeping.tend()
    assert written(file) == [2]


@pytest.mark.parametrize("remembered", [True, False])
def test_a_log_that_became_shorter_is_told_at_once(
    workers: Workers,
    file: Path,
    caplog: pytest.LogCaptureFixture,
    remembered: bool,
) -> None:
    """By what Redis remembers, and without it by the file."""
    append(5)
    keeping.tend()
    tampering.remove(5)
    if not remembered:
        live.client().flushall()
    a_minute_later()
    keeping.tend()
    assert keeping.SHORTER in caplog.text
    assert written(file) == [5]


def test_a_file_that_cannot_be_written_stops_nothing(
    workers: Workers, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.BLOCKCOPY_AUDIT_CHECKPOINTS = "/proc/no such place/checkpoints"
    append(1)
    tasks.tick()
    assert "checkpoint not written" in caplog.text


def test_a_key_signs_an_entry_of_its_own_at_once(
    workers: Workers, settings: Any
) -> None:
    append(2)
    settings.BLOCKCOPY_AUDIT_KEY = KEY
    keeping.tend()
    keeping.tend()
    entry = AuditEntry.objects.get(number=3)
    assert (entry.action, bool(entry.mac)) == ("sign audit log", True)
    assert AuditEntry.objects.count() == 3
    keeping.verify()
    kept = last_verification()
    assert kept is not None
    assert kept.intact


def test_a_broken_log_is_loud(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    append(3)
    tampering.edit(2, detail="another")
    keeping.tend()
    workers.work()
    assert "not whole" in caplog.text
    assert "Entry 2" in caplog.text


# --- The web address ------------------------------------------------------------------


class Receiver(BaseHTTPRequestHandler):
    """Takes what is posted; `answers` are the statuses to give, in turn."""

    answers: list[int] = []
    taken: list[tuple[str, dict[str, Any]]] = []

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(size))
        status = self.answers.pop(0) if self.answers else 204
        if status == 204:
            self.taken.append((self.path, body))
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def receiver(settings: Any) -> Iterator[type[Receiver]]:
    """A web server whose address is in the settings."""
    kind = type("Own", (Receiver,), {"answers": [], "taken": []})
    server = HTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    settings.BLOCKCOPY_AUDIT_WEBHOOK = (
        f"http://127.0.0.1:{server.server_port}/audit?from=here"
    )
    yield kind
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_checkpoint_is_posted(workers: Workers, receiver: type[Receiver]) -> None:
    append(2)
    keeping.tend()
    workers.work()
    ((path, body),) = receiver.taken
    assert path == "/audit?from=here"
    assert (body["number"], body["hash"]) == (2, link(2).hash)


@pytest.mark.parametrize("status", [301, 302, 400, 500, 503])
def test_what_is_not_taken_is_an_error(receiver: type[Receiver], status: int) -> None:
    receiver.answers.append(status)
    with pytest.raises(NotSent, match=str(status)):
        keeping.post("{}")
    assert not receiver.taken


def test_the_task_tries_again(receiver: type[Receiver]) -> None:
    receiver.answers += [503, 500]
    tasks.post_checkpoint.apply(args=('{"number": 1}',))
    assert [body["number"] for _, body in receiver.taken] == [1]


@contextmanager
def deaf(settings: Any, say: bytes = b"") -> Iterator[None]:
    """A server that takes connections and at most begins an answer, byte by byte."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.BLOCKCOPY_AUDIT_WEBHOOK = f"http://127.0.0.1:{server.getsockname()[1]}"
        thread = threading.Thread(target=_drip, args=(server, say), daemon=True)
        thread.start()
        yield
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def _drip(server: socket.socket, say: bytes) -> None:
    try:
        client, _ = server.accept()
        with client:
            for byte in say:
                client.send(bytes([byte]))
                time.sleep(0.05)
            client.recv(1)
            time.sleep(2)
    except OSError:
        return


@pytest.mark.parametrize(
    "say", [b"", b"HTTP/1.1 " + b"2" * 1000, b"HTTP/1.1 503 No\r\n" + b"x" * 1000]
)
def test_nobody_holds_us_for_long(
    settings: Any, monkeypatch: pytest.MonkeyPatch, say: bytes
) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT", 0.5)
    monkeypatch.setattr(webhook, "DEADLINE", 1.0)
    begin = time.monotonic()
    with deaf(settings, say), pytest.raises(NotSent):
        keeping.post("{}")
    assert time.monotonic() - begin < 4


def test_nobody_there_is_an_error(settings: Any) -> None:
    settings.BLOCKCOPY_AUDIT_WEBHOOK = "http://127.0.0.1:9/"
    with pytest.raises(NotSent):
        keeping.post("{}")
