"""The ASGI application that gunicorn's uvicorn workers serve."""

from __future__ import annotations

import gc
import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "blockcopy_web.settings")
application = get_asgi_application()
# What is loaded now stays. A full collection would go through all of it each time, and
# keep whoever asks for a page just then waiting for a tenth of a second.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 50)
