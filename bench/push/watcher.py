"""A page in a real Chromium that notes when it shows another state of a job."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import BrowserContext, Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Each state that the page shows, by job, when it is first there.
_NOTE = """() => {
  const now = () => performance.timeOrigin + performance.now();
  const shown = new Map();
  window.noted = [];
  const note = (job, badge) => {
    const state = badge && badge.textContent.trim();
    if (!state || shown.get(job) === state) return;
    shown.set(job, state);
    window.noted.push([Number(job), state, now()]);
  };
  const look = () => {
    for (const row of document.querySelectorAll('tr[id^="row-"]'))
      note(row.id.slice(4), row.querySelector(".state"));
    const page = location.pathname.match(/^\\/jobs\\/(\\d+)\\/$/);
    if (page) note(page[1], document.querySelector(".page-title .state"));
  };
  look();
  new MutationObserver(look).observe(document.body,
    {subtree: true, childList: true, characterData: true, attributes: true});
}"""


@dataclass(frozen=True)
class Seen:
    """A state of a job on the page, at an epoch second of this machine's clock."""

    job: int
    state: str
    at: float


class Watcher:
    """One tab."""

    def __init__(self, page: Page, path: str) -> None:
        self.page = page
        self.open(path)

    def open(self, path: str) -> None:
        """Look at that page from now on."""
        self.page.goto(path)
        self.page.locator('#live-state[data-state="live"]').wait_for()
        self.page.evaluate(_NOTE)
        self._offset = self._clock_offset()

    def _clock_offset(self) -> float:
        """How far the browser's clock is ahead, by the quickest of some questions."""
        found = []
        for _ in range(20):
            before = time.time()
            theirs = self.page.evaluate("performance.timeOrigin + performance.now()")
            after = time.time()
            found.append((after - before, theirs / 1000 - (before + after) / 2))
        return float(min(found)[1])

    def seen(self) -> list[Seen]:
        """Return what the page has shown since it was opened."""
        noted = self.page.evaluate("window.noted")
        return [Seen(job, state, at / 1000 - self._offset) for job, state, at in noted]


@contextmanager
def chromium(url: str, session: str) -> Iterator[BrowserContext]:
    """A real Chromium in which somebody is signed in."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        context = browser.new_context(base_url=url)
        context.add_cookies([{"name": "sessionid", "value": session, "url": url}])
        yield context
        browser.close()
