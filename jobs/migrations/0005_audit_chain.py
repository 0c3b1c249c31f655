"""Audit entries are chained, those that are there in the order of their numbers, and the
database refuses to change or delete them."""

from django.conf import settings
from django.db import migrations, models
import django.utils.timezone

from jobs.audit import guard
# What a version of the chain hashes never changes, so this may be imported.
from jobs.audit.chain import FIELDS, Keyring, Link, sealed

SEAL = ("version", "number", "previous", "key", "hash", "mac")
TOLD = tuple(name for name in FIELDS[1] if name not in SEAL)
BATCH = 1000


def chain_entries(apps, schema_editor):
    alias = schema_editor.connection.alias
    entries = apps.get_model("jobs", "AuditEntry")._base_manager.using(alias)
    columns = ", ".join(f"{schema_editor.quote_name(name)} = %s" for name in SEAL)
    keys, last, after = Keyring.of(settings.BLOCKCOPY_AUDIT_KEY), None, None
    while True:
        batch = entries if after is None else entries.filter(pk__gt=after)
        rows = list(batch.order_by("pk").values(*TOLD)[:BATCH])
        if not rows:
            return
        places = []
        for values in rows:
            entry = sealed(values, last, keys, version=1)
            told = entry.content
            last, after = Link(told["number"], entry.hash, told["key"]), told["id"]
            places.append((1, told["number"], told["previous"], told["key"],
                           entry.hash, entry.mac, after))
        with schema_editor.connection.cursor() as cursor:
            cursor.executemany(
                f"UPDATE jobs_auditentry SET {columns} WHERE id = %s", places
            )


def install_guard(apps, schema_editor):
    guard.install(schema_editor.connection)


def remove_guard(apps, schema_editor):
    guard.remove(schema_editor.connection)


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0004_fingerprints_of_leftovers'),
    ]

    operations = [
        migrations.AddField(
            model_name='auditentry',
            name='number',
            field=models.BigIntegerField(editable=False, null=True, unique=True),
        ),
        migrations.AddField(
            model_name='auditentry',
            name='version',
            field=models.SmallIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name='auditentry',
            name='previous',
            field=models.CharField(blank=True, editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='auditentry',
            name='key',
            field=models.CharField(blank=True, editable=False, max_length=8),
        ),
        migrations.AddField(
            model_name='auditentry',
            name='hash',
            field=models.CharField(blank=True, editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='auditentry',
            name='mac',
            field=models.CharField(blank=True, editable=False, max_length=64),
        ),
        migrations.CreateModel(
            name='AuditVerification',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('time', models.DateTimeField(default=django.utils.timezone.now)),
                ('seconds', models.FloatField()),
                ('intact', models.BooleanField()),
                ('entries', models.BigIntegerField()),
                ('newest', models.BigIntegerField()),
                ('hash', models.CharField(blank=True, max_length=64)),
                ('checked_to', models.BigIntegerField()),
                ('first_bad', models.BigIntegerField(null=True)),
                ('text', models.TextField()),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.RunPython(chain_entries, migrations.RunPython.noop),
        migrations.RunPython(install_guard, remove_guard),
    ]
