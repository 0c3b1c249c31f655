"""Sites and hosts: what an administrator sets up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from jobs import actions
from jobs.actions import ActionError
from jobs.actor import Actor
from jobs.admin.base import AuditedAdmin, actor_of
from jobs.admin.shown import NOTHING, shown
from jobs.models import Host, Site
from jobs.units import version_text


@admin.register(Site)
class SiteAdmin(AuditedAdmin):
    """Places; each is the queue of the workers that reach its hosts."""

    list_display = ["name", "description"]
    search_fields = ["name", "description"]


class HostForm(forms.ModelForm[Host]):
    """A host's address as fields; the model says what can't be, beside the field."""

    reason = forms.CharField(
        label=_("Reason"),
        required=False,
        max_length=1000,
        help_text=_("Optional; kept in the audit log."),
    )

    class Meta:
        model = Host
        fields = (
            *("name", "site", "enabled", "production", "transport", "host_name"),
            *("port", "user", "socket", "mode"),
        )


_SAID = shown(
    Host,
    [
        *("answers", "last_seen_at", "synced_at", "error", "error_remedy", "error_at"),
        *("reported_name", "uuid", "libvirt", "hypervisor_and_version"),
        *("listener", "listener_until"),
    ],
)


@admin.register(Host)
class HostAdmin(AuditedAdmin):
    """Hosts. Saving goes through `actions.save_host`, as everywhere."""

    form = HostForm
    list_display = [
        *("name", "site", "transport", "where", "enabled", "production"),
        *("answers", "last_seen_at", "listener"),
    ]
    list_filter = ["site", "transport", "enabled", "production"]
    list_select_related = ["site"]
    search_fields = ["name", "host_name", "reported_name", "uuid"]
    actions = ["test_connection", "sync_now"]
    fieldsets = [
        (None, {"fields": ["name", "site", "enabled", "production", "reason"]}),
        (
            _("Address"),
            {
                "fields": [
                    *("transport", "host_name", "port", "user", "socket", "mode"),
                ],
                "description": _(
                    "A host is reached by these fields; a URI is never taken. Keys "
                    "and certificates are the server's own."
                ),
            },
        ),
        (
            _("What it said"),
            {"fields": [*_SAID]},
        ),
    ]
    readonly_fields = _SAID

    @admin.display(description=_("address"))
    def where(self, host: Host) -> str:
        port = f":{host.port}" if host.port else ""
        account = f"{host.user}@" if host.user else ""
        return host.socket or f"{account}{host.host_name}{port}" or host.mode

    @admin.display(description=_("answers"), boolean=True)
    def answers(self, host: Host) -> bool | None:
        return host.reachable

    @admin.display(description=_("libvirt"))
    def libvirt(self, host: Host) -> str:
        return _version(host.libvirt_version) or NOTHING

    @admin.display(description=_("hypervisor"))
    def hypervisor_and_version(self, host: Host) -> str:
        version = _version(host.hypervisor_version)
        return f"{host.hypervisor} {version}".strip() or NOTHING

    def save_model(
        self, request: HttpRequest, obj: Host, form: Any, change: bool
    ) -> None:
        """Save through the action, which checks, audits and asks for the inventory."""
        actions.save_host(obj, actor_of(request), form.cleaned_data["reason"])

    @admin.action(description=_("Test connection"), permissions=["test"])
    def test_connection(self, request: HttpRequest, hosts: QuerySet[Host]) -> None:
        """Have workers try the addresses; the answers appear on the hosts."""
        self._ask(
            request,
            hosts,
            actions.test_host,
            gettext("A connection test was asked for."),
        )

    @admin.action(description=_("Sync now"), permissions=["sync"])
    def sync_now(self, request: HttpRequest, hosts: QuerySet[Host]) -> None:
        """Have workers read the inventories."""
        self._ask(
            request, hosts, actions.sync_host, gettext("The inventory was asked for.")
        )

    def _ask(
        self,
        request: HttpRequest,
        hosts: QuerySet[Host],
        act: Callable[[Host, Actor], None],
        done: str,
    ) -> None:
        for host in hosts.select_related("site"):
            try:
                act(host, actor_of(request))
            except ActionError as error:
                self.message_user(request, f"{host}: {error}", messages.ERROR)
            else:
                self.message_user(request, f"{host}: {done}", messages.SUCCESS)

    def has_test_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.test_host")

    def has_sync_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.sync_host")


def _version(number: int | None) -> str:
    return "" if number is None else version_text(number)
