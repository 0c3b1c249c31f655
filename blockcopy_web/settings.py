"""Settings, all of them from the environment; secrets also from NAME_FILE.

A setting that is missing or makes no sense ends the start with one sentence.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext
import structlog
from bootstrap_wrapper import get_bootstrap_dir
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from environs import FileAwareEnv, validate

# Lets generic classes of Django be written with their types at run time too.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = FileAwareEnv()

# --- What an installation chooses -------------------------------------------------

DEBUG = env.bool("BLOCKCOPY_DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY", "")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "SECRET_KEY is not set: put 50 random characters into the environment "
        "variable SECRET_KEY, or into a file named by SECRET_KEY_FILE."
    )
ALLOWED_HOSTS = env.list("BLOCKCOPY_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("BLOCKCOPY_CSRF_TRUSTED_ORIGINS", [])
REDIS_URL = env.str("REDIS_URL", "redis://127.0.0.1:6379/0")
if REDIS_URL.split("://")[0] not in {"redis", "rediss", "unix"}:
    raise ImproperlyConfigured(
        "REDIS_URL must begin with redis://, rediss:// or unix://, "
        f"not with {REDIS_URL.split('://')[0]}."
    )

# Sites whose hosts this machine's worker reaches; each site is a Celery queue.
BLOCKCOPY_SITES = env.list("BLOCKCOPY_SITES", ["default"])
# How often a host is asked for everything that it has, in seconds.
BLOCKCOPY_INVENTORY_SECONDS = env.int(
    "BLOCKCOPY_INVENTORY_SECONDS", 60, validate=validate.Range(min=1)
)
# How often each host is looked at for copies that were begun elsewhere, in seconds.
BLOCKCOPY_SWEEP_SECONDS = env.int(
    "BLOCKCOPY_SWEEP_SECONDS", 5, validate=validate.Range(min=1)
)
# Local sockets may be named in a host's address only below these directories.
BLOCKCOPY_SOCKET_PREFIXES = env.list(
    "BLOCKCOPY_SOCKET_PREFIXES", ["/run/libvirt"], delimiter=":"
)
# Whether a directory that no storage pool covers may be looked at through a transient
# pool, which is taken away again at once.
BLOCKCOPY_TRANSIENT_POOLS = env.bool("BLOCKCOPY_TRANSIENT_POOLS", True)
# The console's own credentials towards the hosts; paths, never typed by a user.
BLOCKCOPY_SSH_KEY = env.str("BLOCKCOPY_SSH_KEY", "")
BLOCKCOPY_KNOWN_HOSTS = env.str("BLOCKCOPY_KNOWN_HOSTS", "")
BLOCKCOPY_PKI_PATH = env.str("BLOCKCOPY_PKI_PATH", "")
# Behind a reverse proxy that sets X-Forwarded-For and -Proto.
BLOCKCOPY_BEHIND_PROXY = env.bool("BLOCKCOPY_BEHIND_PROXY", False)
BLOCKCOPY_HTTPS = env.bool("BLOCKCOPY_HTTPS", False)

# --- The audit log (docs/audit.md) ------------------------------------------------

# Keys that sign its entries, between white space: the first signs, all verify.
BLOCKCOPY_AUDIT_KEY = env.str("BLOCKCOPY_AUDIT_KEY", "")
if any(len(key) < 32 for key in BLOCKCOPY_AUDIT_KEY.split()):
    raise ImproperlyConfigured(
        "BLOCKCOPY_AUDIT_KEY holds a key of less than 32 characters: make one with "
        "“openssl rand -hex 32”."
    )
# Where the chain's end is written down: a file that only grows, and a web address.
BLOCKCOPY_AUDIT_CHECKPOINTS = env.str("BLOCKCOPY_AUDIT_CHECKPOINTS", "")
BLOCKCOPY_AUDIT_WEBHOOK = env.str("BLOCKCOPY_AUDIT_WEBHOOK", "")
if BLOCKCOPY_AUDIT_WEBHOOK and (
    urlsplit(BLOCKCOPY_AUDIT_WEBHOOK).scheme not in {"http", "https"}
    or not urlsplit(BLOCKCOPY_AUDIT_WEBHOOK).hostname
):
    raise ImproperlyConfigured(
        "BLOCKCOPY_AUDIT_WEBHOOK must begin with http:// or https:// and name a host."
    )
# How long after a new entry that happens at the latest, and after how many of them.
BLOCKCOPY_AUDIT_CHECKPOINT_SECONDS = env.int(
    "BLOCKCOPY_AUDIT_CHECKPOINT_SECONDS", 60, validate=validate.Range(min=1)
)
BLOCKCOPY_AUDIT_CHECKPOINT_ENTRIES = env.int(
    "BLOCKCOPY_AUDIT_CHECKPOINT_ENTRIES", 100, validate=validate.Range(min=1)
)

# --- Database ---------------------------------------------------------------------

DATABASES: dict[str, Any] = {
    "default": env.dj_db_url(
        "DATABASE_URL", f"sqlite:///{VAR_DIR / 'blockcopy.sqlite3'}"
    )
}
_database = DATABASES["default"]
# The same backends, which chain audit entries at the commit.
_database["ENGINE"] = _database["ENGINE"].replace(
    "django.db.backends", "blockcopy_web.database"
)
if _database["ENGINE"].endswith("sqlite3"):
    # Measured: without IMMEDIATE a transaction that reads before it writes fails at
    # once with "database is locked", whatever the timeout.
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
elif _database["ENGINE"].endswith("postgresql"):
    # A thread that waits for a hypervisor keeps its connection, so there must be one
    # for each thread of a worker.
    # A restarted server leaves dead connections in the pool; each would fail a request.
    _database["CONN_HEALTH_CHECKS"] = True
    _pool = {"min_size": 1, "max_size": env.int("BLOCKCOPY_DATABASE_CONNECTIONS", 20)}
    _database["OPTIONS"] = {**_database.get("OPTIONS", {}), "pool": _pool}
else:
    raise ImproperlyConfigured("DATABASE_URL must name PostgreSQL or SQLite.")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Application ------------------------------------------------------------------

INSTALLED_APPS = [
    "jobs.apps.ConsoleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.forms",
    "whitenoise.runserver_nostatic",
    "jobs.apps.StaticConfig",
    "django_htmx",
    "template_partials",
    "heroicons",
    "csp",
    "django_structlog",
    "jobs.apps.JobsConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "jobs.console.middleware.CompressionMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "jobs.console.middleware.ReaderMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "jobs.console.middleware.synchronous",
]
ROOT_URLCONF = "blockcopy_web.urls"
ASGI_APPLICATION = "blockcopy_web.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": {
                name: f"jobs.console.templatetags.{name}"
                for name in ("console", "fleet_rows", "rows")
            },
        },
    }
]
# Widgets are drawn by the templates above, as far as there is one of ours.
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
AUTHENTICATION_BACKENDS = ["jobs.roles.RolesBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
# Each in its own language: whoever can't read this page looks for it.
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["blockcopy_web.formats"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

# --- Static files: everything comes from here, nothing from another host ------------

STATIC_URL = "static/"
STATIC_ROOT = env.path("BLOCKCOPY_STATIC_ROOT", VAR_DIR / "static")
STATICFILES_DIRS = [BASE_DIR / "static", ("bootstrap", get_bootstrap_dir())]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if not DEBUG
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True

# --- Security ---------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = BLOCKCOPY_HTTPS
CSRF_COOKIE_SECURE = BLOCKCOPY_HTTPS
SECURE_SSL_REDIRECT = BLOCKCOPY_HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if BLOCKCOPY_HTTPS else 0
if BLOCKCOPY_BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- Celery -----------------------------------------------------------------------

CELERY_BROKER_URL = (
    REDIS_URL.replace("unix://", "redis+socket://", 1)
    if REDIS_URL.startswith("unix://")
    else REDIS_URL
)
# A page must not wait for a broker that is away: the tick asks again.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "max_retries": 1,
    "interval_start": 0.2,
    "connect_retries_timeout": 1,
    # Nor for one that took the connection and does not answer.
    "socket_connect_timeout": 2.0,
    "socket_timeout": 5.0,
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "engine"
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY = env.int(
    "BLOCKCOPY_WORKER_THREADS", 16, validate=validate.Range(min=2)
)
CELERY_BEAT_SCHEDULE = {
    "tick": {"task": "jobs.tasks.tick", "schedule": 1.0, "options": {"expires": 2.0}}
}
CELERY_BEAT_SCHEDULE_FILENAME = str(
    env.path("BLOCKCOPY_BEAT_FILE", VAR_DIR / "celerybeat-schedule")
)

# --- Logging: one line of key=value (or JSON) per event, on standard error -----------

LOG_JSON = env.bool("BLOCKCOPY_LOG_JSON", False)
_shared_processors: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
structlog.configure(
    processors=[
        *_shared_processors,
        structlog.stdlib.filter_by_level,
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.processors.JSONRenderer()
            if LOG_JSON
            else structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "logger", "event"]
            ),
            "foreign_pre_chain": [
                *_shared_processors,
                structlog.processors.format_exc_info,
            ],
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("BLOCKCOPY_LOG_LEVEL", "INFO")},
    "loggers": {
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "django_structlog.celery": {"level": "WARNING"},
    },
}
DJANGO_STRUCTLOG_CELERY_ENABLED = True
# A page that is left ends its event stream: every day's business, no warning.
DJANGO_STRUCTLOG_REQUEST_CANCELLED_LOG_LEVEL = logging.INFO
