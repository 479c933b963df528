"""Whatever words come over HTTP: never a bug, and what is stored comes back the same."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from core.database import reading
from core.models import ProductImage
from core.text import storable
from tests.builders import make_picture
from tests.core.api.conftest import is_problem
from tests.pages.hostile import ALL, STRINGS
from tests.waiting import wait_for
from tests.words import few, words

HOTTOK = "hottok-9f8e7d6c5b4a"
FILE_NAMES = [
    "../../x.png",
    "..\\..\\x.png",
    "C:\\x.png",
    "//host/x.png",
    "%2e%2e%2fx.png",
    "x.png\0.html",
    "x.html;.png",
    ".htaccess",
    "",
    "CON.png",
    "x.png:stream",
    "x" * 4096,
    "👩‍🚀",
    "a\u202egnp.exe",
    "e\u0301.png",
    "\u00e9.png",
    "<img src=x onerror=alert(1)>.png",
    "$(id).png",
    "=1+1.png",
    b"\xff\xfe.png".decode("latin-1"),
    'x".png',
]
here = settings(few, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def offer(call):
    return call("POST", "/products", json={"name": "Piano"}).json()["id"]


def escaped(body) -> bytes:
    """JSON in which a lone surrogate can travel, as an escape."""
    return json.dumps(body).encode()


def send(call, method, path, body, **more):
    headers = {"Content-Type": "application/json"} | more.pop("headers", {})
    return call(method, path, data=escaped(body), headers=headers, **more)


def test_of_a_note_come_back_or_are_refused(call, offer):
    @here
    @given(text=words)
    def check(text):
        answer = send(call, "POST", f"/products/{offer}/notes", {"note": text})
        if answer.status_code != 201:
            assert is_problem(answer, 422)
            return
        assert answer.json()["note"] == storable(text).strip()
        listed = call("GET", f"/products/{offer}/notes").json()
        assert listed[0]["note"] == storable(text).strip()

    check()


def test_of_a_name_come_back_or_are_refused(call, offer):
    @here
    @given(name=words, producer=words)
    def check(name, producer):
        values = {"name": name, "producer_name": producer}
        answer = send(call, "PATCH", f"/products/{offer}", values)
        if answer.status_code != 200:
            assert is_problem(answer, 422)
            return
        kept = call("GET", f"/products/{offer}").json()
        assert kept["name"] == storable(name).strip()
        assert kept["producer_name"] == storable(producer).strip()

    check()


def test_can_be_searched_for(call, offer):
    @here
    @given(text=words.map(storable))
    def check(text):
        params = {"search": text, "status": text, "origin": text}
        answer = call("GET", "/products", params=params)
        assert answer.status_code == 200 or is_problem(answer, 422)

    check()


def test_of_an_event_never_make_a_bug(call_running):
    call = call_running(hotmart_hottok=HOTTOK)

    def deliver(body):
        headers = {"X-Hotmart-Hottok": HOTTOK, "Content-Type": "application/json"}
        return call("POST", "/hotmart/webhook", role=None, data=body, headers=headers)

    @here
    @given(raw=st.binary(max_size=60), name=words, value=st.integers() | st.floats() | words)
    def check(raw, name, value):
        product = {"id": 1, "name": name, "ucode": value}
        price = {"value": value, "currency_value": name}
        data = {"product": product, "purchase": {"price": price}, "producer": {"name": name}}
        event = {"event": "PURCHASE_APPROVED", "id": name, "data": data}

        assert deliver(escaped(event)).status_code == 200
        assert deliver(raw).status_code in (200, 422)

    check()


@pytest.mark.parametrize("name", FILE_NAMES, ids=lambda name: repr(name)[:24])
def test_of_a_file_s_name_count_for_nothing(call, offer, name):
    answer = call(
        "POST", f"/products/{offer}/images/upload", files={"image": (name, make_picture())}
    )

    assert answer.status_code == 201 or (not name and is_problem(answer, 422))
    with reading(call.app.engine) as session:
        rows = session.exec(select(ProductImage)).all()
    assert len({row.image_url for row in rows}) <= 1
    assert all(row.media_type == "image/png" for row in rows)
    assert all(not name or name not in repr(row) for row in rows)


def test_of_a_prompt_arrive_as_typed(call_running, openai, to_openai):
    call = call_running(**to_openai)
    offer = call("POST", "/products", json={"name": "Piano"}).json()["id"]
    typed = [*STRINGS[:12], ALL]

    for text in typed:
        body = {"customPrompt": text}
        assert call("POST", f"/products/{offer}/images/generate", json=body).status_code == 202

    def arrived():
        return [r.body["prompt"] for r in openai.requests if r.method == "POST"]

    wait_for(lambda: len(arrived()) == len(typed), timeout=60)
    assert sorted(arrived()) == sorted(text.strip() for text in typed)
