import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests import browser as browsers

TIME_LIMIT_MS = 30_000
_STREAMLIT_PROBE = re.compile(r"/\w+/_stcore/(?:host-config|health)$")

expect.set_options(timeout=TIME_LIMIT_MS)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    with browsers.launched() as browser:
        yield browser


@dataclass
class Watch:
    """What a browser said and asked for while tests used it."""

    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def on_console(self, message: ConsoleMessage) -> None:
        place = message.location.get("url", "")
        if message.type == "error" and not _STREAMLIT_PROBE.search(place):
            self.errors.append(f"{message.text} ({place})")

    def follow(self, page: Page) -> None:
        page.on("console", self.on_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))


@dataclass
class Marketer:
    """A person with a browser of their own, looking at one site."""

    context: BrowserContext
    url: str

    def open(self, path: str = "/") -> Page:
        page = self.context.new_page()
        page.goto(self.url + path)
        return page


@pytest.fixture
def marketer_at(chromium: Browser) -> Iterator[Callable[[str], Marketer]]:
    """Send someone with a fresh browser to a site.

    However a test ends well, the console had no error and no other host was asked for anything.
    """
    watch = Watch()
    people: list[Marketer] = []

    def send(url: str) -> Marketer:
        context = chromium.new_context(viewport={"width": 1400, "height": 1000})
        context.set_default_timeout(TIME_LIMIT_MS)
        context.on("page", watch.follow)
        people.append(Marketer(context, url))
        return people[-1]

    yield send

    for person in people:
        person.context.close()
    assert watch.errors == []
    assert {host for host in watch.hosts if host} <= {urlsplit(p.url).netloc for p in people}


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures of the screen are kept for the README and for people to look at."""
    folder = Path(__file__).parents[2] / "screenshots"
    folder.mkdir(exist_ok=True)
    return folder
