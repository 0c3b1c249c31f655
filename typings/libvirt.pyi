"""What the hypervisor layer uses of libvirt-python, whose own hints are wrong."""

from collections.abc import Callable
from typing import Any, Final

VIR_CONNECT_NO_ALIASES: Final[int]

VIR_CONNECT_CLOSE_REASON_ERROR: Final[int]
VIR_CONNECT_CLOSE_REASON_EOF: Final[int]
VIR_CONNECT_CLOSE_REASON_KEEPALIVE: Final[int]
VIR_CONNECT_CLOSE_REASON_CLIENT: Final[int]

VIR_DOMAIN_AFFECT_CONFIG: Final[int]
VIR_DOMAIN_XML_INACTIVE: Final[int]

VIR_DOMAIN_BLOCK_COPY_SHALLOW: Final[int]
VIR_DOMAIN_BLOCK_COPY_REUSE_EXT: Final[int]
VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB: Final[int]
VIR_DOMAIN_BLOCK_COPY_SYNCHRONOUS_WRITES: Final[int]
VIR_DOMAIN_BLOCK_COPY_BANDWIDTH: Final[str]
VIR_DOMAIN_BLOCK_COPY_GRANULARITY: Final[str]
VIR_DOMAIN_BLOCK_COPY_BUF_SIZE: Final[str]
VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC: Final[int]
VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT: Final[int]
VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES: Final[int]
VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES: Final[int]
VIR_DOMAIN_BLOCK_JOB_TYPE_COPY: Final[int]
VIR_DOMAIN_BLOCK_JOB_COMPLETED: Final[int]
VIR_DOMAIN_BLOCK_JOB_FAILED: Final[int]
VIR_DOMAIN_BLOCK_JOB_CANCELED: Final[int]
VIR_DOMAIN_BLOCK_JOB_READY: Final[int]

VIR_DOMAIN_EVENT_ID_LIFECYCLE: Final[int]
VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2: Final[int]
VIR_DOMAIN_EVENT_DEFINED: Final[int]
VIR_DOMAIN_EVENT_UNDEFINED: Final[int]
VIR_DOMAIN_EVENT_STARTED: Final[int]
VIR_DOMAIN_EVENT_SUSPENDED: Final[int]
VIR_DOMAIN_EVENT_RESUMED: Final[int]
VIR_DOMAIN_EVENT_STOPPED: Final[int]
VIR_DOMAIN_EVENT_SHUTDOWN: Final[int]
VIR_DOMAIN_EVENT_PMSUSPENDED: Final[int]
VIR_DOMAIN_EVENT_CRASHED: Final[int]

VIR_DOMAIN_NOSTATE: Final[int]
VIR_DOMAIN_RUNNING: Final[int]
VIR_DOMAIN_BLOCKED: Final[int]
VIR_DOMAIN_PAUSED: Final[int]
VIR_DOMAIN_SHUTDOWN: Final[int]
VIR_DOMAIN_SHUTOFF: Final[int]
VIR_DOMAIN_CRASHED: Final[int]
VIR_DOMAIN_PMSUSPENDED: Final[int]

