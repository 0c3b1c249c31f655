from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0026_sentences")]

    operations = [
        migrations.AddField(
            model_name="copyjob",
            name="doubted",
            field=models.BooleanField(default=False),
        ),
    ]
