"""Looking at the images of a host through its libvirt, which is all that there is.

A storage pool that covers a directory tells what is in it, once it has been refreshed.
Where none does, a transient pool may be put over the directory for the moment.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self, TypeVar
from xml.etree.ElementTree import Element

import libvirt

from jobs.hypervisor import domain_xml, transient
from jobs.hypervisor.errors import HostUnreachable, HypervisorError, NoAnswer
from jobs.hypervisor.evidence import ImageFacts
from jobs.hypervisor.link import Link
from jobs.hypervisor.pools import pool_facts
from jobs.hypervisor.records import PoolFacts
from jobs.hypervisor.volumes import (
    device_facts,
    device_names,
    image_facts,
    plain,
    without_dots,
)
from jobs.said import say

T = TypeVar("T")

# For one question; a refresh of a directory of 2,000 images took 0.1 s.
QUESTION_SECONDS = 5.0
# For a whole look, however many directories there are.
LOOK_SECONDS = 20.0
ATTEMPTS = 5
FILE_POOLS = ("dir", "fs", "netfs")
# libvirt opens all that it finds: in /dev that would be watchdogs, tapes, terminals.
NEVER_OPENED = ("/dev", "/proc", "/sys")


@dataclass(frozen=True)
class Folder:
    """A directory, and the pool through which it is seen.

    `exists` None says that nothing could look; `why` says why in a sentence. `own`
    says that the pool is a transient one of ours.
    """

    path: str
    exists: bool | None
    why: str = ""
    own: bool = False
    pool: PoolFacts | None = None
    owner: int | None = None
    mode: int | None = None


@dataclass
class Look:
    """One look around, for one thread; whatever it saw, it does not ask again.

    A context manager: transient pools are gone at its end. `unknown` collects what
    could not be known, in sentences.
    """

    link: Link
    transient_pools: bool = False
    seconds: float = LOOK_SECONDS
    unknown: list[str] = field(default_factory=list)
    _pools: list[PoolFacts] | None = None
    _folders: dict[str, Folder] = field(default_factory=dict)
    _images: dict[str, ImageFacts] = field(default_factory=dict)
    _reasons: dict[str, list[str]] = field(default_factory=dict)
    _volumes: dict[str, Element] = field(default_factory=dict)
    _devices: list[Element] | None = None
    _made: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        transient.destroy(self.link, self._made)

    # --- Questions -----------------------------------------------------------------

    def pools(self) -> list[PoolFacts]:
        """The host's pools as they are known at the moment, without refreshing them."""
        if self._pools is None:
            self._pools = self._list_pools()
        return self._pools

    def folder(self, path: str) -> Folder:
        """The directory and how it can be seen."""
        path = without_dots(path)
        if path not in self._folders:
            self._folders[path] = self._see(path)
        return self._folders[path]

    def image(self, location: str) -> ImageFacts:
        """What lies at a location now."""
        if location not in self._images:
            before, self.unknown = self.unknown, []
            self._images[location] = self._find(location)
            self._reasons[location], self.unknown = self.unknown, before
        for sentence in self._reasons[location]:
            self.note(sentence)
        return self._images[location]

    def told(self) -> tuple[str, ...]:
        """What could not be known since the last time that this was asked."""
        unknown, self.unknown = tuple(self.unknown), []
        return unknown

    def is_written_to(self, image: ImageFacts) -> bool:
        """Whether a file that this look saw has changed since then.

        A file that nobody wrote to between two looks had the same fingerprint by each
        of its names all the while.
        """
        self._images.pop(image.location, None)
        return self.image(image.location).fingerprint != image.fingerprint

    def owner_and_mode(self, location: str) -> tuple[int | None, int | None]:
        """Whose an image is, and its mode; None where that is not known."""
        self.image(location)
        volume = self._volumes.get(location)
        return _rights(volume) if volume is not None else (None, None)

    def note(self, sentence: str) -> None:
        """Something could not be known; said once however often it was asked."""
        if sentence and sentence not in self.unknown:
            self.unknown.append(sentence)

    def ask(self, call: Callable[[libvirt.virConnect], T], about: str) -> T:
        """What `call` returns, within a question's time and what is left of the look's.

        Raises HypervisorError.
        """
        seconds = min(QUESTION_SECONDS, self._end - time.monotonic())
        if seconds <= 0:
            raise NoAnswer(say("There was no time left to look."))
        return self.link.ask(seconds, call, about=about)

    # --- Images --------------------------------------------------------------------

    def _find(self, location: str) -> ImageFacts:
        if not location.startswith("/"):
            self.note(
                say("What %(location)s is can't be looked up.", location=location)
            )
            return ImageFacts(location, None, "network")
        if _never_opened(location):
            return self._device(location)
        folder = self.folder(posixpath.dirname(location))
        if folder.pool is None:
            self.note("" if folder.exists is False else folder.why)
            return ImageFacts(location, folder.exists)
        return self._volume(location, folder.pool)

    def _volume(self, location: str, pool: PoolFacts) -> ImageFacts:
        name = posixpath.basename(location)

        def read(connection: libvirt.virConnect) -> Element | None:
            found = connection.storagePoolLookupByName(pool.name)
            return _described(lambda: found.storageVolLookupByName(name))

        return self._facts(location, read, f"pool {pool.name}")

    def _device(self, location: str) -> ImageFacts:
        """A device, if a pool or the host's list of devices has it.

        Both find it by any of its links in /dev.
        """

        def read(connection: libvirt.virConnect) -> Element | None:
            return _described(lambda: connection.storageVolLookupByPath(location))

        found = self._facts(location, read, f"device {location}")
        if found.exists:
            return found
        for device in self._node_devices():
            if location in (names := device_names(device)):
                return device_facts(location, names[0], device)
        self.note(
            say(
                "Nothing on the host tells about the device %(location)s.",
                location=location,
            )
        )
        return ImageFacts(location, None)

    def _node_devices(self) -> list[Element]:
        """The whole disks of the host; none where it has no list of devices."""

        def read(connection: libvirt.virConnect) -> list[Element]:
            disks = libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_STORAGE
            devices = connection.listAllDevices(disks)
            return [domain_xml.parse(device.XMLDesc()) for device in devices]

        if self._devices is None:
            self._devices = []
            with suppress(HypervisorError):
                self._devices = self.ask(read, "devices")
        return self._devices

    def _facts(
        self,
        location: str,
        read: Callable[[libvirt.virConnect], Element | None],
        about: str,
    ) -> ImageFacts:
        try:
            volume = self.ask(read, about)
        except HostUnreachable:
            raise
        except HypervisorError as error:
            self.note(
                say(
                    "%(location)s could not be looked up: %(error)s",
                    location=location,
                    error=error.text,
                )
            )
            return ImageFacts(location, None)
        if volume is None:
            return ImageFacts(location, False)
        self._volumes[location] = volume
        return image_facts(location, volume)

    # --- Pools and folders ---------------------------------------------------------

    def _list_pools(self) -> list[PoolFacts]:
        def read(connection: libvirt.virConnect) -> list[PoolFacts]:
            found = connection.listAllStoragePools()
            return [facts for pool in found if (facts := _if_there(pool))]

        try:
            found = self.ask(read, "pools")
        except HostUnreachable:
            raise
        except HypervisorError as error:
            self.note(
                say(
                    "The host's storage pools could not be read: %(error)s",
                    error=error.text,
                )
            )
            return []
        stale = [pool.name for pool in found if transient.is_stale(pool.name)]
        transient.destroy(self.link, stale)
        return [pool for pool in found if not transient.is_own(pool.name)]

    def _see(self, path: str) -> Folder:
        for pool in self.pools():
            if pool.active and pool.kind in FILE_POOLS and _covers(pool, path):
                return self._through(path, pool.name, own=False)
        if not self.transient_pools:
            return Folder(
                path, None, say("No storage pool covers %(path)s.", path=path)
            )
        if _never_opened(path):
            return Folder(path, None, say("%(path)s is never looked into.", path=path))
        return self._transient(path)

    def _transient(self, path: str) -> Folder:
        """See through a pool of our own.

        libvirt allows one pool for one directory and compares the text of its path, so
        each look says it in another way: some other pool may be defined there, and
        other workers may look at the same moment.
        """
        name = transient.new_name()
        self._made.append(name)
        for _ in range(ATTEMPTS):
            try:
                self.ask(partial(transient.create, name, path), f"look {path}")
            except HostUnreachable:
                raise
            except HypervisorError as error:
                if "conflict" in error.text:
                    continue  # another worker has said it in just this way
                return _no_folder(path, error)
            return self._through(path, name, own=True)
        busy = say("Others are looking into %(path)s at the moment.", path=path)
        return Folder(path, None, busy)

    def _through(self, path: str, name: str, *, own: bool) -> Folder:
        def read(connection: libvirt.virConnect) -> tuple[PoolFacts, Element, str]:
            pool = connection.storagePoolLookupByName(name)
            trouble = "" if own else refresh(pool)
            return pool_facts(pool), domain_xml.parse(pool.XMLDesc()), trouble

        try:
            facts, description, trouble = self.ask(read, f"pool {name}")
        except HostUnreachable:
            raise
        except HypervisorError as error:
            return _no_folder(path, error)
        if not facts.active:  # the refresh found that the directory is gone
            return _gone(path, trouble)
        if trouble and self.transient_pools and not own:
            return self._transient(path)  # it is building a volume, maybe for minutes
        if trouble:
            self.note(
                say(
                    "Pool %(name)s tells what it last knew of %(path)s: %(trouble)s",
                    name=name,
                    path=path,
                    trouble=trouble,
                )
            )
        owner, mode = _rights(description)
        return Folder(
            path,
            True,
            own=own,
            pool=facts,
            owner=owner,
            mode=mode,
        )


