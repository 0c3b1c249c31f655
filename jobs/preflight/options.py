"""Rules about flags and parameters, limits, secrets and a guest-consistent end."""

from __future__ import annotations

from dataclasses import fields

from jobs.hypervisor import (
    CopyOptions,
    Evidence,
    InvalidOption,
    check_options,
    check_together,
    option_support,
)
from jobs.lifecycle import WhenReady
from jobs.models.job import AtLimit
from jobs.preflight.case import DEVICE_POOLS, Case
from jobs.preflight.finding import Finding, notice, passed, stop, warn
from jobs.said import say
from jobs.units import bandwidth_text, bytes_text

MIB = 2**20
# QEMU's own; a copy moves in steps of this size.
DEFAULT_BUFFER = 16 * MIB
SMALLEST_BUFFER = MIB // 16
# A limit of so many steps can be told from a copy that stands still.
STEPS = 2


def options_make_sense(case: Case) -> Finding:
    """libvirt and QEMU would refuse these, some only after the start."""
    try:
        check_options(case.options)
        check_together(case.destination, case.options)
    except InvalidOption as error:
        return stop(error.text, error.remedy, field=error.field)
    return passed(say("The options are within libvirt's limits."), field="bandwidth")


def options_are_supported(case: Case) -> Finding | None:
    """An option that the host lacks is refused, or worse, not known."""
    if case.host_facts is None:
        return None
    support = option_support(case.host_facts)
    for option in fields(CopyOptions):
        name, wanted = option.name, getattr(case.options, option.name)
        if wanted and support[name]:
            return stop(
                say(
                    "%(host)s does not have %(option)s. %(support)s",
                    host=case.host,
                    option=name.replace("_", " "),
                    support=support[name],
                ),
                say("Leave it off, or update the host."),
                field=name,
            )
    return passed(
        say("%(host)s has every option that is asked for.", host=case.host),
        field="bandwidth",
    )


def zeroed_only_if_created(case: Case) -> Finding | None:
    """A destination called zeroed that is not would be corrupt, silently.

    What check_together refuses is told with the other options.
    """
    wanted = case.destination
    if not case.options.target_zeroed or wanted.kind != "volume":
        return None
    if wanted.format == "raw" and case.pool_kind in DEVICE_POOLS:
        return stop(
            say(
                "A new volume of %(pool)s holds what its last owner left there.",
                pool=wanted.pool,
            ),
            say("Leave “destination is zeroed” off."),
            field="target_zeroed",
        )
    return passed(say("The volume is new, and so it is zeroed."), field="target_zeroed")


def secrets_exist(case: Case, evidence: Evidence) -> Finding | None:
    """libvirt refuses a secret that it does not have (error 66)."""
    wanted = case.destination
    if wanted.auth is None and wanted.encryption is None:
        return None
    missing = evidence.missing_secrets
    if not missing:
        return passed(
            say("%(host)s has the secrets that are named.", host=case.host),
            field="auth",
        )
    encrypts = wanted.encryption is not None and (
        {wanted.encryption.uuid, wanted.encryption.usage} & {*missing}
    )
    return stop(
        say(
            "%(host)s has no libvirt secret %(names)s.",
            host=case.host,
            names=", ".join(missing),
        ),
        say("Define it on the host with virsh secret-define and secret-set-value."),
        field="encryption" if encrypts else "auth",
    )


def buffer_fits_bandwidth(case: Case) -> Finding | None:
    """With the default buf-size a slow copy jumps by 16 MiB and looks hung."""
    bandwidth, buffer = case.options.bandwidth, case.options.buf_size
    if bandwidth <= 0 or buffer or bandwidth >= DEFAULT_BUFFER:
        return None
    seconds = DEFAULT_BUFFER / bandwidth
    return notice(
        say(
            "At %(bandwidth)s progress jumps by %(buffer)s each %(seconds).0f seconds.",
            bandwidth=bandwidth_text(bandwidth),
            buffer=bytes_text(DEFAULT_BUFFER),
            seconds=seconds,
        ),
        say(
            "A buf-size of %(buffer)s makes it smooth.",
            buffer=bytes_text(fitting_buffer(bandwidth)),
        ),
        field="buf_size",
    )


