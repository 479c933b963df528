"""Connected to a Hotmart and an image service that are played on this machine."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import screen, sites
from tests.e2e.conftest import Marketer
from tests.simulators import hotmart
from tests.simulators.openai import OpenAISimulator
from tests.waiting import wait_for

BOLD = "**x** :smile: <script>window.hacked=1</script>"
FORMULA = "$\\LaTeX$ ![x](http://evil.test/p.gif) :material/home: :red[x]"
REFUSED = "Fight Club [[fault:moderation_blocked]]"
REFUSED_ONCE = "Second Chance [[fault:moderation_blocked:1]]"
COMES_AND_GOES = {
    "id": 5_900_001,
    "ucode": "0b3f0d2e-1111-4222-8333-444455556666",
    "name": "Boomerang",
}
PLAIN = ("Bread", "Guitar", "Knitting")


class Hotmart(hotmart.HotmartSimulator):
    """A Hotmart that keeps everyone waiting for the sales while its gate is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()

    def answer(self, asked: hotmart.Asked, query: dict[str, list[str]]) -> hotmart.Reply:
        if asked.path.startswith(hotmart.SALES):
            self.gate.wait(60)
        return super().answer(asked, query)


class OpenAI(OpenAISimulator):
    """An image service that keeps everyone waiting while its gate is closed."""

    def __init__(self) -> None:
        super().__init__(is_fresh=True)
        self.gate = threading.Event()
        self.gate.set()

    def handle(self, request: Any, form: Any) -> Any:
        self.gate.wait(60)
        return super().handle(request, form)


