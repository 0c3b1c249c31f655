from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.db import migrations


def rename(apps: Any, editor: Any) -> None:
    """Saved views keep what they show: "failed" was the group with the lost ones."""
    for view in apps.get_model("jobs", "SavedView").objects.all():
        pairs = parse_qsl(view.query, keep_blank_values=True)
        named = [
            (name, "failed-or-lost" if (name, value) == ("state", "failed") else value)
            for name, value in pairs
        ]
        if named != pairs:
            view.query = urlencode(named)
            view.save(update_fields=["query"])


class Migration(migrations.Migration):
    dependencies = [("jobs", "0023_index_of_acts")]

    operations = [migrations.RunPython(rename, migrations.RunPython.noop)]
