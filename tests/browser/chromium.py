"""Chromium as the tests drive it: no network but the server, and everything it complains of is kept."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from playwright.sync_api import Browser, Locator, Page, sync_playwright

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")
WIDE, NARROW = (1280, 860), (360, 740)
PATIENCE_MS = 15_000

# Runs in every page before its own scripts; the page's policy does not apply to it.
_OBSERVE = """
window.seen = { violations: [], shift: 0 };
addEventListener("securitypolicyviolation", (event) => {
  window.seen.violations.push(`${event.violatedDirective}: ${event.blockedURI}`);
});
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.seen.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
_SETTLED = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"""
_AXE = """([runOnly]) => axe.run(document, { resultTypes: ["violations"], ...(runOnly && { runOnly }) })
  .then(({ violations }) => violations
  .filter(({ impact }) => impact === "serious" || impact === "critical")
  .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`))"""


@dataclass
class Watched:
    """A page, and what was noticed of it: complaints on its console, and requests to anyone but its server."""

    page: Page
    base: str
    scripted: bool = True
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.add_init_script(_OBSERVE)
        self.page.on("console", lambda message: self._hear(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._note(request.url))

    def open(self, url: str) -> int:
        """Go to a page and wait until it stands still; the status it answered with."""
        answer = self.page.goto(url, wait_until="load")
        self.settle()
        return answer.status if answer is not None else 0

    def follow(self, element: Locator) -> None:
        """Click what leads to another page, and wait until that page is there; a click itself does not wait for it."""
        with self.page.expect_navigation(wait_until="load"):
            element.click()

    def settle(self) -> None:
        """Wait until what is asked of the page is drawn; where scripts are off, nothing tells."""
        if self.scripted:
            self.page.evaluate(_SETTLED)

    def forget(self) -> None:
        """Begin the list of complaints and strangers anew."""
        self.complaints.clear()
        self.strangers.clear()

    @property
    def violations(self) -> list[str]:
        """What the content security policy has refused."""
        return list(self.page.evaluate("window.seen.violations"))

    def barriers(self, *only: str) -> list[str]:
        """Serious and critical violations that axe finds, by all of its rules or by some."""
        return list(self.page.evaluate(_AXE, [list(only) or None]))

    def resize(self, size: tuple[int, int]) -> None:
        """Give the window another size."""
        self.page.set_viewport_size({"width": size[0], "height": size[1]})

    def _hear(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(f"{kind}: {text}")

    def _note(self, url: str) -> None:
        if not url.startswith((f"{self.base}/", "data:", "blob:")):
            self.strangers.append(url)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; there must be one."""
    assert PROGRAM is not None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=list(OPTIONS))
        yield browser
        browser.close()


@contextlib.contextmanager
def watched(browser: Browser, base: str, *, size: tuple[int, int] = WIDE, **options: Any) -> Iterator[Watched]:
    """A page in a profile of its own.

    Parameters
    ----------
    browser
        Where it opens.
    base
        URL of the only server that it may ask.
    size
        Of the window [px].
    options
        Of Playwright's ``new_context``.
    """
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    try:
        yield Watched(context.new_page(), base, options.get("java_script_enabled", True))
    finally:
        context.close()


def with_axe(opened: Watched) -> Watched:
    """The same, with axe in every page that it opens from now on."""
    opened.page.add_init_script(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    return opened
