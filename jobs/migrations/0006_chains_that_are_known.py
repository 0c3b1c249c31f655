from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0005_audit_chain'),
    ]

    operations = [
        migrations.AddField(
            model_name='disk',
            name='chain_known',
            field=models.BooleanField(default=True),
        ),
    ]
