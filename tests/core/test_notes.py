from datetime import timedelta

import pytest
from sqlmodel import select

from core import notes
from core.database import reading, transaction
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.models import ProductNote
from core.notes import LONGEST_NOTE
from tests.builders import ANA, NOW, make_note, make_product

LATER = NOW + timedelta(hours=1)

HOSTILE = [
    "<script>alert(1)</script>",
    "<svg onload=alert(1)>",
    "[x](javascript:alert(1))",
    "![x](http://host/p.gif)",
    "http://example.com",
    "# heading",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "```\nopen fence",
    r"$\href{javascript:x}{x}$",
    ":red[x] :material/home: :smile:",
    "&lt;script&gt;",
    "zero\u200bwidth\u200d",
    "\u202eright to left",
    "e\u0301 and é",
    "x" * 10_000,
    "\x1b[31mred\x1b[0m",
    "{{ template }} {0} {name}",
    "%s%n %d",
    "=cmd|' /C calc'!A0",
    "=HYPERLINK(1)",
    "-5",
    "\ufeff=1+1",
    "＝1+1",
    "'; DROP TABLE product_notes; --",
    "line\r\nline",
    "👩‍🍳🧁",
]


@pytest.fixture
def product(engine):
    with transaction(engine) as session:
        product = make_product(name="Violão do Zero")
        session.add(product)
    return product


@pytest.fixture
def add(engine, product):
    """Saves notes about the product; returns the first."""

    def add(*changes):
        rows = [make_note(product, **change) for change in changes]
        with transaction(engine) as session:
            session.add_all(rows)
        return rows[0]

    return add


@pytest.fixture
def stored(engine):
    """Returns everything there is about all notes."""

    def stored():
        with reading(engine) as session:
            return [note.model_dump() for note in session.exec(select(ProductNote))]

    return stored


@pytest.fixture
def texts(engine):
    """Returns the texts on one page of a list."""

    def texts(**arguments):
        with reading(engine) as session:
            return [note.note for note, _product in notes.list_notes(session, **arguments).items]

    return texts


class TestAddNote:
    def test_keeps_who_wrote_what_when(self, engine, product, stored):
        with transaction(engine) as session:
            note = notes.add_note(session, product.id, text="Sells well", by=ANA, now=NOW)
            assert note.id is not None

        (row,) = stored()
        assert (row["product_id"], row["note"], row["author"]) == (product.id, "Sells well", "Ana")
        assert row["created_at"] == row["updated_at"] == NOW
        assert not row["pinned"]
        assert row["deleted_at"] is None

    @pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:20])
    def test_keeps_the_text_as_given(self, engine, product, texts, text):
        with transaction(engine) as session:
            notes.add_note(session, product.id, text=text, by=ANA, now=NOW)

        assert texts() == [text]

    @pytest.mark.parametrize(
        ("text", "kept"),
        [("a\0b", "ab"), ("lone \ud800 surrogate", "lone ? surrogate"), ("  framed \n", "framed")],
    )
    def test_drops_only_what_can_t_be_kept(self, engine, product, texts, text, kept):
        with transaction(engine) as session:
            notes.add_note(session, product.id, text=text, by=ANA, now=NOW)

        assert texts() == [kept]

    def test_takes_the_longest(self, engine, product, texts):
        with transaction(engine) as session:
            notes.add_note(session, product.id, text="x" * LONGEST_NOTE, by=ANA, now=NOW)

        assert len(texts()[0]) == LONGEST_NOTE

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("", "The note is empty"),
            (" \n\t ", "The note is empty"),
            ("\0", "The note is empty"),
            ("x" * 20_001, "has 20001 characters; at most 20000 fit"),
        ],
        ids=["nothing", "blanks", "nul", "too long"],
    )
    def test_refuses_what_is_no_note(self, engine, product, stored, text, sentence):
        with (
            pytest.raises(InvalidInputError, match=sentence),
            transaction(engine) as session,
        ):
            notes.add_note(session, product.id, text=text, by=ANA, now=NOW)

        assert stored() == []

    def test_refuses_an_offer_that_is_gone(self, engine, stored):
        with pytest.raises(NotFoundError, match="no longer here"), transaction(engine) as session:
            notes.add_note(session, 404, text="Sells well", by=ANA, now=NOW)

        assert stored() == []


class TestEditNote:
    def test_changes_the_text_and_its_time_alone(self, engine, add, stored):
        note = add({"note": "old", "pinned": True})

        with transaction(engine) as session:
            notes.edit_note(session, note.id, text=" new ", by=ANA, now=LATER)

        (row,) = stored()
        assert (row["note"], row["updated_at"], row["created_at"]) == ("new", LATER, NOW)
        assert (row["author"], row["pinned"]) == ("marketer", True)

    def test_is_found_by_the_new_text_only(self, engine, add, texts):
        note = add({"note": "old"})

        with transaction(engine) as session:
            notes.edit_note(session, note.id, text="Néw", by=ANA, now=LATER)

        assert texts(search="new") == ["Néw"]
        assert texts(search="old") == []

    @pytest.mark.parametrize("text", ["", "  ", "x" * 20_001], ids=len)
    def test_refuses_what_is_no_note_and_keeps_the_old(self, engine, add, stored, text):
        note = add({"note": "old"})
        before = stored()

        with pytest.raises(InvalidInputError), transaction(engine) as session:
            notes.edit_note(session, note.id, text=text, by=ANA, now=LATER)

        assert stored() == before


