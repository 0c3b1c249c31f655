"""Refusals because of flags, parameters, limits and secrets."""

from __future__ import annotations

from dataclasses import replace

from jobs.hypervisor import Destination, Secret
from jobs.models.job import AtLimit
from jobs.preflight import CopyRequest, Level
from tests.integration.matrix.scene import SIZE, Row, Scene, refused, refused_at_once

ROWS: list[Row] = []


@refused_at_once(ROWS, "options_make_sense", "The granularity must be a power of two.")
def granularity_of_no_power(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("new.qcow2"), granularity=3000)


@refused_at_once(ROWS, "options_make_sense", "between 512 bytes and 64 MiB")
def granularity_too_small(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("new.qcow2"), granularity=256)


@refused_at_once(ROWS, "options_make_sense", "between 512 bytes and 64 MiB")
def granularity_too_large(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("new.qcow2"), granularity=2**27)


@refused_at_once(ROWS, "options_make_sense", "bandwidth")
def bandwidth_too_large(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("new.qcow2"), bandwidth=2**63)


@refused_at_once(ROWS, "options_make_sense", "bandwidth")
def bandwidth_below_nothing(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("new.qcow2"), bandwidth=-1)


@refused_at_once(ROWS, "options_make_sense", "buf")
def buffer_too_large(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("new.qcow2"), buf_size=2**63)


@refused_at_once(ROWS, "options_are_supported", "libvirt 12.2.0")
def zeroed_on_an_old_host(scene: Scene) -> CopyRequest:
    place = Destination("volume", pool="images", volume="new.qcow2")
    return scene.wants_to(place, target_zeroed=True)


@refused_at_once(ROWS, "options_make_sense", "Only a new volume is known to be zeroed")
def zeroed_and_not_created_here(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("new.qcow2"), target_zeroed=True)


@refused_at_once(ROWS, "shallow_is_possible", "needs a format with a backing file")
def shallow_to_raw(scene: Scene) -> CopyRequest:
    return scene.wants(scene.path("new.raw"), "raw", shallow=True)


@refused_at_once(ROWS, "shallow_is_possible", "vda has no backing file to share.")
def shallow_without_a_chain(scene: Scene) -> CopyRequest:
    disk = scene.disk("files")
    return scene.wants(scene.path("new.qcow2"), disk=disk, shallow=True)


@refused_at_once(ROWS, "limits_make_sense", "A limit can't be negative.")
def a_negative_limit(scene: Scene) -> CopyRequest:
    return replace(scene.wants(scene.path("new.qcow2")), stall_limit=-1)


@refused(ROWS, "limits_make_sense", "before the total limit of 60 s", Level.WARN)
def a_stall_limit_beyond_the_total(scene: Scene) -> CopyRequest:
    wanted = scene.wants(scene.path("new.qcow2"))
    return replace(wanted, stall_limit=60, total_limit=60)


@refused(ROWS, "limits_make_sense", "would have a working copy cancelled", Level.WARN)
def a_stall_limit_shorter_than_a_step(scene: Scene) -> CopyRequest:
    wanted = scene.wants(scene.path("new.qcow2"), bandwidth=2**20)
    return replace(wanted, stall_limit=10, at_limit=AtLimit.CANCEL)


@refused(ROWS, "limits_make_sense", "take up to 128 s", Level.WARN)
def a_total_limit_that_bandwidth_breaks(scene: Scene) -> CopyRequest:
    wanted = scene.wants(scene.path("new.qcow2"), bandwidth=SIZE // 128, buf_size=2**16)
    return replace(wanted, total_limit=60)


@refused(ROWS, "secrets_exist", "alder has no libvirt secret no such secret")
def a_secret_that_is_not_there(scene: Scene) -> CopyRequest:
    place = Destination(
        "file",
        str(scene.path("new.qcow2")),
        encryption=Secret(usage="no such secret"),
    )
    return scene.wants_to(place)
