"""The language of whoever reads the page that is being made, as Django knows it."""

from __future__ import annotations

from django.utils.formats import get_format
from django.utils.translation import gettext, ngettext

__all__ = ["decimal_point", "gettext", "ngettext"]


def decimal_point() -> str:
    """Return what stands between a number's whole part and the rest."""
    return str(get_format("DECIMAL_SEPARATOR"))