class TestEditNoteInTwoPlaces:
    def test_refuses_the_one_who_did_not_see_the_others_words(self, engine):
        with transaction(engine) as session:
            product = make_product()
            session.add(product)
            session.flush()
            note = make_note(product)
            session.add(note)
            session.flush()
            seen = note.updated_at
            notes.edit_note(session, note.id, text="A", by=ANA, now=seen + timedelta(seconds=1))

        with transaction(engine) as session, pytest.raises(ConflictError, match="elsewhere"):
            notes.edit_note(session, note.id, text="B", by=ANA, now=NOW, last_seen=seen)

        with reading(engine) as session:
            assert notes.get_note(session, note.id).note == "A"


class TestDeleteNote:
    def test_takes_the_note_off_every_list(self, engine, add, texts, product):
        note = add({"note": "gone"}, {"note": "stays"})

        with transaction(engine) as session:
            notes.delete_note(session, note.id, by=ANA, now=LATER)

        assert texts() == texts(product_id=product.id) == ["stays"]
        assert texts(search="gone") == []

    def test_can_be_taken_back(self, engine, add, stored):
        note = add({"note": "back", "pinned": True})
        before = stored()

        with transaction(engine) as session:
            notes.delete_note(session, note.id, by=ANA, now=LATER)
        with transaction(engine) as session:
            notes.restore_note(session, note.id, by=ANA, now=LATER)

        assert stored() == before

    def test_taken_back_twice_changes_nothing(self, engine, add, stored):
        note = add({"note": "here"})
        before = stored()

        with transaction(engine) as session:
            notes.restore_note(session, note.id, by=ANA, now=LATER)

        assert stored() == before


class TestNotesThatAreGone:
    @pytest.mark.parametrize(
        "act",
        [
            lambda session, id_: notes.edit_note(session, id_, text="new", by=ANA, now=LATER),
            lambda session, id_: notes.pin_note(session, id_, pinned=True, by=ANA, now=LATER),
            lambda session, id_: notes.delete_note(session, id_, by=ANA, now=LATER),
            lambda session, id_: notes.get_note(session, id_),
        ],
        ids=["edit", "pin", "delete", "get"],
    )
    def test_say_so_and_stay_as_they_are(self, engine, add, stored, act):
        deleted = add({"deleted_at": NOW})
        before = stored()

        for note_id in (404, deleted.id):
            with (
                pytest.raises(NotFoundError, match="This note is no longer here"),
                transaction(engine) as session,
            ):
                act(session, note_id)

        assert stored() == before

    def test_can_t_be_brought_back_if_they_never_were(self, engine):
        with pytest.raises(NotFoundError), transaction(engine) as session:
            notes.restore_note(session, 404, by=ANA, now=LATER)


class TestListNotes:
    def test_shows_pinned_ones_first_then_the_newest(self, add, texts):
        add(
            {"note": "old"},
            {"note": "pinned", "pinned": True, "created_at": NOW - timedelta(days=9)},
            {"note": "new", "created_at": LATER},
            {"note": "as old"},
        )

        assert texts() == ["pinned", "new", "as old", "old"]

    def test_lets_a_note_go_from_the_top(self, engine, add, texts):
        note = add({"note": "first", "pinned": True}, {"note": "second", "created_at": LATER})

        with transaction(engine) as session:
            notes.pin_note(session, note.id, pinned=False, by=ANA, now=LATER)

        assert texts() == ["second", "first"]

    @pytest.mark.parametrize(
        ("search", "found"),
        [
            ("oção", ["Promoção de 100%_"]),
            ("PROMOCAO", ["Promoção de 100%_"]),
            ("%_", ["Promoção de 100%_"]),
            ("violao", ["Outra nota", "Promoção de 100%_"]),
            ("violao outra", ["Outra nota"]),
            ("_n", []),
            ("lone \ud800", []),
            ("x" * 100_000, []),
        ],
        ids=lambda value: ascii(value)[:20],
    )
    def test_finds_by_the_note_and_by_the_offer(self, add, texts, search, found):
        add({"note": "Promoção de 100%_"}, {"note": "Outra nota", "created_at": LATER})

        assert texts(search=search) == found

    def test_keeps_to_one_offer(self, engine, add, texts, product):
        add({"note": "mine"})
        with transaction(engine) as session:
            other = make_product()
            session.add(other)
            session.flush()
            session.add(make_note(other, note="other"))

        assert texts(product_id=product.id) == ["mine"]
        assert texts(product_id=404) == []

    def test_shows_20_on_a_page_and_counts_all(self, engine, add, texts):
        add(*({"note": f"Note {n}"} for n in range(41)))

        with reading(engine) as session:
            page = notes.list_notes(session)

        assert (len(page.items), page.total, page.pages) == (20, 41, 3)
        assert len({*texts(page=1), *texts(page=2), *texts(page=3)}) == 41
        assert texts(page=4) == []

    def test_has_one_page_when_there_is_nothing(self, engine):
        with reading(engine) as session:
            page = notes.list_notes(session)

        assert (page.items, page.total, page.pages) == ([], 0, 1)
