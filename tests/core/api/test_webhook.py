import copy
import hmac
import json
import logging
import threading
import time

import pytest
from sqlmodel import select

from core import covers
from core.database import reading, transaction
from core.models import CoverJob, Product, WebhookEvent
from tests.builders import NOW, make_product
from tests.core.api.conftest import is_problem
from tests.waiting import wait_for

HOTTOK = "hottok-9f8e7d6c5b4a"
BUYER = {
    "name": "Zoraide Comprador",
    "first_name": "Zoraide",
    "last_name": "Comprador",
    "email": "zoraide@buyer.example",
    "checkout_phone": "987654321",
    "document": "12345678909",
    "address": {"zipcode": "01310100", "city": "Sorocaba", "address": "Rua Comprador"},
}
EVENT = {
    "id": "8a4e1f7c-3b52-4d61-9c0a-5f2d7e6b1a90",
    "creation_date": 1775865935123,
    "event": "PURCHASE_APPROVED",
    "version": "2.0.0",
    "data": {
        "product": {"id": 5010001, "ucode": "7b0f3a52", "name": "Sourdough at Home"},
        "affiliates": [{"affiliate_code": "X12345678Y", "name": "Me"}],
        "buyer": BUYER,
        "producer": {"name": "Bread School", "document": "00000000000100"},
        "purchase": {
            "transaction": "HP1000000001",
            "price": {"value": 97, "currency_value": "BRL"},
            "buyer_ip": "203.0.113.77",
        },
    },
}


def event(number=1, **product):
    """The event above under another id, about a product with these values."""
    changed = copy.deepcopy(EVENT)
    changed["id"] = f"event-{number}"
    changed["data"]["product"] |= product
    return changed


def deliver(call, body, token=HOTTOK, **more):
    headers = {"X-Hotmart-Hottok": token} if token is not None else {}
    how = {"data": body} if isinstance(body, bytes) else {"json": body}
    return call("POST", "/hotmart/webhook", role=None, headers=headers, **how, **more)


def rows(call, table):
    with reading(call.app.engine) as session:
        return session.exec(select(table).order_by(table.id)).all()


@pytest.fixture
def hooked(call_running):
    return call_running(hotmart_hottok=HOTTOK)


@pytest.fixture
def quiet(make_app, serve, monkeypatch):
    """Calls an App that only notes which events it would work in."""
    call = serve(make_app(hotmart_hottok=HOTTOK))
    call.taken = []
    monkeypatch.setattr(call.app.jobs, "take_event", call.taken.append)
    return call


class TestToken:
    @pytest.mark.parametrize("token", [None, "", "wrong", HOTTOK + "x", HOTTOK.upper(), "é"])
    def test_must_be_hotmart_s(self, quiet, token):
        given = token.encode() if token == "é" else token

        assert is_problem(deliver(quiet, EVENT, given), 401, "HOTMART_HOTTOK")
        assert is_problem(deliver(quiet, b"{", given), 401)
        assert quiet.taken == []

    @pytest.mark.parametrize("token", [None, "", "None", "wrong"])
    def test_is_never_right_when_none_is_set(self, call, token):
        assert is_problem(deliver(call, EVENT, token), 401)

    def test_in_the_body_counts_for_nothing(self, quiet):
        assert is_problem(deliver(quiet, EVENT | {"hottok": HOTTOK}, None), 401)

    def test_is_compared_in_constant_time(self, quiet, monkeypatch):
        compared, in_constant_time = [], hmac.compare_digest

        def compare(*both):
            compared.append(both)
            return in_constant_time(*both)

        monkeypatch.setattr("hmac.compare_digest", compare)
        deliver(quiet, EVENT, "wrong")

        assert compared == [(b"wrong", HOTTOK.encode())]

    def test_guesses_are_slowed(self, quiet):
        answers = [deliver(quiet, EVENT, f"guess-{i}").status_code for i in range(22)]

        assert answers == [401] * 20 + [429] * 2
        assert deliver(quiet, EVENT).status_code == 200


class TestOddBodies:
    @pytest.mark.parametrize(
        "body",
        [
            b"[]",
            b'"text"',
            b"{}",
            b"null",
            b"5",
            b"[" * 100_000 + b"]" * 100_000,
            b'{"id": {"a": []}, "event": ["PURCHASE_APPROVED"], "data": "x"}',
            b'{"id": "1", "event": "PURCHASE_APPROVED", "data": {"product": []}}',
            json.dumps(event(id=0)).encode(),  # a test from Hotmart's screen
            json.dumps(event(id=-5)).encode(),
            json.dumps(event(id=2**63)).encode(),
            json.dumps(event(id=None, ucode=None)).encode(),
            json.dumps(event(id=True, ucode=None)).encode(),
            json.dumps(event(name="")).encode(),
            json.dumps(EVENT | {"id": ""}).encode(),
            json.dumps(EVENT | {"event": "PURCHASE_OF_TOMORROW"}).encode(),
            json.dumps(EVENT | {"event": "CLUB_FIRST_ACCESS"}).encode(),
            json.dumps(EVENT | {"event": None}).encode(),
        ],
        ids=lambda body: str(body[:40]),
    )
    def test_are_accepted_and_ignored(self, quiet, body):
        answer = deliver(quiet, body)

        assert (answer.status_code, answer.json()) == (200, {"ok": True})
        assert quiet.taken == []

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"hottok=x"])
    def test_that_are_no_json_are_refused(self, quiet, body):
        assert is_problem(deliver(quiet, body), 422, "not JSON")

    def test_beyond_a_megabyte_are_refused(self, quiet):
        assert is_problem(deliver(quiet, b'"' + b"x" * 1024 * 1024 + b'"'), 413)

    @pytest.mark.parametrize(
        ("price", "expected"),
        [
            ({"value": 97, "currency_value": "brl"}, ("97", "BRL")),
            ({"value": 97.5, "currency_value": "R$"}, ("97.5", None)),
            ({"value": "x", "currency_value": 5}, (None, None)),
            ([], (None, None)),
            (None, (None, None)),
        ],
    )
    def test_with_half_a_price_are_taken_without(self, quiet, price, expected):
        body = event()
        body["data"]["purchase"]["price"] = price

        deliver(quiet, body)

        assert [(news.price, news.currency) for news in quiet.taken] == [expected]


