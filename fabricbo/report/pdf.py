"""A page as PDF, printed by a browser that is there."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge")
"""Programs that print, besides what Playwright has fetched for itself."""
_WIDTH, _HEIGHT = 794, 1123
"""Of an A4 page in CSS pixels."""
_PATIENCE = 180_000
"""Milliseconds that a page may take."""


class NoBrowserError(ValueError):
    """Nothing here can print the page."""


def write_pdf(page: Path, target: Path | None = None) -> Path:
    """Print a page of ours, by default beside it; returns where.

    It is printed light, whatever the screen is, with everything unfolded; the browser is let at no
    other host.

    Raises:
        NoBrowserError: Playwright or a browser is missing; says how to get it.
    """
    target = (target or page.with_suffix(".pdf")).absolute()
    if find_spec("playwright") is None:
        raise NoBrowserError(
            "a PDF needs Playwright and a browser: pip install 'fabricbo[pdf]', then "
            "playwright install chromium (or your system's Chromium); or print the page by hand: "
            f"{page}"
        )
    part = target.with_suffix(f".{os.getpid()}.part")
    try:
        _print(page.absolute(), part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _print(page: Path, target: Path) -> None:
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        program = _browser(Path(playwright.chromium.executable_path))
        try:
            with playwright.chromium.launch(executable_path=program) as browser:
                _print_with(browser, page, target)
        except Error as error:
            reason = str(error).partition("\n")[0]
            raise NoBrowserError(f"{program} cannot print the page: {reason}") from error


def _print_with(browser: "Browser", page: Path, target: Path) -> None:
    opened = browser.new_page(
        viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme="light", offline=True
    )
    opened.set_default_timeout(_PATIENCE)
    opened.goto(page.as_uri())
    opened.emulate_media(media="print", color_scheme="light")
    opened.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    opened.pdf(
        path=target,
        format="A4",
        print_background=True,
        margin={"top": "12mm", "bottom": "12mm", "left": "12mm", "right": "12mm"},
    )


def _browser(fetched: Path) -> Path:
    """Return the browser that Playwright has fetched, else the system's.

    Raises:
        NoBrowserError: there is neither.
    """
    if fetched.is_file():
        return fetched
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise NoBrowserError(
            "a PDF needs a browser, and there is none here: playwright install chromium, or "
            f"install one of {', '.join(BROWSERS)}"
        )
    return Path(found)
