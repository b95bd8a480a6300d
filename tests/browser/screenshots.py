"""Pictures of every page of the console, light and dark, wide and narrow.

``python -m tests.browser.screenshots DIRECTORY [NAME …]``
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from tests.browser.chromium import NARROW, WIDE, Watched, chromium, watched
from tests.browser.sites import VIEWS, Site, View, demo_site

LOOKS = tuple((scheme, size) for scheme in ("light", "dark") for size in (WIDE, NARROW))
DOCUMENTS = tuple((scheme, (1080, 720)) for scheme in ("light", "dark"))
# Where the survey lies in documents, and where it is served; what a picture shows is nobody's machine.
_SHOWN_SURVEY, _SHOWN_SERVER = "/data/contimg/demo-data", "localhost:8000"
_RENAME = """(names) => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    for (const [is, shown] of names) walker.currentNode.data = walker.currentNode.data.replaceAll(is, shown);
  }
}"""
# A document's pictures are small.
_MOST_BYTES = 200_000
_FEWER_COLOURS = (200, 128, 80, 56, 40)
# Pictures that a page asks for late are drawn by then.
_DRAWN = "() => [...document.images].every((image) => image.complete)"


def main() -> None:
    """Take the pictures that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="where the pictures go")
    parser.add_argument("names", nargs="*", help="only these pages")
    parser.add_argument("--top", action="store_true", help="what fits the window, not the whole page")
    parser.add_argument("--small", action="store_true", help="a smaller window and fewer colours, for documents")
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    views = [view for view in VIEWS if not options.names or view.name in options.names]
    with tempfile.TemporaryDirectory() as directory, demo_site(Path(directory)) as site, chromium() as browser:
        for scheme, size in DOCUMENTS if options.small else LOOKS:
            taken = _take(browser, site, views, scheme, size, options.directory, whole=not options.top)
            for target in taken if options.small else ():
                _shrink(target)


def _take(
    browser: Browser,
    site: Site,
    views: list[View],
    scheme: str,
    size: tuple[int, int],
    directory: Path,
    *,
    whole: bool,
) -> list[Path]:
    taken = []
    with watched(browser, site.server.base, size=size, color_scheme=scheme) as opened:
        for view in views:
            opened.open(site.url(view))
            _see_everything(opened)
            opened.page.evaluate(
                _RENAME,
                [[str(site.demo.directory), _SHOWN_SURVEY], [site.server.base.removeprefix("http://"), _SHOWN_SERVER]],
            )
            target = directory / f"{view.name}-{scheme}-{size[0]}.png"
            opened.page.screenshot(path=target, full_page=whole)
            sys.stdout.write(f"{target}\n")
            taken.append(target)
    return taken


def _see_everything(opened: Watched) -> None:
    page = opened.page
    page.evaluate("for (const image of document.images) image.loading = 'eager'")
    page.wait_for_function(_DRAWN)
    opened.settle()


def _shrink(target: Path) -> None:
    from PIL import Image

    with Image.open(target) as opened:
        picture = opened.convert("RGB")
    for colours in _FEWER_COLOURS:
        picture.quantize(colours, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            target, optimize=True
        )
        if target.stat().st_size < _MOST_BYTES:
            return


if __name__ == "__main__":
    main()
