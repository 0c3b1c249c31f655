from typing import Any

from django.db import migrations, models
from django.db.models import F

AT_ONCE = 500


def fill(apps: Any, editor: Any) -> None:
    """Nobody has changed the bandwidth of most copies: it is what was sent. What the
    others began with was not kept."""
    jobs = apps.get_model("jobs", "CopyJob").objects
    begun = jobs.filter(started_at__isnull=False, adopted_at=None)
    begun.update(bandwidth_sent=F("bandwidth"))
    entries = apps.get_model("jobs", "AuditEntry").objects.filter(
        action="speed", outcome="done", object_type="copy job"
    )
    changed = sorted({int(pk) for pk in entries.values_list("object_id", flat=True)})
    for first in range(0, len(changed), AT_ONCE):
        some = changed[first : first + AT_ONCE]
        jobs.filter(pk__in=some).update(bandwidth_sent=None)


class Migration(migrations.Migration):
    dependencies = [("jobs", "0024_group_of_what_failed")]

    operations = [
        migrations.AddField(
            model_name="copyjob",
            name="bandwidth_sent",
            field=models.BigIntegerField(null=True),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
