"""Domains, disks and storage pools, as their hosts last described them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from jobs.admin.base import ReadOnlyAdmin, one_of
from jobs.admin.shown import ReadOnly
from jobs.models import ChainLink, Disk, Domain, StoragePool
from jobs.models.search import SEARCHED, about, mentioning
from jobs.said import localized, say
from jobs.units import bytes_text

# libvirt's words: virDomainState, and the formats of domains and of storage pools.
STATES = (
    *("running", "paused", "shutoff", "crashed"),
    *("pmsuspended", "shutdown", "blocked", "nostate"),
)
DEVICES = ("disk", "lun", "cdrom", "floppy")
BUSES = ("virtio", "scsi", "sata", "ide", "usb", "fdc", "sd", "xen")
FORMATS = ("qcow2", "raw", "qcow", "qed", "vmdk", "vdi", "vpc")
POOLS = (
    *("dir", "fs", "netfs", "logical", "disk", "iscsi", "iscsi-direct"),
    *("scsi", "mpath", "rbd", "gluster", "zfs", "vstorage"),
)


class ReadOnlyInline(ReadOnly, admin.TabularInline[Any, Any]):
    """Rows of another table, to be read."""

    extra = 0
    can_delete = False
    show_change_link = True


class GoneFilter(admin.SimpleListFilter):
    """Leaves out what the host no longer has, unless asked for."""

    title = _("presence")
    parameter_name = "gone"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("no", _("present")), ("yes", _("gone"))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        if self.value() is None:
            return None
        return queryset.filter(gone_at__isnull=self.value() == "no")


class DiskInline(ReadOnlyInline):
    model = Disk
    fields = ["target", "bus", "device", "format", "source", "mirror", "gone_at"]


class ChainInline(ReadOnlyInline):
    model = ChainLink
    fields = ["depth", "location", "kind", "format"]
    show_change_link = False


@admin.register(Domain)
class DomainAdmin(ReadOnlyAdmin):
    """Domains; those that a host no longer has stay, marked."""

    list_display = ["name", "host", "state", "persistent", "seen_at", "gone_at"]
    list_filter = [
        GoneFilter,
        one_of("state", _("state"), STATES),
        *("persistent", "host__site"),
    ]
    list_select_related = ["host"]
    fields = [
        *("name", "host", "uuid", "libvirt_id", "state", "persistent"),
        *("unaccounted", "seen_at", "gone_at"),
    ]
    search_fields = SEARCHED["Domain"]
    inlines = [DiskInline]


@admin.register(Disk)
class DiskAdmin(ReadOnlyAdmin):
    """Disks with their backing chains."""

    is_logged = False
    list_display = [
        *("target", "domain", "format", "capacity", "source", "mirror", "gone_at"),
    ]
    list_filter = [
        GoneFilter,
        one_of("device", _("device"), DEVICES),
        one_of("bus", _("bus"), BUSES),
        one_of("format", _("format"), FORMATS),
        "domain__host__site",
    ]
    list_select_related = ["domain__host"]
    fields = [
        *("target", "domain", "bus", "device", "format", "source", "source_kind"),
        *("persistent_source", "read_only", "shareable"),
        *("capacity", "allocation", "physical"),
        *("mirror", "mirror_job", "mirror_kind", "mirror_format"),
        *("chain_known", "gone_at"),
    ]
    # The newest domains' first. By their names, a search would read all domains down to
    # the first that match.
    ordering = ["-domain_id", "target", "id"]
    search_fields = SEARCHED["Disk"]
    inlines = [ChainInline]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search places, and the domains' names and UUIDs."""
        text = search_term.strip()
        domains = mentioning(Domain.objects.all(), text)
        return about(queryset, text, domain=domains) if text else queryset, False


@admin.register(StoragePool)
class StoragePoolAdmin(ReadOnlyAdmin):
    """Storage pools and how full they are."""

    is_logged = False
    list_display = ["name", "host", "kind", "active", "path", "free", "seen_at"]
    list_filter = [
        *(GoneFilter, "active"),
        one_of("kind", _("kind"), POOLS),
        "host__site",
    ]
    list_select_related = ["host"]
    fields = [
        *("name", "host", "uuid", "kind", "active", "path", "source"),
        *("capacity", "allocation", "available", "seen_at", "gone_at"),
    ]
    search_fields = ["name", "path"]

    @admin.display(description=_("available"), ordering="available")
    def free(self, pool: StoragePool) -> str:
        free, capacity = bytes_text(pool.available), bytes_text(pool.capacity)
        return localized(say("%(free)s of %(all)s", free=free, all=capacity))
