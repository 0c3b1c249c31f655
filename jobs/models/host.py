"""Sites, the libvirt hosts in them, and the hosts' storage pools."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.hypervisor import (
    Address,
    AddressError,
    AddressPolicy,
    HostUnreachable,
    validate,
)
from jobs.said import localized, say

name_validator = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9._-]*\Z",
    _(
        "Use letters, digits, dots, dashes and underscores, beginning with a letter or "
        "a digit."
    ),
)


def address_policy() -> AddressPolicy:
    """Return what this installation allows and adds in every host's address."""
    return AddressPolicy(
        socket_prefixes=tuple(settings.BLOCKCOPY_SOCKET_PREFIXES),
        ssh_key=settings.BLOCKCOPY_SSH_KEY,
        known_hosts=settings.BLOCKCOPY_KNOWN_HOSTS,
        pki_path=settings.BLOCKCOPY_PKI_PATH,
    )


class Site(models.Model):
    """A place whose hosts are reached by the same workers (a Celery queue)."""

    name = models.CharField(max_length=63, unique=True, validators=[name_validator])
    description = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Host(models.Model):
    """A libvirt host: how to reach it, and what it last said of itself.

    The address is fields, never a URI; the URI is built from them on every open.
    """

    class Transport(models.TextChoices):
        LOCAL = "local", say("local (this machine's own daemon)")
        SOCKET = "socket", say("socket (a daemon's Unix socket)")
        SSH = "ssh", say("ssh")
        TLS = "tls", say("TLS")

    class Mode(models.TextChoices):
        SYSTEM = "system", say("system")
        SESSION = "session", say("session")

    name = models.CharField(max_length=63, unique=True, validators=[name_validator])
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="hosts")
    transport = models.CharField(max_length=10, choices=Transport)
    host_name = models.CharField(
        max_length=255,
        blank=True,
        help_text=_("For ssh and TLS: the name to connect to."),
    )
    port = models.PositiveIntegerField(
        null=True, blank=True, help_text=_("Empty for the transport's own port.")
    )
    user = models.CharField(
        max_length=32, blank=True, help_text=_("For ssh: the account on the host.")
    )
    mode = models.CharField(
        max_length=10, choices=Mode, default=Mode.SYSTEM, verbose_name="daemon"
    )
    socket = models.CharField(
        max_length=107,
        blank=True,
        help_text=_(
            "For a socket: its path, below a directory that the settings allow."
        ),
    )
    enabled = models.BooleanField(
        default=True, help_text=_("A disabled host is not looked at.")
    )

    production = models.BooleanField(
        default=False,
        help_text=_(
            "Ending a copy on it, or removing what one left, is confirmed by typing "
            "the domain’s name."
        ),
    )

    # What the host said, and when.
    reported_name = models.CharField(max_length=255, blank=True, editable=False)
    uuid = models.CharField(max_length=36, blank=True, editable=False)
    hypervisor = models.CharField(max_length=32, blank=True, editable=False)
    libvirt_version = models.PositiveIntegerField(null=True, editable=False)
    hypervisor_version = models.PositiveIntegerField(null=True, editable=False)
    last_seen_at = models.DateTimeField(null=True, editable=False)
    synced_at = models.DateTimeField(null=True, editable=False)
    sync_asked_at = models.DateTimeField(null=True, editable=False)
    # When the reading of the stored inventory began: it tells nothing from before.
    inventory_began_at = models.DateTimeField(null=True, editable=False)
    error = models.TextField(blank=True, editable=False)
    error_remedy = models.TextField(blank=True, editable=False)
    error_at = models.DateTimeField(null=True, editable=False)

    # Which listener holds the host, and until when.
    listener = models.CharField(max_length=64, blank=True, editable=False)
    listener_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["name"]
        permissions: ClassVar = [
            ("sync_host", "Can ask a host for its inventory"),
            ("test_host", "Can test the connection to a host"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> Address:
        """The address as the hypervisor layer takes it."""
        return Address(
            transport=cast(Any, self.transport),
            host_name=self.host_name,
            port=self.port,
            user=self.user,
            mode=cast(Any, self.mode),
            socket=self.socket,
        )

    @property
    def reachable(self) -> bool | None:
        """Whether the last look succeeded; None before the first one."""
        if self.last_seen_at is None and self.error_at is None:
            return None
        return not self.error

    @property
    def stale(self) -> bool:
        """Whether nobody can tell how it is now: what is known is of when it was last
        seen."""
        return bool(self.error) or not self.enabled

    @property
    def trouble(self) -> str:
        """The error, for where it is said already that the host does not answer."""
        return self.error.removeprefix(HostUnreachable.cause).strip()

    @property
    def silent_for(self) -> float | None:
        """Seconds since the host last answered; None if it never did."""
        if self.last_seen_at is None:
            return None
        return (timezone.now() - self.last_seen_at).total_seconds()

    def clean(self) -> None:
        """Refuse an address that can't be, and to lose sight of running jobs."""
        self._keep_running_jobs_in_sight()
        try:
            validate(self.address, address_policy())
        except AddressError as error:
            raise ValidationError({error.field: localized(error.cause)}) from error

    def _keep_running_jobs_in_sight(self) -> None:
        old = Host.objects.filter(pk=self.pk).first()
        if old is None or (old.address == self.address and self.enabled):
            return
        if self.jobs.active().exists():
            raise ValidationError(
                _(
                    "Copies are active on this host: end them before the host is "
                    "disabled or reached in another way."
                )
            )


# Pools that are nearly full, for a query.
NEARLY_FULL = models.Q(capacity__gt=0, available__lte=models.F("capacity") / 10)


class StoragePool(models.Model):
    """A libvirt storage pool as a host last described it. Sizes in bytes."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="pools")
    uuid = models.CharField(max_length=36)
    name = models.CharField(max_length=255)
    kind = models.CharField(max_length=32)
    active = models.BooleanField()
    path = models.TextField(blank=True)
    capacity = models.BigIntegerField()
    allocation = models.BigIntegerField()
    available = models.BigIntegerField()
    # Which storage of the network it is, in the words of the host's definition; "" for
    # the host's own. Pools of one kind and source on several hosts are the same.
    source = models.TextField(blank=True)
    seen_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["host__name", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["host", "uuid"], name="one_pool_per_uuid")
        ]

    def __str__(self) -> str:
        return f"{self.name} on {self.host}"

    @property
    def used_percent(self) -> int:
        """How full the pool is, 0 to 100; rounded down, so that 100 is full."""
        if not self.capacity:
            return 0
        return 100 * (self.capacity - self.available) // self.capacity

    @property
    def nearly_full(self) -> bool:
        """Whether a tenth or less of it is free."""
        return self.capacity > 0 and self.available <= self.capacity // 10
