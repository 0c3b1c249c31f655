"""Whether the console kept its promise, judged from outside once the dust has settled.

    promises = Promises(stack, [alder, birch])
    assert promises.until_kept(60) == []

The jobs, their history and the audit log are read from the database itself (SQLite or
PostgreSQL), what is true from the hosts by virsh, what reached a host from its daemon's
own notes (a PrivateHost with `lab.calls.recording`), and how the guests fared from what
they say on their serial ports. Nothing of the product takes part but `audit verify`.
"""

from tests.promises.judge import Promises
from tests.promises.kinds import Broken, Kind
from tests.promises.rows import Database, Entry, Job, Left, Line, asking, read

__all__ = [
    "Broken",
    "Database",
    "Entry",
    "Job",
    "Kind",
    "Left",
    "Line",
    "Promises",
    "asking",
    "read",
]
