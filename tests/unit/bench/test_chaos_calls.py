"""Calls are read out of a daemon's log as libvirt writes it."""

from __future__ import annotations

from pathlib import Path

from bench.chaos.calls import read_calls

LOG = """\
2026-11-23 04:53:58.082+0000: 23: info : libvirt version: 9.0.0
2026-11-23 04:54:02.446+0000: 10: debug : virDomainBlockCopy:11076 : dom=0x7f5f, \
(VM: name=web, uuid=4f4785e4-60c5-4ce4-ac4d-a49631961a5f), disk=vda, \
destxml=<disk type='file'>
  <source file='/images/c.qcow2'/>
  <driver type='qcow2'/>
</disk>
, params=0x7f, nparams=0, flags=0x4
2026-11-23 04:54:02.500+0000: 10: debug : virDomainGetXMLDesc:2579 : dom=0x7f5f, \
(VM: name=web, uuid=4f4785e4-60c5-4ce4-ac4d-a49631961a5f), flags=0x0
2026-11-23 04:54:03.633+0000: 10: debug : virDomainBlockJobSetSpeed:10719 : \
dom=0x7f5f, (VM: name=web, uuid=4f4785e4-60c5-4ce4-ac4d-a49631961a5f), disk=vda, \
bandwidth=5, flags=0x0
2026-11-23 04:54:03.663+0000: 10: debug : virDomainBlockJobAbort:10575 : dom=0x7f5f, \
(VM: name=web, uuid=4f4785e4-60c5-4ce4-ac4d-a49631961a5f), disk=vda, flags=0x3
2026-11-23 04:54:04.663+0000: 10: debug : virDomainBlockJobAbort:10575 : dom=0x7f5f, \
(VM: name=web, uuid=4f4785e4-60c5-4ce4-ac4d-a49631961a5f), disk=vdb, flags=0x1
2026-11-23 04:54:05.000+0000: 10: debug : virDomainDestroy:500 : dom=0x7f5f, \
(VM: name=web, uuid=4f4785e4-60c5-4ce4-ac4d-a49631961a5f)
"""


def test_what_changes_something_is_read(tmp_path: Path) -> None:
    log = tmp_path / "calls.log"
    log.write_text(LOG)
    calls = read_calls(log)
    assert [(call.verb, call.disk) for call in calls] == [
        ("copy", "vda"),
        ("speed", "vda"),
        ("pivot", "vda"),
        ("end", "vdb"),
        ("destroy", ""),
    ]
    assert calls[0].destination == "/images/c.qcow2"
    assert {call.domain for call in calls} == {"web"}
    assert round(calls[1].at - calls[0].at, 3) == 1.187


def test_a_network_destination_is_one_text(tmp_path: Path) -> None:
    begin, end = LOG.index("<disk"), LOG.index("</disk>")
    xml = (
        "<disk type='network'><source protocol='nbd' name='disk'>"
        "<host name='127.0.0.1' port='10809'/></source>"
    )
    log = tmp_path / "calls.log"
    log.write_text(LOG[:begin] + xml + LOG[end:])
    assert read_calls(log)[0].destination == "nbd://127.0.0.1:10809/disk"
