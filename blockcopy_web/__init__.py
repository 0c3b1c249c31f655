"""The Django project: settings, addresses, the ASGI and the Celery application."""

from __future__ import annotations

from blockcopy_web.celery import app as celery_app

__all__ = ["celery_app"]
