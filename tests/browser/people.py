"""People, each at a browser of their own, and what that browser complains of."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    StorageState,
    sync_playwright,
)

from tests.conftest import PASSWORD

# A loaded machine is slow, never wrong: what is waited for comes, or is missing.
PATIENCE = 40_000  # milliseconds

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update"),
    "--disable-sync",
)


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """The machine's own Chromium, without a window."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    assert path, f"None of {', '.join(_NAMES)} is installed."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_OPTIONS))
        yield browser
        browser.close()


# htmx says so of a request for which nobody waits any more: a newer one replaced it, or
# the page was left.
_GIVEN_UP = "htmx:(afterRequest|sendAbort),"


class Person:
    """Somebody at a browser of their own.

    Whatever the browser complains of (errors of scripts, of the content policy, of
    requests) and every dialog of the browser's own is kept in `complaints`.
    """

    def __init__(
        self,
        browser: Browser,
        address: str,
        name: str,
        *,
        state: StorageState | None = None,
        **options: Any,
    ) -> None:
        self.name = name
        self.context: BrowserContext = browser.new_context(
            base_url=address, storage_state=state, **options
        )
        self.context.set_default_timeout(PATIENCE)
        self._complaints: list[str] = []
        self._expected = [_GIVEN_UP]
        self.context.on("console", self._note_message)
        self.context.on("weberror", lambda error: self._note(str(error.error)))
        self.context.on("dialog", self._note_dialog)
        self.page: Page = self.context.new_page()

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._note(f"{message.text} ({message.location.get('url', '')})")

    def _note_dialog(self, dialog: Dialog) -> None:
        self._note(f"a dialog opened: {dialog.message}")
        dialog.dismiss()

    def _note(self, words: str) -> None:
        self._complaints.append(f"{self.name} at {self.page.url}: {words}")

    def expect_refusal(self, status: int) -> None:
        """Let the browser complain of an answer: a refusal is an error to it."""
        self._expected.append(f"status of {status}|Status Error Code {status} ")

    def expect_broken_line(self) -> None:
        """Let the browser complain that it can't reach the server."""
        self._expected.append("net::ERR_|htmx:sendError")

    @property
    def complaints(self) -> list[str]:
        """What the browser complained of, but for what was to be expected."""
        expected = re.compile("|".join(self._expected))
        return [words for words in self._complaints if not expected.search(words)]

    def sign_in(self, password: str = PASSWORD) -> None:
        """Fill in the sign-in page that is open, and send it."""
        self.page.get_by_label("User name").fill(self.name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def leave(self) -> None:
        """Close the browser's windows."""
        self.context.close()
