"""With no settings at all: the sample catalogue, the built-in covers, and the whole loop."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.e2e import screen, sites
from tests.e2e.conftest import TIME_LIMIT_MS, Marketer

OFFERS = 36


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sample")


@pytest.fixture(scope="module")
def site(folder: Path, chromium: Browser, screenshots: Path) -> Iterator[str]:
    """A site whose first visitor pressed the button."""
    with sites.running(folder) as url:
        page = chromium.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(TIME_LIMIT_MS)
        page.goto(url)
        expect(page.get_by_text("Press Sync with Hotmart in the sidebar")).to_be_visible()

        screen.press(page, "Sync with Hotmart")

        expect(screen.sidebar(page).get_by_text("being made")).to_be_visible()
        expect(screen.cards(page)).to_have_count(24)
        screen.expect_painted(page.locator(".st-key-offer-grid"), 24)
        expect(screen.sidebar(page).get_by_text(f"{OFFERS} offers seen")).to_be_visible()
        expect(screen.sidebar(page).get_by_text("being made")).to_have_count(0)
        expect(page.get_by_text("Making the cover")).to_have_count(0)
        page.screenshot(path=screenshots / "offers.png")
        page.close()
        yield url
    assert "Traceback" not in sites.log_of(folder)


@pytest.fixture
def marketer(site: str, marketer_at: Callable[[str], Marketer]) -> Marketer:
    return marketer_at(site)


def test_the_other_page_shows_the_rest_and_is_in_the_address(marketer):
    page = marketer.open()
    expect(screen.cards(page)).to_have_count(24)

    screen.press(page, "Page 2")

    expect(screen.cards(page)).to_have_count(OFFERS - 24)
    screen.expect_painted(page.locator(".st-key-offer-grid"), OFFERS - 24)
    screen.expect_address(page, "page=2")
    page.reload()
    expect(screen.cards(page)).to_have_count(OFFERS - 24)


def test_a_search_is_blind_to_accents_and_survives_a_reload(marketer):
    page = marketer.open()

    screen.search(page, "violao")

    expect(screen.cards(page)).to_have_count(1)
    expect(screen.cards(page)).to_contain_text("Violão do Zero")
    screen.expect_address(page, "search=violao")
    page.reload()
    expect(screen.cards(page)).to_have_count(1)
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("violao")


def test_back_returns_to_the_view_before(marketer):
    page = marketer.open("/?search=violao")
    expect(screen.cards(page)).to_have_count(1)
    page.get_by_role("link", name="Notes").click()
    expect(page.get_by_role("heading", name="Notes")).to_be_visible()

    page.go_back()

    expect(screen.cards(page)).to_have_count(1)


def test_filters_and_order_are_in_the_address(marketer):
    page = marketer.open()

    screen.choose(page, "Sort", "Price, high first")
    screen.choose(page, "Status", "Draft")

    screen.expect_address(page, "sort=-price", "status=DRAFT")
    expect(screen.cards(page)).not_to_have_count(24)
    other = marketer.open(page.url.removeprefix(marketer.url))
    expect(other.get_by_role("combobox", name="Status")).to_have_value("Draft")
    expect(screen.cards(other).first).to_contain_text("Draft")


def test_a_picture_through_all_its_changes(marketer, screenshots, tmp_path):
    name = "Piano for Grown-Ups 🎹"
    second_tab = marketer.open()
    page = marketer.open()
    piano = screen.card(page, name)
    first = screen.address_of_picture(piano)

    screen.press(piano, "Regenerate")
    form = screen.dialog(page, "Regenerate the cover")
    form.get_by_role("textbox", name="Words on the cover").fill("Play it again, grown-up")
    screen.press(form, "Generate")
    expect(page.get_by_role("dialog")).to_have_count(0)
    second = screen.expect_another_picture(piano, first)

    file = tmp_path / "mine.png"
    Image.new("RGB", (600, 500), "teal").save(file)
    screen.press(piano, "Replace image")
    form = screen.dialog(page, "Replace the image")
    form.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_role("dialog")).to_have_count(0)
    third = screen.expect_another_picture(piano, second)
    screen.search(second_tab, "piano")
    expect(screen.card(second_tab, name).locator("img")).to_have_attribute("src", third)

    screen.press(piano, "Manage")
    manage = screen.dialog(page, "Manage the offer")
    expect(screen.history(manage)).to_have_count(3)
    screen.expect_painted(manage.locator('[class*="st-key-history-grid"]'), 3)
    expect(screen.history(manage).nth(0)).to_contain_text("Upload")
    expect(screen.history(manage).nth(0)).to_contain_text("Current")
    expect(screen.history(manage).nth(0)).to_contain_text("600 × 500")
    expect(screen.history(manage).nth(1)).to_contain_text("Built-in cover")
    screen.press(screen.history(manage).nth(2), "Revert")
    expect(screen.history(manage)).to_have_count(4)
    expect(screen.history(manage).nth(0)).to_contain_text("Restored")
    manage.get_by_role("textbox", name="New note").fill("Sells best **in March**")
    screen.press(manage, "Add note")
    expect(manage.get_by_text("Sells best **in March**", exact=True)).to_be_visible()
    page.screenshot(path=screenshots / "manage.png")
    screen.close_dialog(page)
    expect(piano.locator("img")).to_have_attribute("src", first)

    page.reload()
    expect(piano.locator("img")).to_have_attribute("src", first)
    expect(piano).to_contain_text("1 note")
    screen.search(second_tab, "grown")
    expect(screen.card(second_tab, name).locator("img")).to_have_attribute("src", first)
    screen.press(screen.card(second_tab, name), "Manage")
    manage = screen.dialog(second_tab, "Manage the offer")
    expect(screen.history(manage)).to_have_count(4)
    expect(manage.get_by_text("Sells best **in March**", exact=True)).to_be_visible()
    assert len({first, second, third}) == 3


def test_a_bad_file_is_refused_and_the_next_good_one_taken(marketer, tmp_path):
    name = "Aquarela Botânica"
    page = marketer.open()
    offer = screen.card(page, name)
    before = screen.address_of_picture(offer)
    file = tmp_path / "no_picture.png"
    file.write_text("This is text, whatever its name says.")

    screen.press(offer, "Replace image")
    form = screen.dialog(page, "Replace the image")
    form.locator("input[type=file]").set_input_files(file)

    expect(form.get_by_role("alert")).to_contain_text("picture")
    expect(offer.locator("img")).to_have_attribute("src", before)
    Image.new("RGB", (300, 300), "orange").save(tmp_path / "good.png")
    form.locator("input[type=file]").set_input_files(tmp_path / "good.png")

    expect(page.get_by_role("dialog")).to_have_count(0)
    screen.expect_another_picture(offer, before)
    screen.press(offer, "Manage")
    expect(screen.history(screen.dialog(page, "Manage the offer"))).to_have_count(2)


def test_the_image_manager_compares_and_hands_the_original_out(marketer, screenshots, tmp_path):
    page = marketer.open("/image_manager")
    expect(page.get_by_text("Choose an offer to see its pictures")).to_be_visible()

    screen.search(page, "confeitaria")
    screen.expect_address(page, "find=confeitaria")
    screen.choose(page, "Offer", "Confeitaria Lucrativa: bolos, doces e finanças 🎂")
    screen.expect_address(page, "product=")
    expect(screen.history(page)).to_have_count(1)
    screen.press(page, "Generate")
    expect(screen.history(page)).to_have_count(2)
    expect(page.get_by_text("The cover is being made")).to_have_count(0)
    screen.settle(page)
    screen.add_choice(page, "Compare two pictures", "1. Built-in")
    screen.add_choice(page, "Compare two pictures", "2. Built-in")
    page.keyboard.press("Escape")
    screen.expect_painted(page.get_by_test_id("stMain"), 5)
    page.screenshot(path=screenshots / "image_manager.png", full_page=True)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download original").click()
    download.value.save_as(tmp_path / "original")
    with Image.open(tmp_path / "original") as picture:
        assert picture.size == (1200, 1200)


def test_notes_are_written_found_changed_and_brought_back(marketer, screenshots):
    page = marketer.open("/notes")
    page.get_by_text("Write a note").click()
    find = page.get_by_role("textbox", name="Find the offer")
    find.fill("cafe especial")
    find.press("Enter")
    expect(page.get_by_role("combobox", name="Offer")).to_have_value("Café Especial em Casa ☕")
    screen.settle(page)
    page.get_by_role("textbox", name="New note").fill("Ask for a *new* hotlink")
    screen.press(page, "Add note")
    note = page.locator('[class*="st-key-note-"]').filter(has_text="hotlink").last
    expect(note).to_contain_text("Ask for a *new* hotlink")

    screen.press(note, "Edit")
    note_field = page.get_by_role("textbox", name="Note", exact=True)
    expect(note_field).to_have_value("Ask for a *new* hotlink")
    note_field.fill("Asked for a new hotlink on Monday")
    screen.press(page, "Save note")
    expect(page.get_by_text("Asked for a new hotlink on Monday")).to_be_visible()
    expect(note).to_contain_text("changed")
    page.screenshot(path=screenshots / "notes.png")
    screen.press(note, "Delete")
    expect(page.get_by_text("Asked for a new hotlink on Monday")).to_have_count(0)
    screen.press(page, "Undo")
    expect(page.get_by_text("Asked for a new hotlink on Monday")).to_be_visible()

    screen.search(page, "cafe monday")
    expect(page.get_by_text("Asked for a new hotlink on Monday")).to_be_visible()
    screen.search(page, "nowhere to be found")
    expect(page.get_by_text("No note matches")).to_be_visible()
