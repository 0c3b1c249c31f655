"""Has each page made for its reader, and sent in few bytes and without detours."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.utils import timezone, translation
from django.utils.decorators import sync_only_middleware
from django.utils.deprecation import MiddlewareMixin

from jobs.console.preferences import preferences_of

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class ReaderMiddleware(MiddlewareMixin):
    """Activates the time zone and the language that the signed-in person has chosen.

    Without a choice the zone is UTC here, which the browser turns into its own, and
    the language is what LocaleMiddleware made of the browser's wish.
    """

    def process_request(self, request: HttpRequest) -> None:
        """Activate what was chosen; one query for who is signed in."""
        chosen = preferences_of(request.user)
        if chosen.language in dict(settings.LANGUAGES):
            translation.activate(chosen.language)
            request.LANGUAGE_CODE = translation.get_language()
        if chosen.zone:
            timezone.activate(chosen.zone)
        else:
            timezone.deactivate()

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Leave no reader's zone to what this thread does next."""
        timezone.deactivate()
        return response


class CompressionMiddleware(GZipMiddleware):
    """Compresses pages; what streams goes out as it comes.

    A page's length could betray a secret to whoever can make a person ask for it again
    and again with guesses in the address (BREACH). The only secret in our pages is
    the CSRF token, which is written in another way each time; Django adds random
    bytes besides; and the session's cookie goes with no request that another site
    makes but for whole pages.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if response.streaming:
            return response
        return super().process_response(request, response)


@sync_only_middleware
def synchronous(get_response: GetResponse) -> GetResponse:
    """Keeps a page in one thread from the first middleware to the last.

    It is the innermost one, and does nothing. Without it Django would take each of the
    others for asynchronous, and change threads twice for each: half of the time that a
    small page took.
    """
    return get_response