@dataclass
class World:
    url: str
    hotmart: Hotmart
    openai: OpenAI

    def prompts(self) -> list[str]:
        return [r.body["prompt"] for r in self.openai.requests if r.method == "POST"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("connected")
    with ExitStack() as stack:
        sells, paints = stack.enter_context(Hotmart()), stack.enter_context(OpenAI())
        for name in (BOLD, FORMULA, REFUSED, REFUSED_ONCE, *PLAIN):
            sells.add_product(name=name, price=97)
        sells.add_product(price=33, **COMES_AND_GOES)
        sells.add_sale(product_name="Promoted Piano", producer_name="**Maker** :smile:")
        url = stack.enter_context(
            sites.running(
                folder,
                HOTMART_CLIENT_ID=hotmart.CLIENT_ID,
                HOTMART_CLIENT_SECRET=hotmart.CLIENT_SECRET,
                HOTMART_API_URL=sells.url,
                HOTMART_AUTH_URL=sells.url,
                OPENAI_API_KEY=paints.key,
                OPENAI_BASE_URL=paints.url,
                IMAGES_PER_MINUTE="0",
            )
        )
        stack.callback(sells.gate.set)
        stack.callback(paints.gate.set)
        yield World(url, sells, paints)
    assert hotmart.CLIENT_SECRET not in sites.log_of(folder)
    assert paints.key not in sites.log_of(folder)


@pytest.fixture(scope="module")
def offers() -> int:
    return 9


@pytest.fixture
def page(world: World, marketer_at: Callable[[str], Marketer], offers: int) -> Page:
    """The Offers page after a first sync, with every cover made or refused."""
    page = marketer_at(world.url).open()
    screen.settle(page)
    expect(page.get_by_text("No offers yet").or_(screen.cards(page).first)).to_be_visible()
    if page.get_by_text("No offers yet").is_visible():
        screen.press(page, "Sync with Hotmart")
    expect(screen.cards(page)).to_have_count(offers)
    expect(screen.sidebar(page).get_by_text("being made")).to_have_count(0)
    screen.expect_painted(screen.card(page, PLAIN[0]), 1)
    expect(page.get_by_text("Making the cover")).to_have_count(0)
    return page


def test_names_from_outside_show_exactly_as_they_are(page, world):
    manager, notes = page.context.new_page(), page.context.new_page()
    notes.goto(f"{world.url}/notes")
    notes.get_by_text("Write a note").click()
    for name in (BOLD, FORMULA):
        offer = screen.card(page, name)
        expect(offer.locator("img")).to_have_attribute("alt", f"Picture of {name}")
        for button, title in (
            ("Regenerate", "Regenerate the cover"),
            ("Replace image", "Replace the image"),
            ("Manage", "Manage the offer"),
        ):
            screen.press(offer, button)
            expect(screen.dialog(page, title).get_by_text(name, exact=True)).to_be_visible()
            screen.settle(page)
            if button == "Manage":
                big = page.get_by_role("dialog").get_by_role("img").first
                expect(big).to_have_attribute("alt", f"Current picture of {name}")
            screen.close_dialog(page)

        number = re.search(r"st-key-card-(\d+)", offer.get_attribute("class") or "")
        assert number
        manager.goto(f"{world.url}/image_manager?product={number[1]}")
        box = manager.get_by_role("combobox", name="Offer")
        expect(box).to_have_value(name)
        expect(manager.get_by_test_id("stText").get_by_text(name, exact=True)).to_be_visible()
        expect(manager.get_by_role("img", name=f"Current picture of {name}")).to_be_visible()
        screen.settle(manager)
        box.click()
        expect(manager.get_by_role("option", name=name, exact=True)).to_have_text(name)

        find = notes.get_by_role("textbox", name="Find the offer")
        find.fill(name)
        find.press("Enter")
        expect(notes.get_by_role("combobox", name="Offer")).to_have_value(name)
        screen.settle(notes)
        notes.get_by_role("textbox", name="New note").fill(f"Note on {name}")
        screen.press(notes, "Add note")
        expect(notes.get_by_test_id("stText").get_by_text(name, exact=True)).to_be_visible()

    for one in (page, manager, notes):
        assert one.evaluate("window.hacked") is None


def test_nothing_says_sample_when_connected(page, screenshots):
    expect(screen.card(page, "Promoted Piano")).to_contain_text("**Maker** :smile:")
    expect(page.get_by_text("sample", exact=False)).to_have_count(0)
    expect(screen.sidebar(page)).to_contain_text("Hotmart")
    expect(screen.sidebar(page)).to_contain_text("gpt-image-2.5-flare")
    page.screenshot(path=screenshots / "connected.png", full_page=True)


def test_a_refused_cover_says_why_and_can_be_tried_again(page, world):
    offer = screen.card(page, REFUSED)
    expect(offer.get_by_role("alert")).to_contain_text("refused")
    asked = world.openai.asked

    screen.press(offer, "Try again")

    wait_for(lambda: world.openai.asked == asked + 1)
    expect(offer.get_by_text("Making the cover")).to_have_count(0)
    expect(offer.get_by_role("button", name="Try again")).to_be_visible()


def test_a_second_try_that_works_shows_the_cover_by_itself(page):
    offer = screen.card(page, REFUSED_ONCE)
    expect(offer.locator("img")).to_have_count(0)

    screen.press(offer, "Try again")

    screen.expect_painted(offer, 1)
    expect(offer.get_by_role("alert")).to_have_count(0)


def test_the_prompt_is_shown_priced_changed_and_sent_as_it_stands(page, world):
    offer = screen.card(page, "Bread")
    before = screen.address_of_picture(offer)

    screen.press(offer, "Regenerate")
    form = screen.dialog(page, "Regenerate the cover")
    prompt = form.get_by_role("textbox", name="Prompt")
    expect(prompt).to_have_value(re.compile('Title of the product: "Bread"'))
    expect(form).to_contain_text(re.compile(r"Costs about US\$ 0\.\d+"))
    prompt.fill("A loaf on a linen cloth, morning light")
    screen.press(form, "Generate")

    screen.expect_another_picture(offer, before)
    assert world.prompts()[-1] == "A loaf on a linen cloth, morning light"
    screen.press(offer, "Manage")
    history = screen.history(screen.dialog(page, "Manage the offer"))
    expect(history).to_have_count(2)
    expect(history.first).to_contain_text("AI cover")
    expect(history.first).to_contain_text(re.compile(r"US\$ 0\.\d+"))
    expect(history.first).to_contain_text("gpt-image-2.5-flare")
    screen.press(history.first, "Prompt")
    expect(page.get_by_text("A loaf on a linen cloth, morning light").last).to_be_visible()
    expect(screen.sidebar(page)).to_contain_text("Spent this month")


def test_an_empty_prompt_is_refused_with_a_sentence(page, world):
    asked = world.openai.asked
    screen.press(screen.card(page, "Guitar"), "Regenerate")
    form = screen.dialog(page, "Regenerate the cover")
    form.get_by_role("textbox", name="Prompt").fill("  ")
    screen.press(form, "Generate")

    expect(form.get_by_role("alert")).to_contain_text("The prompt is empty")
    assert world.openai.asked == asked


def test_what_is_being_typed_survives_the_pages_own_changes(page, world):
    knitting = screen.card(page, "Knitting")
    before = screen.address_of_picture(knitting)
    world.openai.gate.clear()
    screen.press(knitting, "Regenerate")
    form = screen.dialog(page, "Regenerate the cover")
    screen.press(form, "Generate")
    expect(knitting.get_by_text("Making the cover")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)

    screen.press(screen.card(page, "Guitar"), "Regenerate")
    form = screen.dialog(page, "Regenerate the cover")
    prompt = form.get_by_role("textbox", name="Prompt")
    prompt.fill("An old guitar")
    world.openai.gate.set()
    screen.expect_another_picture(knitting, before)
    expect(screen.sidebar(page).get_by_text("being made")).to_have_count(0)

    expect(prompt).to_have_value("An old guitar")
    prompt.press("End")
    prompt.press_sequentially(" on a porch")
    screen.press(form, "Generate")
    expect(page.get_by_role("dialog")).to_have_count(0)
    wait_for(lambda: world.prompts()[-1] == "An old guitar on a porch")


def test_a_note_being_typed_survives_the_cover_that_comes_meanwhile(page, world):
    guitar = screen.card(page, "Guitar")
    screen.press(guitar, "Manage")
    manage = screen.dialog(page, "Manage the offer")
    before = screen.history(manage).count()
    world.openai.gate.clear()
    screen.press(manage, "Generate")
    expect(manage.get_by_text("The cover is being made")).to_be_visible()
    note = manage.get_by_role("textbox", name="New note")
    note.fill("Half a thou")
    world.openai.gate.set()

    expect(screen.history(manage)).to_have_count(before + 1)
    expect(manage.get_by_text("The cover is being made")).to_have_count(0)
    expect(note).to_have_value("Half a thou")


def test_a_sync_goes_on_without_a_browser_and_a_second_click_joins_it(page, world):
    world.hotmart.gate.clear()
    lists_read = len(world.hotmart.asked(hotmart.PRODUCTS))
    screen.press(page, "Sync with Hotmart")
    expect(screen.sidebar(page).get_by_role("progressbar")).to_be_visible()
    expect(screen.sidebar(page)).to_contain_text("Reading")
    screen.press(page, "Sync with Hotmart")
    expect(screen.sidebar(page).get_by_role("progressbar")).to_be_visible()
    asked = len(world.hotmart.asked(hotmart.PRODUCTS))
    context = page.context
    page.close()

    again = context.new_page()
    again.goto(world.url)
    expect(screen.sidebar(again).get_by_role("progressbar")).to_be_visible()
    screen.press(again, "Sync with Hotmart")
    world.hotmart.gate.set()

    expect(screen.sidebar(again).get_by_role("progressbar")).to_have_count(0)
    expect(screen.sidebar(again)).to_contain_text("unchanged")
    assert asked > lists_read
    assert len(world.hotmart.asked(hotmart.PRODUCTS)) == asked


def test_an_offer_that_vanishes_returns_with_its_picture_and_notes(page, world):
    offer = screen.card(page, "Boomerang")
    picture = screen.address_of_picture(offer)
    screen.press(offer, "Manage")
    manage = screen.dialog(page, "Manage the offer")
    manage.get_by_role("textbox", name="New note").fill("Comes and goes")
    screen.press(manage, "Add note")
    screen.close_dialog(page)  # at once: what was written stays written

    world.hotmart.remove_product(COMES_AND_GOES["id"])
    screen.press(page, "Sync with Hotmart")
    expect(offer).to_have_count(0)
    expect(screen.sidebar(page)).to_contain_text("1 no longer listed")
    screen.choose(page, "Status", "No longer listed")
    expect(offer).to_contain_text("No longer listed")
    expect(offer.locator("img")).to_have_attribute("src", picture)
    screen.choose(page, "Status", "All listed")
    expect(offer).to_have_count(0)

    world.hotmart.add_product(price=33, **COMES_AND_GOES)
    screen.press(page, "Sync with Hotmart")
    expect(offer.locator("img")).to_have_attribute("src", picture)
    expect(offer).to_contain_text("1 note")


def test_a_sync_that_fails_says_why_and_changes_nothing(page, world, offers):
    world.hotmart.fail(hotmart.PRODUCTS, "403", times=None)
    try:
        screen.press(page, "Sync with Hotmart")
        expect(screen.sidebar(page).get_by_role("alert")).to_contain_text("failed")
        expect(screen.sidebar(page).get_by_role("alert")).to_contain_text("Hotmart")
        expect(screen.cards(page)).to_have_count(offers)
    finally:
        world.hotmart._faults.clear()
