"""Application configuration: the console's app and its admin site."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.contrib.staticfiles.apps import StaticFilesConfig
from django.db.models.signals import post_migrate


class ConsoleAdminConfig(AdminConfig):
    """Django admin with the console's own rule of who may enter."""

    default_site = "jobs.admin_site.ConsoleAdminSite"


class StaticConfig(StaticFilesConfig):
    """Static files without the variants of Bootstrap that no page uses."""

    ignore_patterns = [
        *StaticFilesConfig.ignore_patterns,
        *("bootstrap-*", "bootstrap.css*", "bootstrap.rtl.*", "bootstrap.esm.*"),
        *("bootstrap.js*", "bootstrap.min.js*", "bootstrap.bundle.js*"),
    ]


class JobsConfig(AppConfig):
    """The one app of the console."""

    name = "jobs"
    verbose_name = "Blockcopy Console"

    def ready(self) -> None:
        from jobs import reader, said, signals, signs
        from jobs.audit.guard import reinstall
        from jobs.models.search import make_indexes
        from jobs.roles import create_roles

        said.speak_through(reader)
        signals.connect()
        signs.connect()
        post_migrate.connect(create_roles, sender=self)
        post_migrate.connect(_create_default_site, sender=self)
        post_migrate.connect(reinstall, sender=self)
        post_migrate.connect(make_indexes, sender=self)


def _create_default_site(**_: Any) -> None:
    """Give a new installation the site whose queue every worker serves."""
    from jobs.models import Site

    if not Site.objects.exists():
        Site.objects.create(name="default")
