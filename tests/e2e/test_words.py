"""Words from outside, all at once and in every field, in a real browser."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from core.app import create_app
from core.settings import read_settings
from tests.e2e import screen, sites
from tests.e2e.conftest import Marketer
from tests.pages.hostile import ALL, STRINGS, fill

SECRETS = {"HOTMART_CLIENT_ID": "an-id", "HOTMART_CLIENT_SECRET": "planted-hotmart-secret-1f2e"} | {
    "HOTMART_HOTTOK": "planted-hottok-3d4c",
    "OPENAI_API_KEY": "sk-proj-planted-5b6a",
}


@pytest.fixture(scope="module")
def offer_and_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    folder: Path = tmp_path_factory.mktemp("words")
    app = create_app(read_settings(_env_file=None, data_dir=folder / "data"))
    for words in STRINGS[:-1]:  # without the longest: it is in ALL
        fill(app, words)
    offer = fill(app, ALL)
    app.engine.dispose()
    with sites.running(folder, **SECRETS) as url:
        yield offer, url


def bare(text: str) -> str:
    """Return text without what no eye sees."""
    return "".join(text.replace("\u2060", "").split())


def expect_only_text(page: Page, url: str, *, least: int) -> None:
    """Look that every string is there ``least`` times, and that nothing came of any."""
    screen.settle(page)
    expect(page.get_by_test_id("stMain").get_by_text("y" * 10_000).first).to_be_attached()
    shown = bare(page.evaluate("document.body.textContent"))
    for words in STRINGS:
        assert shown.count(bare(words)) >= least, words
    assert page.evaluate("window.hacked") is None
    assert page.locator(".katex, iframe, [onload], [onerror], [onmouseover]").count() == 0
    main = page.get_by_test_id("stMain")
    assert main.locator("table, blockquote, pre, del, ol, sup").count() == 0
    links = page.evaluate("[...document.links].map(link => link.href)")
    assert {urlsplit(link).netloc for link in links} == {urlsplit(url).netloc}
    pictures = page.evaluate("[...document.images].map(image => image.src)")
    assert {urlsplit(picture).netloc for picture in pictures} <= {urlsplit(url).netloc, ""}
    expect(page.get_by_test_id("stSidebar").get_by_role("alert")).to_contain_text("failed")
    body = page.content()
    assert not [name for name, secret in SECRETS.items() if name != "HOTMART_CLIENT_ID"
                and secret in body]  # fmt: skip


def test_are_text_on_every_page(
    offer_and_site: tuple[int, str], marketer_at: Callable[[str], Marketer]
) -> None:
    offer, url = offer_and_site
    page = marketer_at(url).open()
    opened: list[str] = []
    page.on("dialog", lambda dialog: (opened.append(dialog.message), dialog.dismiss()))
    page.on("popup", lambda popup: opened.append(popup.url))

    expect_only_text(page, url, least=3)  # name, producer, why there is no cover
    page.goto(f"{url}/image_manager?product={offer}")
    expect_only_text(page, url, least=3)
    page.goto(f"{url}/notes")
    expect_only_text(page, url, least=2)
    page.goto(f"{url}/settings")
    page.get_by_role("tab", name="Activity").click()
    expect_only_text(page, url, least=2)
    page.get_by_role("tab", name="Tokens").click()
    tokens = page.get_by_role("tabpanel", name="Tokens")
    expect(tokens.get_by_text(STRINGS[0]).first).to_be_visible()

    assert opened == []
