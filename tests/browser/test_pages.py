"""Every page of the console, as a browser shows it: wide and narrow, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import NARROW, WIDE, Watched, watched, with_axe
from tests.browser.sites import VIEWS, Site, View

pytestmark = pytest.mark.live

# Chromium says on the console that a page was answered with an error, and that a picture is missing: the survey has an
# image in CASA's own format, of which no picture can be made.
_SAID_ANYWAY = "the server responded with a status of 4"

_LOOK = """async () => {
  scrollTo(0, document.body.scrollHeight);
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const count = (selector) => document.querySelectorAll(selector).length;
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  return {
    ...window.seen,
    title: document.title,
    titles: count("h1"),
    mains: count("main"),
    inline: count("[style], style, script:not([src])"),
    repeated: ids.filter((id, n) => ids.indexOf(id) !== n),
  };
}"""


class Visit(NamedTuple):
    """What was found on a page that was looked at to its end.

    ``facts`` are those of the wide page; ``barriers`` and ``dim`` what axe finds in the light, and of contrast in the
    dark; ``width_px`` how wide it is in a narrow window.
    """

    view: View
    status: int
    facts: dict[str, Any]
    complaints: list[str]
    strangers: list[str]
    barriers: list[str]
    dim: list[str]
    width_px: int


@pytest.fixture(scope="module")
def window(browser: Browser, site: Site) -> Iterator[Watched]:
    with watched(browser, site.server.base) as opened:
        yield with_axe(opened)


@pytest.fixture(scope="module", params=VIEWS, ids=[view.name for view in VIEWS])
def visit(request: pytest.FixtureRequest, window: Watched, site: Site) -> Visit:
    view: View = request.param
    window.forget()
    window.resize(WIDE)
    window.page.emulate_media(color_scheme="light")
    status = window.open(site.url(view))
    facts = window.page.evaluate(_LOOK)
    barriers = window.barriers()
    window.page.emulate_media(color_scheme="dark")
    dim = window.barriers("color-contrast")
    window.resize(NARROW)
    width_px = window.page.evaluate("document.documentElement.scrollWidth")
    complaints = [text for text in window.complaints if _SAID_ANYWAY not in text]
    return Visit(view, status, facts, complaints, list(window.strangers), barriers, dim, width_px)


def test_page_loads_without_a_complaint(visit: Visit) -> None:
    assert visit.status == visit.view.status
    assert visit.complaints == []
    assert visit.facts["violations"] == []


def test_page_asks_nobody_but_its_server(visit: Visit) -> None:
    assert visit.strangers == []


def test_nothing_moves_while_a_page_loads(visit: Visit) -> None:
    assert visit.facts["shift"] < 0.005


def test_page_is_made_of_one_of_each(visit: Visit) -> None:
    assert (visit.facts["titles"], visit.facts["mains"], visit.facts["inline"]) == (1, 1, 0)
    assert visit.facts["repeated"] == []
    assert visit.facts["title"].endswith("DSA-110 continuum survey")


def test_page_is_open_to_everyone(visit: Visit) -> None:
    assert visit.barriers == []


def test_page_has_enough_contrast_in_the_dark(visit: Visit) -> None:
    assert visit.dim == []


def test_page_fits_a_phone(visit: Visit) -> None:
    assert visit.width_px <= NARROW[0]
