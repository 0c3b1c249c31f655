"""Whether a copy could make a file in a directory: owner, mode, and who QEMU is."""

from __future__ import annotations

import pytest

from jobs.hypervisor.looking import Folder
from jobs.hypervisor.rights import QemuUser, writable

SYSTEM = QemuUser(64055, made_by_root=True)
SESSION = QemuUser(1000, made_by_root=False)


@pytest.mark.parametrize(
    ("user", "owner", "mode", "expected"),
    [
        # root makes the file, and QEMU has to get there.
        (SYSTEM, 0, 0o711, True),
        (SYSTEM, 0, 0o755, True),
        (SYSTEM, 0, 0o700, False),
        (SYSTEM, 0, 0o710, None),
        (SYSTEM, 64055, 0o500, True),
        (SYSTEM, 64055, 0o600, False),
        (QemuUser(0, made_by_root=True), 1000, 0o000, True),
        # QEMU has the rights of the daemon.
        (SESSION, 1000, 0o700, True),
        (SESSION, 1000, 0o577, False),
        (SESSION, 0, 0o755, False),
        (SESSION, 0, 0o775, None),
        (SESSION, 0, 0o777, True),
        (SESSION, 0, 0o776, None),
        # It is not known who QEMU is.
        (None, 0, 0o777, True),
        (None, 0, 0o755, None),
        (None, 0, 0o700, None),
    ],
)
def test_writable(
    user: QemuUser | None, owner: int, mode: int, expected: bool | None
) -> None:
    folder = Folder("/images", True, owner=owner, mode=mode)
    assert writable(folder, user) is expected


def test_nothing_is_guessed() -> None:
    assert writable(Folder("/images", None), SESSION) is None
