"""What libvirt says of storage pools, volumes and secrets."""

from __future__ import annotations

from jobs.hypervisor.error_table.row import (
    INVALID_SECRET,
    NO_SECRET,
    NO_STORAGE_POOL,
    NO_STORAGE_VOL,
    NO_SUPPORT,
    OPERATION_FAILED,
    OPERATION_INVALID,
    Row,
    Section,
)
from jobs.hypervisor.errors import (
    DestinationUnusable,
    Refused,
)
from jobs.said import say

_READ_AGAIN = say("Read the host's inventory again and choose one that it has.")
STORAGE = Section(
    "Storage pools, volumes and secrets",
    (
        Row(
            (NO_STORAGE_POOL,),
            "",
            DestinationUnusable,
            "Storage pool not found: no storage pool with matching name 'fast'",
            say("The host has no such storage pool."),
            _READ_AGAIN,
        ),
        Row(
            (NO_STORAGE_VOL,),
            "",
            DestinationUnusable,
            "Storage volume not found: no storage vol with matching name 'web.qcow2'",
            say("The storage pool has no such volume."),
            say("It may have been removed or renamed; look at the pool on the host."),
        ),
        Row(
            (OPERATION_INVALID,),
            r"storage pool '.*' is not active",
            DestinationUnusable,
            "Requested operation is not valid: storage pool 'fast' is not active",
            say("The storage pool is not active."),
            say("Start the pool on the host (virsh pool-start)."),
        ),
        Row(
            (),
            r"asynchronous jobs running|is still being allocated"
            r"|volume .* still in use|being built",
            DestinationUnusable,
            "internal error: pool 'fast' has asynchronous jobs running.",
            say("The storage pool is busy with this volume or another one."),
            say("Wait a moment and try again."),
            retryable=True,
        ),
        Row(
            (NO_SUPPORT,),
            r"pool does not support",
            DestinationUnusable,
            "this function is not supported by the connection driver: storage pool "
            "does not support volume creation",
            say("A pool of this kind cannot do that with its volumes."),
            say("Choose a directory, file system or logical pool."),
        ),
        Row(
            (),
            r"inaccessible backing store",
            DestinationUnusable,
            "inaccessible backing store volume /none/x: No such file or directory",
            say(
                "The disk's backing file cannot be read where the volume is to be made."
            ),
            say("Copy the whole chain instead of a shallow copy."),
        ),
        Row(
            (OPERATION_FAILED,),
            r"pool.*already exists|conflict with pool",
            Refused,
            "operation failed: Storage source conflict with pool: 'images'",
            say("Another storage pool covers that directory already."),
            say("Use that pool, or refresh it on the host (virsh pool-refresh)."),
        ),
        Row(
            (NO_SECRET, INVALID_SECRET),
            r"does not have a value",
            DestinationUnusable,
            "Secret not found: secret 'e1e2…' does not have a value",
            say("The secret that the destination needs has no value on the host."),
            say("Set it there with virsh secret-set-value."),
        ),
        Row(
            (NO_SECRET, INVALID_SECRET),
            "",
            DestinationUnusable,
            "Secret not found: no secret with matching uuid 'e1e2…'",
            say("The host has no such secret."),
            say(
                "Define it on the host (virsh secret-define), or refer to another one."
            ),
        ),
    ),
)
