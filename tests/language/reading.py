"""Reading a page in the language of marks."""

from __future__ import annotations

from typing import Any

from tests.language.marks import unmarked

GERMAN = {"Accept-Language": "de"}
# What the fleet of these tests is called, and what is called the same in any language.
KNOWN = {
    *("alder", "birch", "web", "vda", "vdb", "default", "images"),
    *("olga", "ada", "victor", "otto"),
    *(
        "Blockcopy Console",
        "Blockcopy",
        "Console",
        "libvirt",
        "QEMU",
        "English",
        "Deutsch",
    ),
    *("Redis", "qcow2", "raw", "disk", "virtio", "dir", "Recorded.", "UTC"),
    *("JSON lines", "JSON Lines", "CSV", "ssh", "TLS"),
    *("NBD", "Ceph RBD", "iSCSI", "Gluster", "buf-size", "UUID", "/dev/vg0"),
    *("pool/image", "volume/path/to/file", "iqn.2026-01.org.example:store/1"),
    *("/srv/images/old", "/srv/images/new", "/srv/images/base", "/srv/images"),
}
# Elements with these classes hold data: names, paths, libvirt's and recorded words.
DATA = {"mono", "path", "path-line", "name", "link-name"}


def read(answer: Any) -> None:
    """Find each text of a page to have gone through gettext."""
    page = answer.content.decode()
    assert "⟦" in page, f"nothing is marked, with {answer.status_code}"
    found = unmarked(page, KNOWN, DATA)
    assert not found, "\n".join(["outside:", *found])
