"""What the scripts say, in the reader's language."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET

from jobs.console.texts import digest, script


@login_not_required
@require_GET
@cache_control(public=True, max_age=365 * 24 * 3600, immutable=True)
def texts(request: HttpRequest, language: str, version: str) -> HttpResponse:
    """Answer with the texts; with 404 if others stand there by now."""
    if language not in dict(settings.LANGUAGES) or version != digest(language):
        raise Http404
    return HttpResponse(script(language), 'text/javascript; charset="utf-8"')
