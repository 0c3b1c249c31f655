"""The texts that the scripts say, in each language: a script of its own."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import translation
from django.utils.translation.trans_real import DjangoTranslation
from django.views.i18n import JavaScriptCatalog


class _Catalog(JavaScriptCatalog):
    """Django's, with this console's texts and without the admin's."""

    def get(self, request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
        self.translation = DjangoTranslation(
            translation.get_language() or settings.LANGUAGE_CODE,
            domain=self.domain,
            localedirs=[str(path) for path in settings.LOCALE_PATHS],
        )
        return self.render_to_response(self.get_context_data())


@cache
def script(language: str) -> bytes:
    """Return gettext, ngettext, interpolate and get_format for scripts, with what they
    know of `language`."""
    with translation.override(language):
        return _Catalog().get(HttpRequest()).content


def digest(language: str) -> str:
    """Return what is another for other texts, so that browsers may keep them."""
    return sha256(script(language)).hexdigest()[:12]


def texts_address() -> str:
    """Return where the texts are in the reader's language."""
    language = translation.get_language() or settings.LANGUAGE_CODE
    return reverse("texts", args=[language, digest(language)])
