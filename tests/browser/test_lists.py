"""Lists by clicking: filters, order, pages, and by keyboard alone."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.browser.chromium import Watched
from tests.browser.conftest import Open
from tests.browser.sites import Site

pytestmark = pytest.mark.live


def column(opened: Watched, name: str) -> list[str]:
    """Texts of a column of the page's table, by the beginning of its head."""
    heads = [text.strip() for text in opened.page.locator("table thead th").all_inner_texts()]
    number = next(n for n, text in enumerate(heads) if text.startswith(name))
    return [
        text.strip() for text in opened.page.locator(f"table tbody tr > :nth-child({number + 1})").all_inner_texts()
    ]


def asked(opened: Watched) -> dict[str, list[str]]:
    """Parameters in the address of the page."""
    return parse_qs(urlsplit(opened.page.url).query)


def test_filter_of_images_is_typed_applied_shared_and_removed(site: Site, open_page: Open) -> None:
    opened = open_page(f"{site.server.base}/console/images")
    page = opened.page
    page.get_by_label("Field").fill("3C286")
    page.get_by_label("warn").check()
    page.get_by_label("Noise").fill("0.7")
    opened.follow(page.get_by_role("button", name="Apply"))
    assert asked(opened) == {"field_name": ["3C286"], "qa_grade": ["warn"], "max_noise_jy": ["0.0007"]}
    assert set(column(opened, "field")) == {"3C286"}
    assert all("warn" in text for text in column(opened, "grade"))
    shared = open_page(page.url)
    assert column(shared, "id") == column(opened, "id")
    assert shared.page.get_by_role("textbox", name="Noise").input_value() == "0.7"
    opened.follow(page.get_by_role("link", name="Remove the filter field = 3C286"))
    assert "field_name" not in asked(opened)
    opened.follow(page.get_by_role("link", name="Remove all"))
    assert asked(opened) == {}
    assert opened.complaints == []


def test_head_of_a_column_sorts_the_list_both_ways(site: Site, open_page: Open) -> None:
    opened = open_page(f"{site.server.base}/console/sources?limit=100")
    for direction in ("descending", "ascending"):
        opened.follow(opened.page.locator("thead").get_by_role("link", name="η", exact=True))
        head = opened.page.locator("th", has=opened.page.get_by_role("link", name="η", exact=True))
        assert head.get_attribute("aria-sort") == direction
        values = [float(text) for text in column(opened, "η") if text != "–"]
        assert values == sorted(values, reverse=direction == "descending")
        assert len(values) > 40


@pytest.mark.parametrize(("path", "key", "total"), [("jobs", "run", 38), ("ms", "file", 36), ("cal", "file", 36)])
def test_pages_are_walked_to_the_end_without_a_gap(
    site: Site, open_page: Open, path: str, key: str, total: int
) -> None:
    opened = open_page(f"{site.server.base}/console/{path}?limit=15")
    seen = column(opened, key)
    while opened.page.get_by_role("link", name="Next page").count():
        opened.follow(opened.page.get_by_role("link", name="Next page"))
        seen += column(opened, key)
    assert (len(seen), len(set(seen))) == (total, total)
    opened.follow(opened.page.get_by_role("link", name="First page"))
    assert column(opened, key) == seen[:15]


def test_everything_is_within_reach_of_the_keyboard(site: Site, open_page: Open) -> None:
    opened = open_page(f"{site.server.base}/console/cal?limit=6")
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.closest('form, nav, svg, table, .curl')?.tagName.toLowerCase()")
        )
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
    assert {"form", "svg", "table"} <= reached


def test_point_of_a_light_curve_leads_to_its_image_by_keyboard(site: Site, open_page: Open) -> None:
    source = site.server.get("/api/v1/sources?limit=1&min_n_fluxes=5").json()[0]["id"]
    opened = open_page(f"{site.server.base}/console/sources?id={source.replace('+', '%2B')}")
    opened.follow(opened.page.locator("tbody a").first)
    point = opened.page.locator("svg a.point").first
    point.focus()
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_url("**/console/images/*", wait_until="commit")


def test_pages_work_without_javascript(site: Site, open_page: Open) -> None:
    opened = open_page(f"{site.server.base}/console/jobs", java_script_enabled=False)
    opened.page.get_by_label("failed").check()
    opened.follow(opened.page.get_by_role("button", name="Apply"))
    assert set(opened.page.locator("tbody tr > :nth-child(2)").all_inner_texts()) == {"failed"}
    opened.follow(opened.page.locator("tbody a").first)
    assert opened.page.get_by_role("button", name="Run again").is_disabled()
    assert "curl -X POST" in opened.page.locator("main").inner_text()
    assert opened.page.locator("noscript").count()