VIR_ERR_INTERNAL_ERROR: Final[int]
VIR_ERR_NO_SUPPORT: Final[int]
VIR_ERR_NO_CONNECT: Final[int]
VIR_ERR_INVALID_CONN: Final[int]
VIR_ERR_INVALID_ARG: Final[int]
VIR_ERR_OPERATION_FAILED: Final[int]
VIR_ERR_NO_SOURCE: Final[int]
VIR_ERR_XML_ERROR: Final[int]
VIR_ERR_OPERATION_DENIED: Final[int]
VIR_ERR_XML_DETAIL: Final[int]
VIR_ERR_SYSTEM_ERROR: Final[int]
VIR_ERR_RPC: Final[int]
VIR_ERR_NO_DOMAIN: Final[int]
VIR_ERR_AUTH_FAILED: Final[int]
VIR_ERR_OPERATION_INVALID: Final[int]
VIR_ERR_CONFIG_UNSUPPORTED: Final[int]
VIR_ERR_OPERATION_TIMEOUT: Final[int]
VIR_ERR_ARGUMENT_UNSUPPORTED: Final[int]
VIR_ERR_AUTH_CANCELLED: Final[int]
VIR_ERR_OVERFLOW: Final[int]
VIR_ERR_BLOCK_COPY_ACTIVE: Final[int]
VIR_ERR_OPERATION_UNSUPPORTED: Final[int]
VIR_ERR_ACCESS_DENIED: Final[int]
VIR_ERR_AUTH_UNAVAILABLE: Final[int]
VIR_ERR_LIBSSH: Final[int]
VIR_ERR_AGENT_UNRESPONSIVE: Final[int]
VIR_ERR_AGENT_UNSYNCED: Final[int]

class libvirtError(Exception):
    err: tuple[object, ...] | None
    def get_error_code(self) -> int | None: ...
    def get_error_domain(self) -> int | None: ...
    def get_error_message(self) -> str | None: ...

class virDomain:
    def ID(self) -> int: ...
    def UUIDString(self) -> str: ...
    def name(self) -> str: ...
    def state(self) -> list[int]: ...
    def isPersistent(self) -> int: ...
    def XMLDesc(self, flags: int = 0) -> str: ...
    def blockInfo(self, path: str) -> list[int]: ...
    def blockCopy(
        self, disk: str, destxml: str, params: dict[str, int], flags: int
    ) -> int: ...
    def blockJobInfo(self, path: str, flags: int) -> dict[str, int]: ...
    def blockJobAbort(self, disk: str, flags: int) -> int: ...
    def blockJobSetSpeed(self, disk: str, bandwidth: int, flags: int) -> int: ...
    def fsFreeze(self) -> int: ...
    def fsThaw(self) -> int: ...
    def getTime(self) -> dict[str, int]: ...
    def updateDeviceFlags(self, xml: str, flags: int) -> int: ...

class virStoragePool:
    def UUIDString(self) -> str: ...
    def name(self) -> str: ...
    def isActive(self) -> int: ...
    def refresh(self) -> int: ...
    def info(self) -> list[int]: ...
    def XMLDesc(self) -> str: ...

class virConnect:
    _o: object | None
    def close(self) -> int: ...
    def isAlive(self) -> int: ...
    def setKeepAlive(self, interval: int, count: int) -> int: ...
    def getHostname(self) -> str: ...
    def getCapabilities(self) -> str: ...
    def getType(self) -> str: ...
    def getVersion(self) -> int: ...
    def getLibVersion(self) -> int: ...
    def lookupByUUIDString(self, uuidstr: str) -> virDomain: ...
    def listAllDomains(self) -> list[virDomain]: ...
    def listAllStoragePools(self) -> list[virStoragePool]: ...
    def storagePoolLookupByUUIDString(self, uuidstr: str) -> virStoragePool: ...
    def domainEventRegisterAny(
        self,
        dom: virDomain | None,
        eventID: int,
        cb: Callable[..., None],
        opaque: Any,
    ) -> int: ...
    def domainEventDeregisterAny(self, callbackID: int) -> None: ...
    def registerCloseCallback(
        self, cb: Callable[[virConnect, int, Any], None], opaque: Any
    ) -> int: ...
    def unregisterCloseCallback(self) -> None: ...

def openAuth(
    uri: str,
    auth: tuple[list[int], Callable[[list[Any], Any], int] | None, Any] | list[Any],
    flags: int,
) -> virConnect: ...
def registerErrorHandler(f: Callable[[Any, Any], None], ctx: Any) -> int: ...
def virEventRegisterDefaultImpl() -> int: ...
def virEventRunDefaultImpl() -> int: ...
