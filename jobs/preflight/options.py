"""Rules about the flags and parameters of virDomainBlockCopy."""

from __future__ import annotations

from jobs.hypervisor import InvalidOption, check_options
from jobs.preflight.case import Case
from jobs.preflight.finding import Finding, passed, stop


def options_make_sense(case: Case) -> Finding:
    """libvirt and QEMU would refuse these, some only after the start."""
    try:
        check_options(case.options)
    except InvalidOption as error:
        return stop(error.text, field=error.field)
    return passed("The options are within libvirt's limits.", field="bandwidth")


def shallow_is_possible(case: Case) -> Finding | None:
    """libvirt refuses a shallow copy into a raw file (error 67)."""
    if not case.options.shallow:
        return None
    if case.destination.format == "raw":
        return stop(
            "A shallow copy needs a format with a backing file.",
            "Choose qcow2, or copy the whole chain.",
            field="shallow",
        )
    if not case.backing:
        return stop(
            f"{case.target} has no backing file to share.",
            "Leave shallow off.",
            field="shallow",
        )
    return passed(f"The copy shares {case.backing[0]}.", field="shallow")
