"""Where things are on the screen, as a person finds them."""

import contextlib
import re

from playwright.sync_api import Locator, Page, TimeoutError, expect


def cards(page: Page) -> Locator:
    return page.locator('[class*="st-key-card-"]')


def card(page: Page, name: str) -> Locator:
    return cards(page).filter(has=page.get_by_text(name, exact=True))


def sidebar(page: Page) -> Locator:
    return page.get_by_role("region", name="Sidebar")


def dialog(page: Page, title: str) -> Locator:
    found = page.get_by_role("dialog", name=title)
    expect(found).to_be_visible()
    return found


def close_dialog(page: Page) -> None:
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def settle(page: Page) -> None:
    """Wait until the script that draws the page has come to its end."""
    app = page.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-script-state", "notRunning")


def press(place: Page | Locator, name: str) -> None:
    settle(place if isinstance(place, Page) else place.page)
    place.get_by_role("button", name=name, exact=True).click()


def choose(page: Page, label: str, option: str) -> None:
    settle(page)
    page.get_by_role("combobox", name=label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()


def add_choice(page: Page, label: str, option: str) -> None:
    """Choose one more, as a person does: who is interrupted by a rerun begins again."""
    box = page.get_by_role("combobox", name=label)
    found = page.get_by_role("option", name=option)
    for _attempt in range(5):
        settle(page)
        box.fill(option)
        with contextlib.suppress(TimeoutError):
            found.click(timeout=3_000)
            return
        box.fill("")
    raise AssertionError(f"{option} can't be chosen in {label}")


def search(page: Page, text: str) -> None:
    settle(page)
    box = page.get_by_role("searchbox", name="Search")
    box.fill(text)
    box.press("Enter")


def history(place: Page | Locator) -> Locator:
    return place.locator('[class*="st-key-history-"]:not([class*="st-key-history-grid"])')


def address_of_picture(place: Locator) -> str:
    expect(place.locator("img")).to_have_count(1)
    return place.locator("img").get_attribute("src") or ""


def expect_another_picture(place: Locator, old: str) -> str:
    """Wait until the picture is another one, and painted; return its address."""
    expect(place.locator("img")).not_to_have_attribute("src", old)
    expect_painted(place, 1)
    return address_of_picture(place)


def expect_painted(place: Locator, count: int) -> None:
    """Wait until there are so many pictures, and each was really loaded and drawn."""
    pictures = place.locator("img")
    expect(pictures).to_have_count(count)
    for number in range(count):
        expect(pictures.nth(number)).to_have_js_property("complete", True)
        expect(pictures.nth(number)).not_to_have_js_property("naturalWidth", 0)


def expect_address(page: Page, *parts: str) -> None:
    for part in parts:
        expect(page).to_have_url(re.compile(re.escape(part)))
