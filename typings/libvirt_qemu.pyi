"""What the hypervisor layer uses of libvirt-python's QEMU part."""

from collections.abc import Callable
from typing import Any

from libvirt import virConnect, virDomain

def qemuMonitorEventRegister(
    conn: virConnect,
    dom: virDomain | None,
    event: str,
    cb: Callable[..., None],
    opaque: Any,
    flags: int = 0,
) -> int: ...
def qemuMonitorEventDeregister(conn: virConnect, callbackID: int) -> None: ...