class TestProducts:
    def test_a_new_one_comes_in_with_its_cover(self, hooked):
        answer = deliver(hooked, EVENT)
        product = wait_for(lambda: [p for p in rows(hooked, Product) if p.image_url])[0]

        assert answer.status_code == 200
        assert (product.name, product.producer_name) == ("Sourdough at Home", "Bread School")
        assert (product.hotmart_id, product.ucode) == (5010001, "7b0f3a52")
        assert (float(product.price), product.currency) == (97.0, "BRL")
        assert product.origin == "promoted"
        assert [job.state for job in rows(hooked, CoverJob)] == ["succeeded"]

    def test_a_known_one_is_updated_and_comes_back(self, hooked):
        with transaction(hooked.app.engine) as session:
            session.add_all(
                [
                    make_product(
                        name="Mine", hotmart_id=1, ucode=None, archived_at=NOW, producer_name=None
                    ),
                    make_product(name="By ucode", hotmart_id=None, ucode="u2"),
                    make_product(name="Has it", hotmart_id=3, ucode="u3"),
                    make_product(name="Has none", hotmart_id=4, ucode=None),
                ]
            )

        deliver(hooked, event(1, id=1, ucode="u1", name="Members' area"))
        deliver(hooked, event(2, id=2, ucode="u2"))
        deliver(hooked, event(3, id=4, ucode="u3"))  # two offers claim it
        wait_for(lambda: len(rows(hooked, WebhookEvent)) == 3)

        first, second, third, fourth = rows(hooked, Product)
        assert (first.name, first.ucode, first.archived_at) == ("Mine", "u1", None)
        assert first.search_text == "mine bread school"
        assert (second.hotmart_id, second.name) == (2, "By ucode")
        assert (third.hotmart_id, third.ucode) == (3, "u3")
        assert (fourth.hotmart_id, fourth.ucode) == (4, None)
        assert rows(hooked, CoverJob) == []

    def test_no_cover_is_asked_for_when_a_sync_would_not_ask_either(self, call_running):
        call = call_running(hotmart_hottok=HOTTOK, covers_per_sync=0)

        deliver(call, EVENT)

        assert wait_for(lambda: rows(call, Product))
        assert rows(call, CoverJob) == []

    def test_the_same_event_is_taken_once_even_at_once(self, hooked):
        threads = [threading.Thread(target=deliver, args=(hooked, EVENT)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_for(lambda: rows(hooked, Product))
        with transaction(hooked.app.engine) as session:
            session.exec(select(Product)).one().archived_at = NOW
        again = deliver(hooked, EVENT)
        deliver(hooked, event(2, id=77, ucode="u77"))  # worked in after it
        wait_for(lambda: len(rows(hooked, Product)) == 2)

        assert again.status_code == 200
        assert rows(hooked, Product)[0].archived_at == NOW
        assert len(rows(hooked, WebhookEvent)) == 2
        wait_for(lambda: not self.covers_under_way(hooked))
        assert len(rows(hooked, CoverJob)) == 2

    def test_an_answer_comes_at_once_while_the_queue_is_busy(
        self, call_running, hotmart, to_hotmart
    ):
        hotmart.seed_catalogue(products=1)
        hold = threading.Event()
        call = call_running(**to_hotmart, hotmart_hottok=HOTTOK, covers_per_sync=0)
        read = call.app.jobs.catalogue.read_catalogue

        def slow(**given):
            hold.wait(20)
            return read(**given)

        call.app.jobs.catalogue.read_catalogue = slow
        call("POST", "/hotmart/sync")
        times = []
        for number in range(5):
            begun = time.monotonic()
            assert deliver(call, event(number, id=number + 1, ucode=f"u{number}")).ok
            times.append(time.monotonic() - begun)
        before = rows(call, WebhookEvent)
        hold.set()
        wait_for(lambda: len(rows(call, WebhookEvent)) == 5)

        assert before == []
        assert max(times) < 0.5

    def covers_under_way(self, call):
        with reading(call.app.engine) as session:
            return covers.count_jobs(session)


def test_buyer_data_is_kept_nowhere(hooked, tmp_path, caplog, capfd):
    for name in ("", "dbos", "uvicorn", "sqlalchemy"):
        caplog.set_level(logging.DEBUG, name)
    logging.getLogger("dbos").addHandler(caplog.handler)

    deliver(hooked, EVENT)
    deliver(hooked, EVENT | {"id": 5})
    deliver(hooked, json.dumps(EVENT).encode()[:-1])
    wait_for(lambda: [p for p in rows(hooked, Product) if p.image_url])
    logging.getLogger("dbos").removeHandler(caplog.handler)
    hooked.app.jobs.close()
    hooked.app.engine.dispose()

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"dashboard.db", "jobs.db"} <= {path.name for path in files}
    written = b"".join(path.read_bytes() for path in files)
    said = caplog.text + "".join(capfd.readouterr())
    assert b"Sourdough at Home" in written
    planted = ["Zoraide", "Comprador", "buyer.example", "987654321", "12345678909", "01310100",
               "Sorocaba", "203.0.113.77", "HP1000000001", HOTTOK]  # fmt: skip
    for word in planted:
        assert word.encode() not in written
        assert word not in said
