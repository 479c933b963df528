from datetime import timedelta

import pytest

from core import notes
from core.database import reading, transaction
from core.models import Product
from tests.builders import ANA, NOW, make_note, make_product
from tests.pages.hostile import NAMES


@pytest.fixture
def offer(dashboard) -> Product:
    product = make_product(name="Piano")
    dashboard.save(product)
    return product


def written(dashboard) -> list[str]:
    with reading(dashboard.app.engine) as session:
        return [note.note for note, _product in notes.list_notes(session).items]


def shown(dashboard) -> list[str]:
    return [text.value for text in dashboard.at.text]


def box(at, label: str):
    return next(box for box in at.selectbox if box.label == label)


class TestWriting:
    def open_at(self, dashboard, offer):
        at = dashboard.open("notes")
        box(at, "Offer").set_value(offer.id)
        return dashboard.run()

    def test_a_note_appears_and_the_field_is_empty_again(self, dashboard, offer):
        at = self.open_at(dashboard, offer)

        at.text_area[0].set_value("Sells in **March**")
        dashboard.press(f"add-note-{offer.id}")

        assert written(dashboard) == ["Sells in **March**"]
        assert "Sells in **March**" in shown(dashboard)
        assert dashboard.at.text_area[0].value in ("", None)

    @pytest.mark.parametrize("text", ["", "  \n\t "])
    def test_an_empty_note_is_refused(self, dashboard, offer, text):
        at = self.open_at(dashboard, offer)

        at.text_area[0].set_value(text)
        dashboard.press(f"add-note-{offer.id}")

        assert "The note is empty." in dashboard.said()
        assert written(dashboard) == []

    def test_about_an_offer_that_is_gone_is_refused(self, dashboard, offer):
        at = self.open_at(dashboard, offer)
        at.text_area[0].set_value("Too late")
        at.button(key=f"add-note-{offer.id}").click()
        with transaction(dashboard.app.engine) as session:
            session.delete(session.get_one(Product, offer.id))

        dashboard.run()

        assert written(dashboard) == []


class TestReading:
    def test_without_notes_says_where_to_write_one(self, dashboard):
        dashboard.open("notes")

        assert "No notes yet." in dashboard.said()

    @pytest.mark.parametrize("words", ["março", "MARCO", "piano"])
    def test_a_search_finds_words_of_the_note_or_the_offer(self, dashboard, offer, words):
        other = make_product(name="Yoga")
        dashboard.save(other)
        dashboard.save(make_note(offer, note="Vende em Março"), make_note(other, note="Calm"))
        dashboard.open("notes")

        dashboard.at.text_input(key="note_search_widget").set_value(words)
        dashboard.run()

        assert "Vende em Março" in shown(dashboard)
        assert "Calm" not in shown(dashboard)
        assert dashboard.address() == {"note_search": words}

    def test_a_search_in_vain_says_so(self, dashboard, offer):
        dashboard.save(make_note(offer))

        dashboard.open("notes", note_search="zzz")

        assert "No note matches." in dashboard.said()

    def test_about_one_offer_shows_only_its_notes(self, dashboard, offer):
        yoga = make_product(name="Yoga")
        dashboard.save(yoga)
        dashboard.save(make_note(offer, note="of Piano"), make_note(yoga, note="of Yoga"))

        dashboard.open("notes", note_offer=str(yoga.id))

        assert "of Yoga" in shown(dashboard)
        assert "of Piano" not in shown(dashboard)

    def test_about_an_offer_without_notes_shows_all(self, dashboard, offer):
        dashboard.save(make_note(offer, note="of Piano"))

        dashboard.open("notes", note_offer="99999999999999999999")

        assert "of Piano" in shown(dashboard)

    def test_comes_in_pages(self, dashboard, offer):
        dashboard.save(*[make_note(offer, note=f"Note-{n:02}-") for n in range(25)])

        dashboard.open("notes", note_page="2")

        assert sum("Note-" in text for text in shown(dashboard)) == 5

    @pytest.mark.parametrize("name", NAMES)
    def test_an_offers_name_from_outside_shows_as_it_is(self, dashboard, name):
        product = make_product(name=name)
        dashboard.save(product)
        dashboard.save(make_note(product))

        at = dashboard.open("notes")

        assert name in [text.value for text in at.text]
        assert box(at, "Offer").options == [name]
        assert name in box(at, "About").options

    @pytest.mark.parametrize("words", NAMES)
    def test_the_words_of_a_note_show_as_they_are(self, dashboard, offer, words):
        dashboard.save(make_note(offer, note=words))

        at = dashboard.open("notes")

        assert words in shown(dashboard)
        assert not any(words in markdown.value for markdown in at.markdown)


class TestChanging:
    @pytest.fixture
    def note(self, dashboard, offer):
        note = make_note(offer, note="First words")
        dashboard.save(note)
        dashboard.open("notes")
        return note

    def test_edits_the_words(self, dashboard, note):
        at = dashboard.press(f"edit-{note.id}")

        at.text_area(key=f"text-{note.id}").set_value("Better words")
        dashboard.press(f"save-{note.id}")

        assert written(dashboard) == ["Better words"]
        assert "changed" in dashboard.said()

    def test_keeps_the_words_when_cancelled(self, dashboard, note):
        at = dashboard.press(f"edit-{note.id}")

        at.text_area(key=f"text-{note.id}").set_value("Better words")
        dashboard.press(f"cancel-{note.id}")

        assert written(dashboard) == ["First words"]
        assert "First words" in shown(dashboard)

    def test_refuses_to_empty_a_note(self, dashboard, note):
        at = dashboard.press(f"edit-{note.id}")

        at.text_area(key=f"text-{note.id}").set_value("  ")
        dashboard.press(f"save-{note.id}")

        assert "The note is empty." in dashboard.said()
        assert written(dashboard) == ["First words"]

    def test_pins_to_the_top_and_lets_go(self, dashboard, offer, note):
        newer = make_note(offer, note="Newer", created_at=NOW + timedelta(hours=1))
        dashboard.save(newer)
        dashboard.run()
        assert written(dashboard) == ["Newer", "First words"]

        dashboard.press(f"pin-{note.id}")
        assert written(dashboard) == ["First words", "Newer"]
        dashboard.press(f"pin-{note.id}")
        assert written(dashboard) == ["Newer", "First words"]

    def test_deletes_and_brings_back(self, dashboard, note):
        dashboard.press(f"delete-{note.id}")
        assert "First words" not in shown(dashboard)

        dashboard.press("undo-delete")

        assert "First words" in shown(dashboard)
        assert written(dashboard) == ["First words"]
        assert [b for b in dashboard.at.button if b.key == "undo-delete"] == []

    def test_keeps_what_is_written_about_a_note_deleted_elsewhere(self, dashboard, note):
        dashboard.open("notes")
        dashboard.press(f"edit-{note.id}")
        dashboard.at.text_area(key=f"text-{note.id}").set_value("Long thoughts")
        with transaction(dashboard.app.engine) as session:
            notes.delete_note(session, note.id, by=ANA, now=NOW)

        dashboard.run()

        assert "deleted elsewhere" in dashboard.said()
        dashboard.press(f"revive-{note.id}")
        assert written(dashboard) == ["Long thoughts"]
