"""The product's settings, with one address more."""

from __future__ import annotations

from blockcopy_web.settings import *  # noqa: F403

ROOT_URLCONF = "bench.pages.bare"
