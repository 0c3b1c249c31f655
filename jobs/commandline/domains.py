"""`blockcopy domain …`: list, show."""

from __future__ import annotations

from jobs.commandline import find
from jobs.commandline.answer import Answer, Call
from jobs.commandline.records import Record, disk_record, domain_record
from jobs.commandline.text import fields, table
from jobs.models import CopyJob, Domain
from jobs.units import bytes_text


def list_all(call: Call) -> Answer:
    """List the domains that are there, of one host or of all."""
    call.must_see("domain")
    found = Domain.objects.filter(gone_at=None).select_related("host")
    if call.options.host:
        found = found.filter(host=find.host(call.options.host))
    records = [domain_record(domain) for domain in found]
    rows = [
        (record["domain"], record["host"], record["state"], record["uuid"])
        for record in records
    ]
    return Answer(records, table(("DOMAIN", "HOST", "STATE", "UUID"), rows))


def show(call: Call) -> Answer:
    """Show a domain with its disks and their backing chains."""
    call.must_see("domain")
    domain = find.domain(find.host(call.options.host), call.options.domain)
    record = domain_record(domain)
    disks = _disks(domain)
    text = "\n\n".join([fields(record), *map(_disk_text, disks)])
    return Answer(record | {"disks": disks}, text)


def _disks(domain: Domain) -> list[Record]:
    active = CopyJob.objects.active().filter(host=domain.host, domain_uuid=domain.uuid)
    job_of = dict(active.values_list("disk", "pk"))
    present = domain.disks.filter(gone_at=None).prefetch_related("chain")
    return [disk_record(disk, job_of.get(disk.target)) for disk in present]


def _disk_text(disk: Record) -> str:
    chain = [f"{link['location']} ({link['format']})" for link in disk["chain"]]
    sizes = {
        name: bytes_text(disk[name]) for name in ("capacity", "allocation", "physical")
    }
    shown = fields(disk | sizes | {"chain": "", "read_only": "", "shareable": ""})
    below = "".join(f"\n  {'  ' * depth}└ {name}" for depth, name in enumerate(chain))
    return shown + below
