"""The product's settings, with what a test run may choose by itself."""

from __future__ import annotations

import os

os.environ.setdefault("SECRET_KEY", "only for tests")
os.environ.setdefault("BLOCKCOPY_DEBUG", "true")
# Playwright keeps an event loop in the tests' own thread; Django would refuse the
# database there, although nothing of Django runs in that loop.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

from blockcopy_web.settings import *  # noqa: F403

DEBUG = False
# WhiteNoise warns of a missing directory, and warnings are errors here.
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # noqa: F405
# Signing in must not be what the tests wait for.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# In the memory of each test process. That is Django's default, which pytest-xdist
# does not see in a backend of our own.
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    DATABASES["default"]["TEST"] = {"NAME": ":memory:"}  # noqa: F405
