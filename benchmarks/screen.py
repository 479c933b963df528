"""What the browser shows, and when: its own clock says when something was clicked or painted."""

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, Page, TimeoutError
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.harness import NotMeasuredError

_LIMIT_S = 120.0
_REMEMBER_CLICKS = "addEventListener('click', () => { window.clickedAt = performance.now() }, true)"
_ARE_THERE = """([count, old]) => {
    const images = [...document.querySelectorAll('[class*="st-key-card-"] img')];
    return images.length === count
        && images.every(i => i.complete && i.naturalWidth > 0 && !old.includes(i.src));
}"""
_DECODED_AND_DRAWN = """async () => {
    const images = [...document.querySelectorAll('[class*="st-key-card-"] img')];
    await Promise.all(images.map(image => image.decode()));
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    return performance.now();
}"""


@contextmanager
def new_page(browser: Browser) -> Iterator[Page]:
    """Yield a page with an empty cache that remembers when it was clicked."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.add_init_script(_REMEMBER_CLICKS)
    try:
        page = context.new_page()
        page.set_default_timeout(_LIMIT_S * 1000)
        yield page
    finally:
        context.close()


def wait_until_painted(page: Page, count: int, *, instead_of: tuple[str, ...] = ()) -> float:
    """Wait until exactly ``count`` cards show a picture; return when, in seconds since navigation.

    ``instead_of`` are the addresses of pictures that must be gone.
    """
    try:
        page.wait_for_function(_ARE_THERE, arg=[count, list(instead_of)], polling="raf")
    except TimeoutError:
        shown = len(shown_pictures(page))
        raise NotMeasuredError(f"{shown} pictures on the screen, not {count}") from None
    return float(page.evaluate(_DECODED_AND_DRAWN)) / 1000


def shown_pictures(page: Page) -> tuple[str, ...]:
    """Return the addresses of the cards' pictures."""
    images = page.locator('[class*="st-key-card-"] img')
    return tuple(images.evaluate_all("images => images.map(image => image.src)"))


def clicked_at(page: Page) -> float:
    """Return when the last click was, in seconds since navigation."""
    return float(page.evaluate("window.clickedAt")) / 1000


def flip(page: Page, button: str) -> None:
    """Click on one of the buttons below the grid: ``Page 2``, ``Next page``, ``Previous page``."""
    page.get_by_test_id("stPagination").get_by_role("button", name=button, exact=True).click()


@dataclass(frozen=True)
class Run:
    """One run of the page's script, as the browser saw it; in seconds of the browser's clock."""

    asked: float
    finished: float


class Websocket:
    """Notes when the browser asks for a run and when the server says that it has finished.

    The times are taken by the browser's network process, when the message is there.
    """

    def __init__(self, page: Page) -> None:
        self.runs: list[Run] = []
        self._page = page
        self._asked: float | None = None
        self._started: float | None = None
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.webSocketFrameSent", self._sent)
        session.on("Network.webSocketFrameReceived", self._received)

    def settle(self, *, quiet_s: float = 0.4) -> None:
        """Return once nothing has run for a while."""
        end = time.monotonic() + _LIMIT_S
        seen, since = -1, time.monotonic()
        while time.monotonic() - since < quiet_s:
            self._page.wait_for_timeout(20)
            is_busy = self._asked is not None or self._started is not None
            if is_busy or len(self.runs) != seen:
                seen, since = len(self.runs), time.monotonic()
            if time.monotonic() > end:
                raise NotMeasuredError("a run of the page's script never came to its end")

    def _sent(self, event: dict[str, Any]) -> None:
        message = BackMsg()
        message.ParseFromString(base64.b64decode(event["response"]["payloadData"]))
        if message.WhichOneof("type") == "rerun_script" and self._asked is None:
            self._asked = event["timestamp"]  # one click may ask twice; the first counts

    def _received(self, event: dict[str, Any]) -> None:
        message = ForwardMsg()
        message.ParseFromString(base64.b64decode(event["response"]["payloadData"]))
        kind, now = message.WhichOneof("type"), event["timestamp"]
        if kind == "new_session":
            self._started = now
        elif kind == "script_finished" and self._started is not None:
            self.runs.append(Run(self._asked or self._started, now))
            self._started = None
            if message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                self._asked = None
