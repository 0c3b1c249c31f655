from typing import Any

from django.db import migrations, models
from django.db.models import OuterRef, Subquery


def fill(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        # It is made again after the migrations, with the domain's name in it.
        editor.execute("DROP INDEX IF EXISTS jobs_leftover_texts")
    jobs = apps.get_model("jobs", "CopyJob").objects.filter(pk=OuterRef("job"))
    rows = apps.get_model("jobs", "Leftover").objects
    rows.update(domain_name=Subquery(jobs.values("domain_name")[:1]))


class Migration(migrations.Migration):
    dependencies = [("jobs", "0019_indexes_of_places")]

    operations = [
        migrations.AddField(
            model_name="leftover",
            name="domain_name",
            field=models.CharField(max_length=255, default=""),
            preserve_default=False,
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
