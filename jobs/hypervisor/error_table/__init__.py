"""The one table of what libvirt says and what it means for people.

libvirt reuses its codes (8 is an unknown disk, a missing job and a bad number; 1 is
anything), so most rows need the text as well. Codes are virErrorNumber; the texts were
seen with libvirt 9.0, those of conditions that could not be made were read in its
source. The first row that fits is taken. docs/errors.md is made from it.
"""

from __future__ import annotations

from jobs.hypervisor.error_table.connections import CONNECTIONS
from jobs.hypervisor.error_table.guests import JOBS
from jobs.hypervisor.error_table.options import OPTIONS
from jobs.hypervisor.error_table.places import PLACES
from jobs.hypervisor.error_table.rest import REST
from jobs.hypervisor.error_table.row import Row, Section, code_name
from jobs.hypervisor.error_table.storage import STORAGE

SECTIONS = (JOBS, STORAGE, PLACES, OPTIONS, CONNECTIONS, REST)
TABLE: tuple[Row, ...] = tuple(row for section in SECTIONS for row in section.rows)

__all__ = ["SECTIONS", "TABLE", "Row", "Section", "code_name"]
