"""Whatever words come in: they are kept as given, or refused with a sentence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import Session

from core import notes, products, tokens
from core.access import Role
from core.database import migrate, open_engine
from core.errors import InvalidInputError
from core.events import ProductNews, read_event
from core.models import Product, ProductNote
from core.products import Filter
from core.prompts import check_prompt, cover_prompt
from core.text import storable
from tests.builders import ANA, BOSS, NOW, make_product
from tests.words import few, words


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A session that is never committed: examples share it."""
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('words') / 'dashboard.db'}")
    migrate(engine)
    with Session(engine) as session:
        session.add(make_product(name="Piano"))
        session.flush()
        yield session
    engine.dispose()


def kept(session, row, field):
    """Return a value as the database gives it back."""
    session.flush()
    session.expire(row)
    return getattr(row, field)


@few
@given(text=words)
def test_of_a_note_are_kept_as_given(session, text):
    product = session.get_one(Product, 1)
    if not 0 < len(storable(text).strip()) <= notes.LONGEST_NOTE:
        with pytest.raises(InvalidInputError, match="note"):
            notes.add_note(session, product.id, text=text, by=ANA, now=NOW)
        return

    note = notes.add_note(session, product.id, text=text, by=ANA, now=NOW)

    assert kept(session, note, "note") == storable(text).strip()
    assert isinstance(note, ProductNote)


@few
@given(name=words, producer=words)
def test_of_a_name_are_kept_as_given(session, name, producer):
    values = {"name": name, "producer_name": producer}
    if not storable(name).strip():
        with pytest.raises(InvalidInputError, match="name"):
            products.add_product(session, values, by=ANA, now=NOW)
        return

    product = products.add_product(session, values, by=ANA, now=NOW)

    assert kept(session, product, "name") == storable(name).strip()
    assert kept(session, product, "producer_name") == storable(producer).strip()


@few
@given(text=words)
def test_without_a_nul_or_half_a_letter_are_stored_as_they_are(text):
    stored = storable(text)

    assert storable(stored) == stored
    stored.encode()
    assert stored == text or any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text)


@few
@given(text=words)
def test_of_a_token_s_name_are_one_printable_line(session, text):
    def create():
        return tokens.create_token(session, name=text, role=Role.VIEWER, by=BOSS, now=NOW)[0]

    name = storable(text).strip()
    if not 0 < len(name) <= tokens.LONGEST_NAME or not name.isprintable():
        with pytest.raises(InvalidInputError, match="name"):
            create()
        return

    assert kept(session, create(), "name") == name


@few
@given(text=words)
def test_can_be_searched_for(session, text):
    products.list_products(session, Filter(search=text))
    products.find_products(session, text)
    notes.list_notes(session, search=text)


@few
@given(text=words.filter(lambda text: 0 < len(storable(text).strip()) <= 150))
def test_of_a_note_are_found_again(session, text):
    note = notes.add_note(session, 1, text=text, by=ANA, now=NOW)

    found = notes.list_notes(session, search=storable(text).strip(), product_id=1)

    assert note in [item for item, _product in found.items]


@few
@given(text=words)
def test_of_a_prompt_go_out_as_typed(text):
    if not text.strip() or storable(text.strip()) != text.strip():
        with pytest.raises(InvalidInputError, match="prompt"):
            check_prompt(text)
        return

    assert check_prompt(text) == text.strip()


@few
@given(name=words, producer=words)
def test_of_a_name_can_neither_end_the_quote_nor_begin_a_line(name, producer):
    harmless = cover_prompt(name="x", producer="x", format=None, language=None)

    prompt = cover_prompt(name=name, producer=producer, format=None, language=None)

    assert prompt.splitlines()[-8:] == harmless.splitlines()[-8:]
    assert len(prompt.splitlines()) <= len(harmless.splitlines())
    assert prompt.count('"') <= harmless.count('"')
    prompt.encode()


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@few
@given(body=_json, product=_json, name=words, value=_json)
def test_of_an_event_give_news_or_nothing(body, product, name, value):
    known = {
        "event": "PURCHASE_APPROVED",
        "id": name,
        "data": {
            "product": {"id": 1, "name": name, "ucode": product},
            "producer": product,
            "purchase": {"price": {"value": value, "currency_value": value}},
        },
    }

    for event in (body, known, known | {"data": product}):
        news = read_event(event)
        assert news is None or isinstance(news, ProductNews)
        json.dumps(news.as_dict() if news else None).encode()
