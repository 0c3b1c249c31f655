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

_READ_AGAIN = "Read the host's inventory again and choose one that it has."
STORAGE = Section(
    "Storage pools, volumes and secrets",
    (
        Row(
            (NO_STORAGE_POOL,),
            "",
            DestinationUnusable,
            "Storage pool not found: no storage pool with matching name 'fast'",
            "The host has no such storage pool.",
            _READ_AGAIN,
        ),
        Row(
            (NO_STORAGE_VOL,),
            "",
            DestinationUnusable,
            "Storage volume not found: no storage vol with matching name 'web.qcow2'",
            "The storage pool has no such volume.",
            "It may have been removed or renamed; look at the pool on the host.",
        ),
        Row(
            (OPERATION_INVALID,),
            r"storage pool '.*' is not active",
            DestinationUnusable,
            "Requested operation is not valid: storage pool 'fast' is not active",
            "The storage pool is not active.",
            "Start the pool on the host (virsh pool-start).",
        ),
        Row(
            (),
            r"asynchronous jobs running|is still being allocated"
            r"|volume .* still in use|being built",
            DestinationUnusable,
            "internal error: pool 'fast' has asynchronous jobs running.",
            "The storage pool is busy with this volume or another one.",
            "Wait a moment and try again.",
            retryable=True,
        ),
        Row(
            (NO_SUPPORT,),
            r"pool does not support",
            DestinationUnusable,
            "this function is not supported by the connection driver: storage pool "
            "does not support volume creation",
            "A pool of this kind cannot do that with its volumes.",
            "Choose a directory, file system or logical pool.",
        ),
        Row(
            (),
            r"inaccessible backing store",
            DestinationUnusable,
            "inaccessible backing store volume /none/x: No such file or directory",
            "The disk's backing file cannot be read where the volume is to be made.",
            "Copy the whole chain instead of a shallow copy.",
        ),
        Row(
            (OPERATION_FAILED,),
            r"pool.*already exists|conflict with pool",
            Refused,
            "operation failed: Storage source conflict with pool: 'images'",
            "Another storage pool covers that directory already.",
            "Use that pool, or refresh it on the host (virsh pool-refresh).",
        ),
        Row(
            (NO_SECRET, INVALID_SECRET),
            r"does not have a value",
            DestinationUnusable,
            "Secret not found: secret 'e1e2…' does not have a value",
            "The secret that the destination needs has no value on the host.",
            "Set it there with virsh secret-set-value.",
        ),
        Row(
            (NO_SECRET, INVALID_SECRET),
            "",
            DestinationUnusable,
            "Secret not found: no secret with matching uuid 'e1e2…'",
            "The host has no such secret.",
            "Define it on the host (virsh secret-define), or refer to another one.",
        ),
    ),
)
