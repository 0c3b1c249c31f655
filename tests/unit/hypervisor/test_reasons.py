"""QEMU's words: heard, remembered for a moment, and understood."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import libvirt
import libvirt_qemu
import pytest

from jobs.hypervisor import reasons
from jobs.hypervisor.reasons import KNOWN, UNKNOWN, Reason, Words, meaning

WEB, SHOP = "6f9619ff-8b86-4011-b42d-00cf4fc964ff", "another"


def details(error: str = "No space left on device", disk: str = "vda") -> str:
    device = f"copy-{disk}-libvirt-1-format"
    return json.dumps({"device": device, "type": "mirror", "error": error})


def test_what_was_said_is_told_once() -> None:
    words = Words()
    words.hear(WEB, "BLOCK_JOB_COMPLETED", details())
    assert words.take(WEB, "vdb") == ""
    assert words.take(SHOP, "vda") == ""
    assert words.take(WEB, "vda") == "No space left on device"
    assert words.take(WEB, "vda") == ""


def test_a_source_that_could_not_be_read() -> None:
    words = Words()
    failed = json.dumps({"device": "copy-vda-libvirt-1-format", "operation": "read"})
    words.hear(WEB, "BLOCK_JOB_ERROR", failed)
    words.hear(WEB, "BLOCK_JOB_COMPLETED", details("Input/output error"))
    said = words.take(WEB, "vda")
    assert said == "Input/output error (while reading the source)"
    assert "source could not be read" in meaning(said).cause


def test_the_newest_word_counts() -> None:
    words = Words()
    words.hear(WEB, "BLOCK_JOB_COMPLETED", details("first"))
    words.hear(WEB, "BLOCK_JOB_COMPLETED", details("second"))
    assert words.take(WEB, "vda") == "second"


def test_old_words_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """They belong to a copy whose end was told while nobody asked."""
    words = Words()
    words.hear(WEB, "BLOCK_JOB_COMPLETED", details())
    late = time.monotonic() + reasons.REMEMBERED_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: late)
    assert words.take(WEB, "vda") == ""


@pytest.mark.parametrize(
    "told",
    [
        "not JSON",
        "[]",
        "{}",
        '{"device": null, "error": "x"}',
        '{"device": "drive-virtio-disk0", "error": "x"}',
        '{"device": "commit-vda-libvirt-1-format", "error": "x"}',
        '{"device": "copy-vda-libvirt-1-format"}',
    ],
)
def test_what_is_no_failed_copy_says_nothing(told: str) -> None:
    words = Words()
    words.hear(WEB, "BLOCK_JOB_COMPLETED", told)
    assert words.take(WEB, "vda") == ""


@pytest.mark.parametrize(
    "device",
    [
        "copy-vda-libvirt-1-format",
        "copy-vda-libvirt-12-storage",
    ],
)
def test_libvirts_names_of_jobs(device: str) -> None:
    words = Words()
    words.hear(WEB, "BLOCK_JOB_COMPLETED", json.dumps({"device": device, "error": "x"}))
    assert words.take(WEB, "vda") == "x"


# --- Registering ---------------------------------------------------------------------


class Connection(libvirt.virConnect):
    def __init__(self, kind: str) -> None:
        self._o = None
        self.kind = kind

    def getType(self) -> str:
        return self.kind


def test_no_qemu_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libvirt_qemu, "qemuMonitorEventRegister", pytest.fail)
    assert reasons.register(Connection("Xen"), "xen:///", print) == []


def test_a_host_that_does_not_allow_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> int:
        raise libvirt.libvirtError("access denied")

    said: list[str] = []
    monkeypatch.setattr(reasons, "_without", set())
    monkeypatch.setattr(reasons.log, "warning", lambda what, **_: said.append(what))
    monkeypatch.setattr(libvirt_qemu, "qemuMonitorEventRegister", refuse)
    for _ in range(2):
        assert reasons.register(Connection("QEMU"), "qemu:///a", print) == []
    assert len(said) == 1


# --- Understanding -------------------------------------------------------------------


@pytest.mark.parametrize("known", KNOWN, ids=str)
def test_each_reason_is_the_one_for_its_examples(known: Reason) -> None:
    assert known.said
    for text in known.said:
        assert meaning(text, network=known.network) is known
    assert re.search(r"[^.]\Z", known.cause)
    assert known.remedy.endswith(".")


def test_the_same_words_of_a_server_mean_something_else() -> None:
    assert "server" not in meaning("Input/output error").cause
    assert "server" in meaning("Input/output error", network=True).cause
    full = "No space left on device"
    assert meaning(full) is meaning(full, network=True)


def test_words_that_nobody_knows_are_kept_without_a_guess() -> None:
    assert meaning("Quux") is UNKNOWN
