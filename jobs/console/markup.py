"""Markup that is written in Python: the rows of lists, for which a template takes three
to five times as long, and longer than for all the rest of the page.

Everything goes through format_html, so that it is escaped as in a template.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.urls import get_script_prefix, reverse
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

NOTHING = mark_safe("")


def told(message: str, **parts: Any) -> SafeString:
    """A message of the catalog with its parts escaped, as blocktranslate has it."""
    escaped = {name: conditional_escape(part) for name, part in parts.items()}
    return mark_safe(message % escaped)  # noqa: S308


def address_of(page: str, *args: Any) -> str:
    """The address of a page by its name; a list has a hundred, the same each time."""
    return _reversed(get_script_prefix(), page, args)


@lru_cache(maxsize=10_000)
def _reversed(_prefix: str, page: str, args: tuple[Any, ...]) -> str:
    return reverse(page, args=args)
