"""Thumbnails on the screen: the first page, a flip, and what a page weighs."""

from playwright.sync_api import Browser, Response

from benchmarks.catalogue import fill, paint_covers
from benchmarks.harness import Row, Server, folder, server, tell
from benchmarks.screen import clicked_at, flip, new_page, shown_pictures, wait_until_painted
from core.images import PICTURES_PATH
from core.products import PAGE_SIZE
from tests.browser import launched

_FIRST_S, _FLIP_S, _BYTES = 3.0, 1.0, 600_000
_PAGES = 3
_STARTS = 3


def measure() -> list[Row]:
    """Open the dashboard with an empty cache and flip through pages never seen before."""
    first: list[float] = []
    flips: list[float] = []
    sizes: list[int] = []
    with folder() as data:
        tell(f"painting {_PAGES * PAGE_SIZE} real covers of 1200 × 1200")
        fill(data, _PAGES * PAGE_SIZE, paint_covers(_PAGES * PAGE_SIZE))
        for number in range(1, _STARTS + 1):
            tell(f"start {number} of {_STARTS}")
            # The browser first: the clock runs from the moment the server answers.
            with launched() as browser, server(data) as dashboard:
                painted, flipped, size = _visit(browser, dashboard)
            first.append(painted)
            flips += flipped
            sizes.append(size)
    return [
        Row(
            "first page painted with all 24 thumbnails, right after the process is up",
            f"≤ {_FIRST_S:.0f} s",
            f"{max(first):.2f} s (slowest of {len(first)} starts)",
            max(first) <= _FIRST_S,
        ),
        Row(
            "a page flip, click to all 24 new thumbnails painted",
            f"≤ {_FLIP_S:.0f} s",
            f"{max(flips):.2f} s (slowest of {len(flips)}, nothing cached)",
            max(flips) <= _FLIP_S,
        ),
        Row(
            "bytes of pictures for one page of 24",
            f"≤ {_BYTES // 1000} kB",
            f"{max(sizes) / 1000:.0f} kB",
            max(sizes) <= _BYTES,
        ),
    ]


def _visit(browser: Browser, dashboard: Server) -> tuple[float, list[float], int]:
    """Return the time to the first page, those of the flips, and the first page's bytes."""
    with new_page(browser) as page:
        answers: list[Response] = []
        page.on("response", lambda answer: answers.append(answer))
        page.goto(dashboard.url, wait_until="commit")
        painted = wait_until_painted(page, PAGE_SIZE)
        size = sum(len(a.body()) for a in answers if PICTURES_PATH in a.url)
        flips = []
        for number in range(2, _PAGES + 1):
            page.wait_for_timeout(1500)  # as one looks at a page; and the server is done with it
            old = shown_pictures(page)
            flip(page, f"Page {number}")
            end = wait_until_painted(page, PAGE_SIZE, instead_of=old)
            flips.append(end - clicked_at(page))
    return painted, flips, size
