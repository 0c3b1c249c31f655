"""The filters of the lists of hosts, domains and storage pools."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import F, FloatField, Q, QuerySet
from django.db.models.functions import Cast, Coalesce, NullIf
from django.utils.translation import gettext_lazy as _
from django_filters import (
    CharFilter,
    ChoiceFilter,
    ModelChoiceFilter,
    OrderingFilter,
)

from jobs.console.filtering import MOST, GroupedFilter
from jobs.console.fleet import domain_rows, hosts_with_counts, named
from jobs.console.selects import NameSelect
from jobs.models import NEARLY_FULL, Domain, Host, Site, StoragePool

_NO_GROUP = {"invalid_choice": _("There is no state “%(value)s”.")}
_NO_ORDER = {"invalid_choice": _("There is no order “%(value)s”.")}


def _site(field: str) -> ModelChoiceFilter:
    return ModelChoiceFilter(
        field_name=field,
        queryset=Site.objects.all(),
        to_field_name="name",
        widget=NameSelect,
        empty_label=_("Any site"),
        label=_("Site"),
        error_messages={"invalid_choice": _("There is no such site.")},
    )


def _host() -> ModelChoiceFilter:
    return ModelChoiceFilter(
        queryset=Host.objects.all(),
        to_field_name="name",
        widget=NameSelect,
        empty_label=_("Any host"),
        label=_("Host"),
        error_messages={"invalid_choice": _("There is no such host.")},
    )


def _group(groups: dict[str, tuple[Any, Q]]) -> ChoiceFilter:
    # What belongs to a group is `GroupedFilter.listed`'s business.
    choices = [(name, words) for name, (words, _inside) in groups.items() if name]
    return ChoiceFilter(method="unchanged", choices=choices, error_messages=_NO_GROUP)


def _order(sortable: dict[str, str]) -> OrderingFilter:
    fields = {field: name for name, field in sortable.items()}
    return OrderingFilter(fields=fields, error_messages=_NO_ORDER)


class FleetFilter(GroupedFilter):
    """What the three lists share: a text, and groups that are filtered last."""

    words = {"q": _("“{}”"), "site": _("site {}"), "host": _("host {}")}
    usual_order: ClassVar[tuple[str, ...]] = ("name",)

    def unchanged(self, found: Any, _name: str, _value: str) -> Any:
        return found


# --- Hosts -------------------------------------------------------------------------

_REACH: dict[str, tuple[Any, Q]] = {
    "": (_("All"), Q()),
    "answering": (
        _("Answering"),
        Q(enabled=True, error="", last_seen_at__isnull=False),
    ),
    "silent": (_("Not answering"), Q(enabled=True) & ~Q(error="")),
    "unseen": (_("Not asked yet"), Q(enabled=True, error="", last_seen_at=None)),
    "disabled": (_("Disabled"), Q(enabled=False)),
    "production": (_("Production"), Q(production=True)),
}
_HOST_SORTS = {
    "name": "name",
    "site": "site__name",
    "seen": "last_seen_at",
    "domains": "domain_count",
    "copies": "active_count",
}


class HostFilter(FleetFilter):
    """`q` is a part of a name, of the connection's or of the host's own."""

    page = "hosts"
    group = "reach"
    groups = _REACH
    sortable = _HOST_SORTS

    q = CharFilter(method="mentions", max_length=MOST)
    reach = _group(_REACH)
    site = _site("site")
    sort = _order(_HOST_SORTS)

    class Meta:
        model = Host
        fields: tuple[str, ...] = ()

    def everything(self) -> QuerySet[Host]:
        return hosts_with_counts()

    def mentions(self, found: Any, _name: str, text: str) -> Any:
        return found.filter(
            Q(name__icontains=text)
            | Q(host_name__icontains=text)
            | Q(reported_name__icontains=text)
        )


# --- Domains -----------------------------------------------------------------------

_THERE = Q(gone_at=None)
_STATES: dict[str, tuple[Any, Q]] = {
    "": (_("All"), _THERE),
    "on": (_("On"), _THERE & Q(libvirt_id__isnull=False)),
    "running": (_("Running"), _THERE & Q(state="running")),
    "paused": (_("Paused"), _THERE & Q(state="paused")),
    "off": (_("Off"), _THERE & Q(libvirt_id=None)),
    "gone": (_("Gone from its host"), ~_THERE),
}
_DOMAIN_SORTS = {"name": "name", "state": "state", "host": "host__name"}


class DomainFilter(FleetFilter):
    """`q` is a part of a name, or how a UUID begins."""

    page = "domains"
    groups = _STATES
    sortable = _DOMAIN_SORTS
    usual_order = ("name", "host__name")

    q = CharFilter(method="mentions", max_length=MOST)
    state = _group(_STATES)
    site = _site("host__site")
    host = _host()
    sort = _order(_DOMAIN_SORTS)

    class Meta:
        model = Domain
        fields: tuple[str, ...] = ()

    def everything(self) -> QuerySet[Domain]:
        return domain_rows()

    def mentions(self, found: Any, _name: str, text: str) -> Any:
        return named(found, text)


# --- Storage pools -----------------------------------------------------------------

_POOLS: dict[str, tuple[Any, Q]] = {
    "": (_("All"), Q()),
    "full": (_("Nearly full"), NEARLY_FULL),
    "inactive": (_("Inactive"), Q(active=False)),
    "shared": (_("On the network"), ~Q(source="")),
}
_POOL_SORTS = {
    "name": "name",
    "host": "host__name",
    "free": "available",
    "full": "used_part",
    "size": "capacity",
}


class PoolFilter(FleetFilter):
    """`q` is a part of a pool's name, of its path or of its storage on the network."""

    page = "storage"
    groups = _POOLS
    sortable = _POOL_SORTS
    usual_order = ("host__name", "name")

    q = CharFilter(method="mentions", max_length=MOST)
    state = _group(_POOLS)
    site = _site("host__site")
    host = _host()
    sort = _order(_POOL_SORTS)

    class Meta:
        model = StoragePool
        fields: tuple[str, ...] = ()

    def everything(self) -> QuerySet[StoragePool]:
        used = Cast(F("capacity") - F("available"), FloatField())
        part = Coalesce(used / NullIf(F("capacity"), 0), 0.0)
        present = StoragePool.objects.filter(gone_at=None)
        return present.select_related("host__site").annotate(used_part=part)

    def mentions(self, found: Any, _name: str, text: str) -> Any:
        return found.filter(
            Q(name__icontains=text)
            | Q(path__icontains=text)
            | Q(source__icontains=text)
        )
