"""The lab: private libvirt hosts, guests, Redis, PostgreSQL and the whole console.

The demo, the tests and the benches all run on it. Nothing here touches a service of
the machine itself, nothing needs root, and everything ends with whoever started it.
"""

from __future__ import annotations