def fitting_buffer(bandwidth: int) -> int:
    """The power of two of which a copy does some two a second, 64 KiB to 16 MiB."""
    half = max(1, bandwidth // 2)
    fitting = 1 << (half.bit_length() - 1)
    return min(DEFAULT_BUFFER, max(SMALLEST_BUFFER, fitting))


def limits_make_sense(case: Case) -> Finding | None:
    """A limit must not be reached by a copy that does what was asked of it."""
    stall, total = case.request.stall_limit, case.request.total_limit
    if stall < 0 or total < 0:
        name = "stall_limit" if stall < 0 else "total_limit"
        return stop(
            say("A limit can't be negative."), say("0 is no limit."), field=name
        )
    if not stall and not total:
        return None
    if stall and total and stall >= total:
        return warn(
            say(
                "The stall limit of %(stall)s s can't be reached before the "
                "total limit of %(total)s s.",
                stall=stall,
                total=total,
            ),
            say("Choose a shorter stall limit."),
            field="stall_limit",
        )
    return _against_bandwidth(case, stall, total) or passed(
        say("The limits leave room for a copy that works."), field="stall_limit"
    )


def _against_bandwidth(case: Case, stall: int, total: int) -> Finding | None:
    bandwidth = case.options.bandwidth
    if bandwidth <= 0:
        return None
    cancelled = case.request.at_limit == AtLimit.CANCEL
    then = say("cancelled") if cancelled else say("flagged")
    step = (case.options.buf_size or DEFAULT_BUFFER) / bandwidth
    if stall and stall < STEPS * step:
        return warn(
            say(
                "At %(bandwidth)s a step takes %(step).0f s: a stall limit of "
                "%(stall)s s would have a working copy %(then)s.",
                bandwidth=bandwidth_text(bandwidth),
                step=step,
                stall=stall,
                then=then,
            ),
            say("Choose a smaller buf-size, or a longer limit."),
            field="stall_limit",
        )
    needed = (case.capacity or 0) / bandwidth
    if total and needed > total:
        return warn(
            say(
                "At %(bandwidth)s the %(capacity)s of %(target)s take up to "
                "%(needed).0f s: with a total limit of %(total)s s the copy would "
                "be %(then)s.",
                bandwidth=bandwidth_text(bandwidth),
                capacity=bytes_text(case.capacity),
                target=case.target,
                needed=needed,
                total=total,
                then=then,
            ),
            say("Choose a higher bandwidth, or a longer limit."),
            field="total_limit",
        )
    return None


def consistent_only_if_finished(case: Case) -> Finding | None:
    """The guest's file systems are frozen for the moment in which a mirror ends."""
    if not case.request.consistent:
        return None
    if case.request.when_ready != WhenReady.FINISH:
        return stop(
            say("A guest-consistent copy is one that is finished when it is ready."),
            say("Choose to finish it, or leave consistent off."),
            field="consistent",
        )
    return passed(say("The copy is finished guest-consistently."), field="consistent")


def agent_answers(case: Case, evidence: Evidence) -> Finding | None:
    """Without the agent nobody can freeze the guest's file systems."""
    if not case.request.consistent:
        return None
    if evidence.agent:
        return passed(
            say("The agent of %(guest)s is connected.", guest=case.guest),
            field="consistent",
        )
    return warn(
        say(
            "No guest agent answers in %(guest)s: the copy will be "
            "crash-consistent, as after a power cut.",
            guest=case.guest,
        ),
        say("Install and start qemu-guest-agent in the guest."),
        field="consistent",
    )
