# The console's processes. One image serves them all; see docker-compose.yml for the
# command of each, and docs/containers.md for how its way to the hosts is opened.

FROM python:3.11-slim-bookworm AS build

RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc gettext libc6-dev libvirt-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
RUN python -m venv /opt/console
ENV PATH=/opt/console/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements-build.txt requirements.txt ./
# Nothing is installed whose hash is not known, the tools that build packages included.
RUN pip install --require-hashes -r requirements-build.txt \
    && pip install --require-hashes --no-build-isolation -r requirements.txt
COPY locale ./locale
RUN for texts in locale/*/LC_MESSAGES/*.po; do \
        msgfmt --check-format --output-file="${texts%.po}.mo" "$texts" || exit; \
    done


FROM python:3.11-slim-bookworm

# libvirt's client library, and ssh for hosts that are reached that way.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libvirt0 openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --create-home --shell /usr/sbin/nologin console
COPY --from=build /opt/console /opt/console
WORKDIR /srv/console
COPY manage.py ./
COPY blockcopy_web ./blockcopy_web
COPY jobs ./jobs
COPY templates ./templates
COPY static ./static
COPY --from=build /build/locale ./locale
ENV PATH=/opt/console/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BLOCKCOPY_STATIC_ROOT=/srv/static \
    BLOCKCOPY_BEAT_FILE=/tmp/celerybeat-schedule
RUN SECRET_KEY=only-for-this-step python manage.py collectstatic --noinput --verbosity 0

USER console
EXPOSE 8000
CMD ["gunicorn", "blockcopy_web.asgi:application", \
     "--worker-class", "uvicorn_worker.UvicornWorker", "--bind", "0.0.0.0:8000", \
     "--workers", "2", "--graceful-timeout", "5", "--no-control-socket"]
