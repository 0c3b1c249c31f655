"""Rows of jobs in flight, in the schema of the first release.

Runs in the console's own environment: `manage.py shell -c "…; write('[…]')"`.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

FIRST_RELEASE = ("jobs", "0001_initial")
# The states through which a job came to where it is.
WAY = ("requested", "queued", "starting", "copying", "mirroring")
ENDINGS = {"pivoting": "pivot", "finishing": "finish", "cancelling": "cancel"}


def write(text: str) -> None:
    """Bring an empty database to FIRST_RELEASE, with the rows that a JSON text tells.

    {"host": {…fields}, "jobs": [{"state", "began", "domain": {…fields}, "disk":
    {…fields}, "job": {…fields}}]}; `began`: the host had accepted the start.
    """
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    others = [node for node in executor.loader.graph.leaf_nodes() if node[0] != "jobs"]
    # Not by the command: what it does at the end wants the newest tables.
    executor.migrate([*others, FIRST_RELEASE])
    models = executor.loader.project_state([FIRST_RELEASE]).apps
    told = json.loads(text)
    site, _ = models.get_model("jobs", "Site").objects.get_or_create(name="default")
    host = models.get_model("jobs", "Host").objects.create(site=site, **told["host"])
    for each in told["jobs"]:
        _write_job(models, host, each)


def _write_job(models: Any, host: Any, told: dict[str, Any]) -> None:
    from django.utils import timezone

    now = timezone.now()
    domain = models.get_model("jobs", "Domain").objects.create(
        host=host, seen_at=now, persistent=True, state="running", **told["domain"]
    )
    models.get_model("jobs", "Disk").objects.create(domain=domain, **told["disk"])
    began, state = told["began"], told["state"]
    started = None if state == "queued" else now - timedelta(minutes=5)
    job = models.get_model("jobs", "CopyJob").objects.create(
        host=host,
        domain=domain,
        host_name=host.name,
        domain_name=domain.name,
        domain_uuid=domain.uuid,
        disk=told["disk"]["target"],
        requested_by_name="olga",
        state=state,
        libvirt_id=domain.libvirt_id if started else None,
        started_at=started,
        transient_job=True if began else None,
        seen_at=now if began else None,
        ready_at=now if began and state not in ("starting", "copying") else None,
        ending_at=now if state in ENDINGS else None,
        **told["job"],
    )
    _write_history(models, job)


def _write_history(models: Any, job: Any) -> None:
    """The lines and the entries that such a job had in that release."""
    way = [*WAY, job.state] if job.state in ENDINGS else WAY[: _steps(job.state)]
    for old, new in zip(["", *way], way, strict=False):
        models.get_model("jobs", "JobEvent").objects.create(
            job=job, old_state=old, new_state=new, actor="olga", message=f"Now {new}."
        )
    acts = [("olga", "request", "asked")]
    if job.transient_job:
        acts.append(("system", "start", "done"))
    if job.state in ENDINGS:
        acts.append(("olga", ENDINGS[job.state], "asked"))
    for actor, action, outcome in acts:
        models.get_model("jobs", "AuditEntry").objects.create(
            actor=actor,
            channel="console",
            action=action,
            outcome=outcome,
            object_type="copy job",
            object_id=str(job.pk),
            object_text=f"job {job.pk}",
        )


def _steps(state: str) -> int:
    return WAY.index(state) + 1
