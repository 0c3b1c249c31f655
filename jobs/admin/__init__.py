"""Django admin: sites and hosts can be changed, everything else is to be read.

What is done here goes through the same actions as elsewhere and into the audit log.
"""

from __future__ import annotations

from jobs.admin import copies, hosts, inventory, leftovers, log, users

__all__ = ["copies", "hosts", "inventory", "leftovers", "log", "users"]
