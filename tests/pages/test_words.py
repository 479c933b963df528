"""Words from outside are text on every page, whichever field they stand in."""

import pytest

from pages.components.formats import plain
from tests.pages.conftest import unescaped
from tests.pages.hostile import ALL, STRINGS, fill

MARK = "zq7"
PAGES = ["", "image_manager", "notes", "settings"]


def markdown_of(at) -> list[str]:
    """Return everything on a page that the browser reads as Markdown."""
    values = [*at.markdown, *at.caption, *at.info, *at.warning, *at.error, *at.success, *at.toast]
    labelled = [*at.button, *at.selectbox, *at.text_input, *at.text_area, *at.tabs, *at.expander]
    return [str(one.value) for one in values] + [str(one.label) for one in labelled]


def on_one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("page", PAGES)
def test_are_escaped_wherever_markdown_is_read(dashboard_of, page):
    dashboard = dashboard_of(
        openai_api_key="sk-x", hotmart_client_id="x", hotmart_client_secret="x"
    )
    marked = f"{MARK}{ALL}{MARK}"
    product = fill(dashboard.app, marked)

    at = dashboard.open(page, **({"product": str(product)} if page == "image_manager" else {}))

    found = [text for text in markdown_of(at) if MARK in text]
    assert found  # the sidebar says why the sync failed, if nothing else
    for text in found:
        assert on_one_line(plain(marked)) in on_one_line(text)


@pytest.mark.parametrize("words", STRINGS, ids=lambda words: repr(words)[:24])
def test_escaped_read_as_they_are(words):
    assert on_one_line(unescaped(plain(words))) == on_one_line(words.replace("\u2060", ""))