def _if_there(pool: libvirt.virStoragePool) -> PoolFacts | None:
    """Pools of other looks vanish at any moment."""
    try:
        return pool_facts(pool)
    except libvirt.libvirtError:
        return None


def _described(find: Callable[[], libvirt.virStorageVol]) -> Element | None:
    """The volume's XML, None if there is no such volume."""
    try:
        return domain_xml.parse(find().XMLDesc())
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_VOL:
            return None
        raise


def refresh(pool: libvirt.virStoragePool) -> str:
    """Let the pool read its directory anew; returns why it did not, or "".

    A pool that is building a volume refuses.
    """
    try:
        pool.refresh()
    except libvirt.libvirtError as error:
        return error.get_error_message() or str(error)
    return ""


def _covers(pool: PoolFacts, path: str) -> bool:
    return plain(pool.path) == plain(path)


def _never_opened(path: str) -> bool:
    path = plain(path)
    if path.startswith("/dev/shm/") or path == "/dev/shm":  # noqa: S108
        return False
    return any(path == top or path.startswith(f"{top}/") for top in NEVER_OPENED)


def _no_folder(path: str, error: HypervisorError) -> Folder:
    """libvirt's own words say whether there is no such directory."""
    return _gone(path, error.text)


def _gone(path: str, words: str) -> Folder:
    missing = "No such file or directory" in words or "Not a directory" in words
    why = say(
        "The directory %(path)s could not be read: %(error)s",
        path=path,
        error=transient.as_asked(words),
    )
    return Folder(path, False if missing else None, why)


def _rights(described: Element) -> tuple[int | None, int | None]:
    """Owner and mode of a pool's directory, or of a volume."""
    permissions = "./target/permissions/"
    owner = _number(described.findtext(f"{permissions}owner", ""))
    return owner, _number(described.findtext(f"{permissions}mode", ""), 8)


def _number(text: str, base: int = 10) -> int | None:
    try:
        return int(text, base)
    except ValueError:
        return None
