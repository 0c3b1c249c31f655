"""Takes the README's screenshots anew, of a real running demo."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from lab.demo import Demo, say
from lab.stack import PROJECT

IMAGES = PROJECT / "docs" / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60_000  # milliseconds


def main() -> None:
    """Start the demo, two copies in it, and write the pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with tempfile.TemporaryDirectory() as directory, Demo(Path(directory)) as demo:
        _start_copies(demo)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=path, args=["--no-sandbox", "--disable-gpu"]
            )
            for scheme, page_path, name in (
                ("light", "/jobs/1/", "job-light.png"),
                ("dark", "/", "overview-dark.png"),
            ):
                page = browser.new_page(
                    base_url=demo.console.url,
                    viewport={"width": 1280, "height": 860},
                    color_scheme="light" if scheme == "light" else "dark",
                )
                _sign_in(page, demo.password)
                page.goto(page_path)
                page.get_by_text("mirroring").first.wait_for(timeout=PATIENCE)
                page.screenshot(path=IMAGES / name)
                say(f"docs/images/{name}")
            browser.close()


def _start_copies(demo: Demo) -> None:
    """One copy that waits for a decision and one that takes its time."""
    fleet = demo.fleet
    for guest, target, more in (
        (fleet.orders, "vda", ("--wait",)),
        (fleet.guests["mail"], "vda", ("--bandwidth", "2MiB", "--buf-size", "1MiB")),
    ):
        to = fleet.destination(guest, target, "qcow2")
        where = (guest.host.name, guest.name, target, "--to", to)
        words = ("--as", "olga", "--reason", "moving to the fast pool", *more)
        demo.console.manage("blockcopy", "job", "start", *where, *words)


def _sign_in(page: Page, password: str) -> None:
    page.goto("/login/")
    page.get_by_label("Name").or_(page.get_by_label("Username")).fill("olga")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Overview").wait_for(timeout=PATIENCE)


if __name__ == "__main__":
    main()
