import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import SQLModel
from streamlit.testing.v1 import AppTest

from core.access import LOCAL, Actor, Role
from core.app import App
from core.database import transaction
from core.models import CoverJob, PictureCheck, SyncRun
from core.site import LOOPBACK, Site
from pages.components import wiring
from tests.builders import NOW

FRAME = Path(__file__).parents[2] / "pages" / "frame.py"


@dataclass
class OrderBook:
    """Stands in for the jobs: writes down what a page asks for and carries nothing out."""

    orders: list[tuple[Any, ...]] = field(default_factory=list)

    def order_cover(self, product_id: int, *, prompt: str | None, by: Actor) -> CoverJob:
        self.orders.append(("cover", product_id, prompt))
        return CoverJob(id="ordered", product_id=product_id, request_digest="", created_at=NOW)

    def order_missing_covers(self, *, by: Actor) -> int:
        self.orders.append(("missing",))
        return 1

    def start_sync(self, trigger: str, *, by: Actor) -> SyncRun:
        self.orders.append(("sync", trigger))
        return SyncRun(id=1, trigger=trigger, started_at=NOW)

    def start_check(self, *, by: Actor) -> PictureCheck:
        self.orders.append(("check",))
        return PictureCheck(id=1, asked_by=by.name, started_at=NOW)


@dataclass
class Dashboard:
    """The dashboard as one person sees it."""

    app: App
    at: AppTest
    orders: list[tuple[Any, ...]]
    identify: Callable[[], Actor] = lambda: LOCAL
    """Says who is at the screen; a test may put somebody else there."""

    def become(self, role: Role) -> None:
        """Have somebody with this role at the screen from now on."""
        self.identify = lambda: Actor("ana@example.com", role)

    def save(self, *rows: SQLModel) -> None:
        with transaction(self.app.engine) as session:
            session.add_all(rows)

    def open(self, opened: str = "", /, **in_address: str) -> AppTest:
        """Open a page anew, as a link does."""
        if opened:
            self.at.run()
            self.at.switch_page(f"{opened}.py")
        self.at.query_params.clear()
        for name, value in in_address.items():
            self.at.query_params[name] = value
        return self.run()

    def run(self) -> AppTest:
        self.at.run()
        assert not self.at.exception
        return self.at

    def press(self, key: str) -> AppTest:
        self.at.button(key=key).click()
        return self.run()

    def address(self) -> dict[str, str]:
        given = self.at.query_params.items()
        return {name: value if isinstance(value, str) else value[-1] for name, value in given}

    def names(self) -> list[str]:
        """Return the names on the cards, in their order."""
        found = (re.search(r'class="cap-name"[^>]*>(.*?)</div>', e.body) for e in self.at.html)
        return [html.unescape(match[1]) for match in found if match]

    def said(self) -> str:
        """Return all that alerts, captions and plain texts say."""
        parts = [*self.at.info, *self.at.warning, *self.at.error, *self.at.caption, *self.at.text]
        return "\n".join(unescaped(str(part.value)) for part in parts)


def unescaped(markdown: str) -> str:
    """Return what a reader sees of text that ``formats.plain`` made."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown).replace("\u2060", "")


@pytest.fixture
def dashboard_of(make_app: Callable[..., App]) -> Iterator[Callable[..., Dashboard]]:
    """Open the dashboard of an App with these settings; its jobs are only written down."""

    def open_dashboard(*, site: Site = LOOPBACK, **settings: Any) -> Dashboard:
        book = OrderBook()
        app = replace(make_app(**settings), jobs=book, site=site)
        at = AppTest.from_file(str(FRAME), default_timeout=30)
        opened = Dashboard(app, at, book.orders)
        wiring.provide(app, lambda: opened.identify())
        return opened

    yield open_dashboard
    wiring.provide(None)


@pytest.fixture
def dashboard(dashboard_of: Callable[..., Dashboard]) -> Dashboard:
    return dashboard_of()
