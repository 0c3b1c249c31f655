"""A large fleet that never was, to see how the pages bear it: hosts with what they
have, people, years of copies and their audit log.

Everything says that it is made up: sites and hosts by their names, people by theirs.
The hosts' addresses end in .invalid, which nothing ever resolves, and no worker serves
their sites unless somebody tells it to: nobody tries to reach them. It is written only
into a database in which nothing is.
"""

from __future__ import annotations

from jobs.made_up.making import InUse, make
from jobs.made_up.size import Size

__all__ = ["InUse", "Size", "make"]
