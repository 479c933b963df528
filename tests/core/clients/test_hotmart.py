"""Reading an account from Hotmart, against a server that plays it.

The numbers of the quirks are those of the list kept by the project; each is something that the
real Hotmart does.
"""

import logging
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextvars import copy_context
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from gettext import NullTranslations
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests

from core import language
from core.clients.hotmart import (
    API_URL,
    AUTH_URL,
    HotmartClient,
    RemoteOffer,
    RemoteProduct,
    RemoteSale,
    decode,
    merge,
    parse_offers,
    parse_products,
    parse_sales,
)
from core.clients.hotmart.client import OTHER_STATUSES, month_by_month
from core.errors import Problem, ServiceError
from tests.simulators.hotmart import (
    BASIC,
    CLIENT_ID,
    CLIENT_SECRET,
    ME,
    PRODUCTS,
    SALES,
    TOKEN,
    HotmartSimulator,
)

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
HISTORY = f"{SALES}/history"


@pytest.fixture
def hotmart() -> Iterator[HotmartSimulator]:
    with HotmartSimulator() as simulator:
        yield simulator


def make_client(hotmart: HotmartSimulator, **changes: Any) -> HotmartClient:
    """A client that looks back one month and never really waits."""
    usual = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "api_url": hotmart.url,
        "auth_url": hotmart.url,
        "months": 1,
        "sleep": lambda seconds: None,
    }
    return HotmartClient(**usual | changes)


def read(client: HotmartClient) -> list[RemoteProduct]:
    return client.read_catalogue(now=NOW, report=lambda step, done, total: None)


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def make_sale(**changes: Any) -> RemoteSale:
    boring: dict[str, Any] = {
        "product_id": 7,
        "product_name": "Piano for Adults",
        "producer_name": "Escola Som",
        "ordered_at": days_ago(1),
        "offer": make_offer(),
    }
    return RemoteSale(**boring | changes)


def make_offer(**changes: Any) -> RemoteOffer:
    boring: dict[str, Any] = {
        "code": "a1b2c3d4",
        "name": "",
        "price": Decimal(97),
        "currency": "BRL",
        "payment_mode": "UNIQUE_PAYMENT",
        "is_main": False,
    }
    return RemoteOffer(**boring | changes)


def make_product(**changes: Any) -> RemoteProduct:
    boring: dict[str, Any] = {
        "hotmart_id": 7,
        "ucode": "u-7",
        "name": "Piano",
        "producer_name": None,
        "origin": "created",
        "status": "ACTIVE",
        "format": "EBOOK",
    }
    return RemoteProduct(**boring | changes)


class TestParseProducts:
    def test_reads_what_hotmart_tells(self):
        item = {"id": 5, "name": "Pão 🌱", "ucode": "u-5", "status": "PAUSED", "format": "EBOOK"}

        products, _ = parse_products({"items": [item]})

        assert products == [
            RemoteProduct(
                hotmart_id=5,
                ucode="u-5",
                name="Pão 🌱",
                producer_name=None,
                origin="created",
                status="PAUSED",
                format="EBOOK",
            )
        ]

    @pytest.mark.parametrize("body", [{}, {"items": None}, {"items": []}, {"items": {}}])
    def test_finds_nothing_in_a_page_without_items(self, body):
        assert parse_products(body) == ([], None)

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"page_info": None},
            {"page_info": {}},
            {"page_info": {"next_page_token": None}},
            {"page_info": {"next_page_token": ""}},
        ],
    )
    def test_sees_the_end_however_hotmart_says_it(self, body):
        assert parse_products(body)[1] is None

    def test_returns_the_next_page_token_as_it_is(self):
        assert parse_products({"page_info": {"next_page_token": "eyJ+/=="}})[1] == "eyJ+/=="

    def test_skips_what_can_not_be_told_apart(self):
        items = [{"name": "No id"}, {"id": True}, "nonsense", None, {"id": 6, "name": "Fine"}]

        products, _ = parse_products({"items": items})

        assert [product.name for product in products] == ["Fine"]

    def test_names_a_product_without_a_name_by_its_id(self):
        products, _ = parse_products({"items": [{"id": 6}, {"ucode": "u-9", "name": " "}]})

        assert [product.name for product in products] == ["Hotmart 6", "Hotmart u-9"]

    def test_keeps_values_that_hotmart_has_invented_since(self):
        item = {"id": 6, "status": "FROZEN", "format": "HOLOGRAM", "brand_new": {"a": [1]}}

        (product,), _ = parse_products({"items": [item]})

        assert (product.status, product.format) == ("FROZEN", "HOLOGRAM")


class TestParseOffers:
    @pytest.mark.parametrize("text", ["97", "97.0", "97.10", "0.1", "1999999.99"])
    def test_takes_money_digit_by_digit(self, text):
        body = decode(b'{"items": [{"code": "a", "price": {"value": %s}}]}' % text.encode())

        (offer,), _ = parse_offers(body)

        assert isinstance(offer.price, Decimal)
        assert str(offer.price) == text

    @pytest.mark.parametrize("field", ["currency_code", "currency_value"])
    def test_knows_both_names_of_the_currency(self, field):  # quirk 6
        (offer,), _ = parse_offers({"items": [{"code": "a", "price": {"value": 1, field: "EUR"}}]})

        assert offer.currency == "EUR"

    @pytest.mark.parametrize("price", [None, {}, "97", {"value": None}, {"value": float("nan")}])
    def test_leaves_a_missing_price_open(self, price):
        (offer,), _ = parse_offers({"items": [{"code": "a", "price": price}]})

        assert (offer.price, offer.currency) == (None, None)

    def test_skips_an_offer_without_a_code(self):
        assert parse_offers({"items": [{"name": "Main"}, {"code": ""}]}) == ([], None)


class TestParseSales:
    def test_reads_a_sale(self):
        item = {
            "product": {"id": 7, "name": "Piano"},
            "producer": {"name": "Escola Som"},
            "purchase": {
                "order_date": 1775865891000,
                "price": {"value": 97, "currency_code": "BRL"},
                "offer": {"code": "a1b2c3d4", "payment_mode": "UNIQUE_PAYMENT"},
            },
        }

        (sale,), _ = parse_sales({"items": [item]})

        assert sale == make_sale(
            product_name="Piano", ordered_at=datetime(2026, 4, 11, 0, 4, 51, tzinfo=UTC)
        )

    def test_keeps_nothing_about_the_buyer(self):
        item = {
            "product": {"id": 7, "name": "Piano"},
            "buyer": {"name": "Ana Example", "email": "ana@example.com", "ucode": "3c9b1e72"},
        }

        kept = repr(parse_sales({"items": [item]}))

        assert not any(part in kept for part in ("Ana", "example.com", "3c9b1e72"))

    @pytest.mark.parametrize("purchase", [None, {}, {"offer": None}, {"offer": {}}, {"price": {}}])
    def test_tolerates_a_sparse_purchase(self, purchase):
        item = {"product": {"id": 7}, "purchase": purchase}

        (sale,), _ = parse_sales({"items": [item]})

        assert sale == RemoteSale(7, "", None, None, None)

    def test_skips_a_sale_of_nothing(self):
        assert parse_sales({"items": [{}, {"product": {"name": "Piano"}}]}) == ([], None)

    @pytest.mark.parametrize("date", [1775865891000, "1775865891000", 1775865891])
    def test_knows_every_form_of_a_date(self, date):
        item = {"product": {"id": 7}, "purchase": {"order_date": date}}

        (sale,), _ = parse_sales({"items": [item]})

        assert sale.ordered_at == datetime(2026, 4, 11, 0, 4, 51, tzinfo=UTC)

    def test_leaves_an_impossible_date_open(self):
        item = {"product": {"id": 7}, "purchase": {"order_date": 10**20}}

        assert parse_sales({"items": [item]})[0][0].ordered_at is None


class TestMerge:
    def test_lists_created_products_before_promoted_ones_in_the_order_they_came(self):
        created = [make_product(hotmart_id=number) for number in (3, 1)]
        sales = [make_sale(product_id=number) for number in (9, 8, 9)]

        assert [product.hotmart_id for product in merge(created, sales)] == [3, 1, 9, 8]

    def test_lets_created_win_over_promoted(self):
        (product,) = merge([make_product(hotmart_id=7)], [make_sale(product_id=7)])

        assert product == make_product(hotmart_id=7)

    def test_lists_a_product_once_that_came_twice(self):
        created = [make_product(name="First"), make_product(name="Second")]

        assert [product.name for product in merge(created, [])] == ["First"]

    def test_gives_the_newest_sale_the_last_word(self):
        sales = [
            make_sale(product_name="Old", ordered_at=days_ago(9), producer_name="Before"),
            make_sale(product_name="New", ordered_at=days_ago(1), producer_name="Now"),
            make_sale(product_name="Undated", ordered_at=None),
        ]

        (product,) = merge([], sales)

        assert (product.name, product.producer_name) == ("New", "Now")
        assert product.origin == "promoted"

    def test_makes_the_newest_offer_the_main_one(self):
        old = make_offer(code="old", price=Decimal(10))
        new = make_offer(code="new", price=Decimal(20))
        sales = [
            make_sale(ordered_at=days_ago(9), offer=old),
            make_sale(ordered_at=days_ago(1), offer=new),
            make_sale(ordered_at=days_ago(5), offer=make_offer(code="new", price=Decimal(15))),
        ]

        (product,) = merge([], sales)

        assert [(offer.code, offer.is_main) for offer in product.offers] == [
            ("new", True),
            ("old", False),
        ]
        assert (product.price, product.currency) == (Decimal(20), "BRL")

    def test_names_a_product_whose_sales_have_no_name(self):
        (product,) = merge([], [make_sale(product_name="", offer=None)])

        assert (product.name, product.price, product.offers) == ("Hotmart 7", None, ())


class TestPrice:
    def test_is_that_of_the_main_offer(self):
        first = make_offer(price=Decimal(1))
        main = make_offer(price=Decimal(2), is_main=True)

        assert make_product(offers=(first, main)).price == 2

    def test_is_that_of_the_first_offer_where_none_is_the_main_one(self):
        offers = (make_offer(price=Decimal(1)), make_offer(price=Decimal(2)))

        assert make_product(offers=offers).price == 1


class TestMonthByMonth:
    @pytest.mark.parametrize(
        "now",
        [NOW, datetime(2026, 3, 31, tzinfo=UTC), datetime(2024, 2, 29, 23, 59, tzinfo=UTC)],
    )
    def test_covers_the_time_without_gap_or_overlap(self, now):
        months = month_by_month(now, 12)

        assert len(months) == 12
        assert months[-1][1] == now.timestamp() * 1000
        assert all(end + 1 == start for (_, end), (start, _) in pairwise(months))
        assert all(end - start <= 31 * 86_400_000 for start, end in months)

    def test_begins_on_the_same_day_a_year_before(self):
        begin = datetime(2025, 6, 15, 12, tzinfo=UTC)

        assert month_by_month(NOW, 12)[0][0] == begin.timestamp() * 1000

    def test_goes_by_universal_time(self):
        sao_paulo = NOW.astimezone(timezone(timedelta(hours=-3)))

        assert month_by_month(sao_paulo, 3) == month_by_month(NOW, 3)


class TestAccess:
    def test_asks_for_a_token_in_the_documented_form(self, hotmart):
        make_client(hotmart).check()

        (asked,) = hotmart.asked(TOKEN)
        assert asked.method == "POST"
        assert asked.query == {
            "grant_type": "client_credentials",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
        }
        assert asked.headers["authorization"] == f"Basic {BASIC}"
        assert asked.body == b""

    def test_sends_the_token_as_it_came(self, hotmart):
        make_client(hotmart).check()

        (asked,) = hotmart.asked(ME)
        assert asked.headers["authorization"] == "Bearer H4sIAAAAAAAAA-sim-token-0001%3D"

    @pytest.mark.parametrize("basic", [BASIC, f"Basic {BASIC}", f" basic  {BASIC}\n", "", None])
    def test_takes_basic_with_or_without_the_word(self, hotmart, basic):
        assert make_client(hotmart, basic=basic).check() == "Marina Afiliada"

    def test_uses_one_token_for_a_whole_reading(self, hotmart):
        hotmart.seed_catalogue(products=5, promoted=5)

        read(make_client(hotmart))

        assert len(hotmart.asked(TOKEN)) == 1

    @pytest.mark.parametrize("basic", [None, "d3Jvbmc=", "não"])
    def test_says_that_the_credentials_are_wrong(self, hotmart, basic):
        with pytest.raises(ServiceError, match="did not accept the credentials") as caught:
            make_client(hotmart, client_secret="wrong", basic=basic).check()

        assert caught.value.problem is Problem.KEY
        assert caught.value.permanent
        assert "HOTMART_CLIENT_SECRET" in str(caught.value)

    def test_renews_a_token_before_its_end(self, hotmart):
        hotmart.variant("token_lifetime", 0.2)
        client = make_client(hotmart)
        client.check()

        threading.Event().wait(0.17)
        client.check()

        assert [asked.path for asked in hotmart.requests] == [TOKEN, ME, TOKEN, ME]

    def test_renews_a_refused_token_once(self, hotmart):
        client = make_client(hotmart)
        client.check()
        hotmart.expire_tokens()

        client.check()

        assert [asked.path for asked in hotmart.requests] == [TOKEN, ME, ME, TOKEN, ME]

    def test_gives_up_when_a_new_token_is_refused_too(self, hotmart):
        hotmart.fail(PRODUCTS, "401", times=None)

        with pytest.raises(ServiceError, match="Create new credentials") as caught:
            read(make_client(hotmart))

        assert caught.value.problem is Problem.KEY
        assert [asked.path for asked in hotmart.requests] == [TOKEN, PRODUCTS, TOKEN, PRODUCTS]

    def test_renews_once_for_all_threads(self, hotmart):
        hotmart.seed_catalogue(products=40)

        def expire_before_the_offers(step: str, done: int, total: int | None) -> None:
            if (step, done) == ("offers", 0):
                hotmart.expire_tokens()

        client = make_client(hotmart)
        found = client.read_catalogue(now=NOW, report=expire_before_the_offers)

        assert len(found) == 40
        assert len(hotmart.asked(TOKEN)) == 2

    def test_does_not_ask_again_with_credentials_that_lack_a_permission(self, hotmart):
        hotmart.variant("forbidden", PRODUCTS)

        with pytest.raises(ServiceError, match="does not let these credentials") as caught:
            read(make_client(hotmart))

        assert caught.value.problem is Problem.PERMISSION
        assert len(hotmart.asked(PRODUCTS)) == 1

    def test_knows_hotmarts_own_hosts(self):
        assert API_URL == "https://developers.hotmart.com"
        assert AUTH_URL == "https://api-sec-vlc.hotmart.com"


class TestCheck:
    def test_returns_the_name_on_the_account(self, hotmart):
        assert make_client(hotmart).check() == "Marina Afiliada"

    @pytest.mark.parametrize("kind", ["401", "403", "404", "empty", "html"])
    def test_asks_for_a_sale_where_the_account_is_not_to_be_had(self, hotmart, kind):
        hotmart.fail(ME, kind, times=None)

        assert make_client(hotmart).check() == ""

        assert hotmart.asked(HISTORY)[0].query == {"max_results": "1"}

    def test_fails_where_neither_is_to_be_had(self, hotmart):
        hotmart.fail("/", "403", times=None)
        client = make_client(hotmart)

        with pytest.raises(ServiceError):
            client.check()


class TestReadCatalogue:
    def test_finds_nothing_in_an_empty_account(self, hotmart):
        assert read(make_client(hotmart)) == []

    def test_reads_created_products_with_their_offers(self, hotmart):
        product_id = hotmart.add_product(name="Sourdough at Home", price=97.5)
        hotmart.add_offer(product_id, code="second00", price=47, currency="USD")

        (product,) = read(make_client(hotmart))

        assert (product.hotmart_id, product.name) == (product_id, "Sourdough at Home")
        assert (product.origin, product.status) == ("created", "ACTIVE")
        assert (product.price, product.currency) == (Decimal("97.5"), "BRL")
        assert [offer.price for offer in product.offers] == [Decimal("97.5"), Decimal(47)]

    def test_reads_promoted_products_from_the_sales(self, hotmart):
        hotmart.add_sale(
            product_id=7, product_name="Piano", producer_name="Escola Som", ordered_at=days_ago(3)
        )

        (product,) = read(make_client(hotmart))

        assert (product.hotmart_id, product.name) == (7, "Piano")
        assert (product.producer_name, product.origin) == ("Escola Som", "promoted")
        assert product.ucode is None  # quirk 7: sales tell no ucode
        assert product.price == 97

    def test_serves_an_account_that_only_promotes(self, hotmart):
        hotmart.variant("account", "affiliate")
        hotmart.add_sale(product_id=7, ordered_at=days_ago(3))

        assert [product.origin for product in read(make_client(hotmart))] == ["promoted"]

    def test_asks_only_for_sales_made_as_affiliate(self, hotmart):
        hotmart.add_sale(commission_as="PRODUCER", ordered_at=days_ago(3))

        assert read(make_client(hotmart)) == []

    def test_reads_every_page(self, hotmart):
        hotmart.variant("largest_page", 3)
        for number in range(10):
            hotmart.add_product(name=f"Created {number}")
            hotmart.add_sale(product_id=900 + number, ordered_at=days_ago(number))
        product_id = hotmart.add_product(name="With offers")
        for _ in range(7):
            hotmart.add_offer(product_id)

        found = read(make_client(hotmart))

        assert len(found) == 21
        assert max(len(product.offers) for product in found) == 7

    def test_repeats_the_question_with_each_page_token(self, hotmart):
        hotmart.variant("largest_page", 1)
        for days in (1, 2):
            hotmart.add_sale(ordered_at=days_ago(days))

        read(make_client(hotmart))

        first, second = [
            asked.query
            for asked in hotmart.asked(HISTORY)
            if "transaction_status" not in asked.query
        ]
        assert second == first | {"page_token": second["page_token"]}

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("next_page_token", "null"),
            ("next_page_token", "empty"),
            ("page_info", False),
            ("money", "int"),
            ("money", "float"),
            ("currency_field", "currency_value"),  # quirk 6
            ("extra_fields", True),
            ("unknown_enums", True),
            ("buyer", False),
        ],
    )
    def test_reads_the_same_whatever_shape_hotmart_chooses(self, hotmart, name, value):
        hotmart.add_product(name="Created", price=10)
        hotmart.add_sale(product_id=7, product_name="Promoted", price=20, ordered_at=days_ago(1))
        hotmart.variant(name, value)

        found = read(make_client(hotmart))

        assert [(product.name, product.price, product.currency) for product in found] == [
            ("Created", 10, "BRL"),
            ("Promoted", 20, "BRL"),
        ]

    def test_takes_lists_without_items_for_empty(self, hotmart):
        hotmart.add_product()
        hotmart.variant("items", False)

        assert read(make_client(hotmart)) == []

    def test_tolerates_sparse_sales(self, hotmart):
        missing = ("producer", "buyer", "purchase.offer", "purchase.price", "purchase.tracking")
        hotmart.add_sale(
            product_id=7, product_name="Piano", ordered_at=days_ago(1), without=missing
        )

        (product,) = read(make_client(hotmart))

        assert (product.name, product.producer_name, product.price) == ("Piano", None, None)

    def test_asks_for_offers_by_ucode_never_by_number(self, hotmart):  # quirk 4
        product_id = hotmart.add_product(ucode="7b0f3a52-6d0e-4f5b-9d0c-2f6a7b1c8e01")

        read(make_client(hotmart))

        offers = hotmart.asked(f"{PRODUCTS}/")
        assert [asked.path for asked in offers] == [
            f"{PRODUCTS}/7b0f3a52-6d0e-4f5b-9d0c-2f6a7b1c8e01/offers"
        ]
        assert str(product_id) not in offers[0].path

    @pytest.mark.parametrize("kind", ["404", "empty"])  # quirk 3
    def test_takes_no_answer_about_offers_for_no_offers(self, hotmart, kind):
        hotmart.add_product(name="Sourdough", price=97)
        hotmart.fail(f"{PRODUCTS}/", kind)

        (product,) = read(make_client(hotmart))

        assert (product.name, product.offers) == ("Sourdough", ())

    def test_takes_an_empty_body_for_an_empty_list(self, hotmart):  # quirk 3
        hotmart.fail(PRODUCTS, "empty")

        assert read(make_client(hotmart)) == []

    def test_tells_real_progress(self, hotmart):
        hotmart.variant("largest_page", 2)
        hotmart.seed_catalogue(products=3)
        heard: list[tuple[str, int, int | None]] = []

        make_client(hotmart).read_catalogue(now=NOW, report=lambda *news: heard.append(news))

        assert heard[:3] == [("products", 0, None), ("products", 2, None), ("products", 3, None)]
        assert heard[3:7] == [("offers", done, 3) for done in range(4)]
        assert heard[7:] == [("sales", done, 9) for done in range(10)]

    def test_reports_in_the_thread_of_the_caller(self, hotmart):
        hotmart.seed_catalogue(products=3)
        threads = set()

        make_client(hotmart).read_catalogue(
            now=NOW, report=lambda *news: threads.add(threading.get_ident())
        )

        assert threads == {threading.get_ident()}


class TestSales:
    def test_asks_for_each_month_with_both_ends(self, hotmart):
        read(make_client(hotmart, months=12))

        plain = [
            (int(asked.query["start_date"]), int(asked.query["end_date"]))
            for asked in hotmart.asked(HISTORY)
            if "transaction_status" not in asked.query
        ]
        assert sorted(plain) == month_by_month(NOW, 12)

    def test_asks_for_each_status_that_hotmart_does_not_give_unasked(self, hotmart):  # quirk 1
        read(make_client(hotmart))

        asked = [each.query.get("transaction_status") for each in hotmart.asked(HISTORY)]
        assert sorted(asked, key=str) == sorted([None, *OTHER_STATUSES], key=str)

    @pytest.mark.parametrize("status", ["APPROVED", "COMPLETE", *OTHER_STATUSES])
    def test_finds_a_product_by_a_sale_of_any_telling_status(self, hotmart, status):  # quirks 1, 9
        hotmart.add_sale(product_id=7, status=status, ordered_at=days_ago(1))

        assert [product.hotmart_id for product in read(make_client(hotmart))] == [7]

    def test_ignores_sales_that_never_came_about(self, hotmart):
        hotmart.add_sale(status="CANCELLED", ordered_at=days_ago(1))
        hotmart.add_sale(status="STARTED", ordered_at=days_ago(1))

        assert read(make_client(hotmart)) == []

    def test_finds_the_first_and_the_last_moment(self, hotmart):
        start, end = month_by_month(NOW, 1)[0]
        hotmart.add_sale(product_id=1, ordered_at=start)
        hotmart.add_sale(product_id=2, ordered_at=end)
        hotmart.add_sale(product_id=3, ordered_at=start - 1)

        found = {product.hotmart_id for product in read(make_client(hotmart))}

        assert found == {1, 2}

    def test_halves_a_month_that_takes_too_long(self, hotmart):  # quirk 13
        hotmart.variant("slow_range_days", 8)
        for day in range(30):
            hotmart.add_sale(product_id=100 + day, ordered_at=days_ago(day))

        found = read(make_client(hotmart))

        assert len(found) == 30

    def test_gives_up_on_a_day_that_takes_too_long(self, hotmart):  # quirk 13
        hotmart.fail(HISTORY, "502", times=None)

        with pytest.raises(ServiceError, match="took too long"):
            read(make_client(hotmart))

        narrowest = min(
            int(asked.query["end_date"]) - int(asked.query["start_date"])
            for asked in hotmart.asked(HISTORY)
        )
        assert 0.4 < narrowest / 86_400_000 <= 1

    def test_finds_all_when_a_later_page_takes_too_long(self, hotmart):  # quirk 13
        hotmart.variant("largest_page", 2)
        for day in range(10):
            hotmart.add_sale(product_id=100 + day, ordered_at=days_ago(day))
        hotmart.fail(HISTORY, "502", after=11)

        assert len(read(make_client(hotmart))) == 10


class TestLoopGuard:
    def test_refuses_a_list_that_leads_back_to_itself(self, hotmart):
        hotmart.add_product()
        hotmart.variant("cursor", "stuck")

        with pytest.raises(ServiceError, match="did not come to an end") as caught:
            read(make_client(hotmart))

        assert caught.value.problem is Problem.WRONG_ANSWER
        assert len(hotmart.asked(PRODUCTS)) == 2

    def test_stops_at_an_empty_page_that_promises_another(self, hotmart):
        hotmart.add_product()
        hotmart.variant("cursor", "empty")

        assert len(read(make_client(hotmart))) == 1

    def test_does_not_take_a_vanished_page_for_the_end(self, hotmart):  # quirk 3
        hotmart.variant("largest_page", 2)
        hotmart.seed_catalogue(products=4)
        hotmart.fail(PRODUCTS, "empty", after=1)

        with pytest.raises(ServiceError, match="incomplete"):
            read(make_client(hotmart))


class TestRateLimit:
    def test_waits_for_the_next_minute_when_no_request_is_left(self, hotmart):
        waits: list[float] = []
        hotmart.fail(ME, "spent", seconds=42)
        client = make_client(hotmart, sleep=waits.append)
        client.check()

        assert waits == []
        client.check()

        assert waits == [pytest.approx(42, abs=1)]

    def test_never_waits_over_a_minute_on_its_own(self, hotmart):
        waits: list[float] = []
        hotmart.fail(ME, "spent", seconds=3600)
        client = make_client(hotmart, sleep=waits.append)

        client.check()
        client.check()

        assert waits == [pytest.approx(60, abs=1)]

    def test_takes_missing_headers_for_unknown(self, hotmart):
        waits: list[float] = []
        client = make_client(hotmart, sleep=waits.append)

        client.check()  # the token's answer has none
        client.check()

        assert waits == []

    @pytest.mark.parametrize("kind", ["429", "429-retry-after"])
    def test_waits_as_long_as_a_429_asks(self, hotmart, kind):
        waits: list[float] = []
        hotmart.fail(ME, kind, seconds=30)

        assert make_client(hotmart, sleep=waits.append).check() == "Marina Afiliada"

        assert waits[0] == 30

    def test_waits_a_little_longer_each_time_when_a_429_does_not_say(self, hotmart):
        waits: list[float] = []
        hotmart.fail(ME, "429-bare", times=3)

        make_client(hotmart, sleep=waits.append).check()

        assert [1 <= waits[0] <= 2, 2 <= waits[1] <= 3, 4 <= waits[2] <= 5] == [True] * 3

    def test_gives_up_when_a_429_asks_for_too_long(self, hotmart):
        waits: list[float] = []
        hotmart.fail(ME, "429-retry-after", seconds=3600)

        with pytest.raises(ServiceError, match="no more requests") as caught:
            make_client(hotmart, sleep=waits.append).check()

        assert caught.value.problem is Problem.RATE
        assert waits == []

    def test_stays_within_hotmarts_own_limit(self, hotmart):
        hotmart.seed_catalogue(products=30)
        hotmart.variant("requests_per_minute", 20)

        def next_minute(seconds: float) -> None:
            hotmart.begin_minute()

        assert len(read(make_client(hotmart, sleep=next_minute))) == 30


PASSING = {
    "500": Problem.SERVER,
    "502": Problem.SERVER,
    "503": Problem.SERVER,
    "429-bare": Problem.RATE,
    "truncated": Problem.NETWORK,
    "cut-json": Problem.WRONG_ANSWER,
    "not-object": Problem.WRONG_ANSWER,
    "reset": Problem.NETWORK,
}
LASTING = {
    "html": Problem.WRONG_ANSWER,  # quirk 2
    "redirect": Problem.WRONG_ANSWER,
    "403": Problem.PERMISSION,
}


class TestTrouble:
    @pytest.mark.parametrize("path", [TOKEN, PRODUCTS, f"{PRODUCTS}/", HISTORY])
    @pytest.mark.parametrize("kind", PASSING)
    def test_is_waited_out(self, hotmart, kind, path):
        hotmart.add_product()
        hotmart.add_sale(ordered_at=days_ago(1))
        hotmart.fail(path, kind, times=2)

        assert len(read(make_client(hotmart))) == 2

    @pytest.mark.parametrize("kind", PASSING)
    def test_is_told_when_it_does_not_pass(self, hotmart, kind):
        hotmart.fail(PRODUCTS, kind, times=None)

        with pytest.raises(ServiceError) as caught:
            read(make_client(hotmart))

        assert caught.value.problem is PASSING[kind]
        assert not caught.value.permanent
        assert len(hotmart.asked(PRODUCTS)) == 5

    @pytest.mark.parametrize("kind", LASTING)
    def test_is_told_at_once_when_it_will_not_pass(self, hotmart, kind):
        hotmart.fail(PRODUCTS, kind, times=None)

        with pytest.raises(ServiceError) as caught:
            read(make_client(hotmart))

        assert caught.value.problem is LASTING[kind]
        assert caught.value.permanent
        assert len(hotmart.asked(PRODUCTS)) == 1

    @pytest.mark.parametrize("kind", [*PASSING, *LASTING])
    @pytest.mark.parametrize("path", [PRODUCTS, f"{PRODUCTS}/", HISTORY])
    def test_never_leaves_half_a_list(self, hotmart, path, kind):
        hotmart.variant("largest_page", 2)
        hotmart.seed_catalogue(products=5)
        for day in range(5):
            hotmart.add_sale(ordered_at=days_ago(day))
        hotmart.fail(path, kind, times=None, after=1)

        with pytest.raises(ServiceError):
            read(make_client(hotmart))

    def test_says_when_the_address_is_not_hotmarts(self, hotmart):  # quirk 2
        with pytest.raises(ServiceError, match="does not look like Hotmart's API"):
            make_client(hotmart, api_url=f"{hotmart.url}/docs").check()

    def test_says_when_the_token_address_is_not_hotmarts(self, hotmart):  # quirk 2
        with pytest.raises(ServiceError, match="does not look like Hotmart's API"):
            make_client(hotmart, auth_url=f"{hotmart.url}/docs").check()

    def test_says_when_the_token_answer_has_no_token(self, hotmart):  # quirk 3
        hotmart.fail(TOKEN, "empty", times=None)

        with pytest.raises(ServiceError, match="does not look like Hotmart's API"):
            make_client(hotmart).check()

    @pytest.mark.parametrize("url", ["developers.hotmart.com", "ftp://hotmart", "https://"])
    def test_says_when_an_address_can_not_be_used(self, hotmart, url):
        with pytest.raises(ServiceError, match="HOTMART_API_URL") as caught:
            make_client(hotmart, api_url=url).check()

        assert caught.value.permanent

    def test_says_when_nobody_answers(self, hotmart):
        client = make_client(hotmart, auth_url="http://127.0.0.1:9")

        with pytest.raises(ServiceError, match="could not be reached") as caught:
            client.check()

        assert caught.value.problem is Problem.NETWORK

    def test_does_not_wait_for_an_answer_for_ever(self, hotmart):
        hotmart.fail(ME, "slow", times=None, seconds=5)

        with pytest.raises(ServiceError, match="took too long") as caught:
            make_client(hotmart, timeout=(1, 0.05)).check()

        assert caught.value.problem is Problem.TIMEOUT

    def test_does_not_listen_for_ever_to_an_answer_that_drips(self, hotmart, monkeypatch):
        monkeypatch.setattr("core.clients.hotmart.connection.LONGEST_ANSWER", 0.1)
        hotmart.fail(ME, "drip", times=None)

        with pytest.raises(ServiceError, match="took too long") as caught:
            make_client(hotmart, timeout=(1, 1)).check()

        assert caught.value.problem is Problem.TIMEOUT

    def test_takes_a_slow_answer_that_comes(self, hotmart):
        hotmart.fail(ME, "slow", seconds=0.05)

        assert make_client(hotmart).check() == "Marina Afiliada"

    def test_is_told_in_the_language_of_the_reader(self, hotmart):
        class Shouting(NullTranslations):
            def gettext(self, message: str) -> str:
                return message.upper()

        def read_loudly() -> None:
            language._current.set(Shouting())
            read(make_client(hotmart))

        hotmart.add_product()
        hotmart.fail(f"{PRODUCTS}/", "403", times=None)

        with pytest.raises(ServiceError, match="HOTMART DOES NOT LET"):
            copy_context().run(read_loudly)

    def test_goes_through_a_session_of_the_callers_choice(self, hotmart):
        session = requests.Session()

        make_client(hotmart, http=session).check()

        assert session.get_adapter(hotmart.url).poolmanager.pools.keys()


SECRET = "planted-secret/with+signs&more"


def everything_about(error: BaseException | None) -> str:
    """All that a log or a screen could show of an error, its causes and its contexts."""
    told = []
    while error is not None:
        told += [str(error), repr(error), repr(error.args), repr(vars(error))]
        told += traceback.format_exception(error)
        assert not isinstance(error, requests.RequestException)
        error = error.__cause__ or error.__context__
    return "\n".join(told)


class TestSecrets:
    @pytest.mark.parametrize("path", [TOKEN, ME])
    @pytest.mark.parametrize("kind", [*PASSING, *LASTING, "404", "429", "slow"])
    def test_are_in_no_error_and_no_log(self, hotmart, caplog, path, kind):
        caplog.set_level(logging.DEBUG)
        hotmart.fail(path, kind, times=None, seconds=5 if kind == "slow" else 0)
        client = make_client(hotmart, timeout=(1, 0.05))

        told = ""
        try:
            client.check()
        except ServiceError as error:
            told = everything_about(error)

        told += caplog.text + "".join(str(vars(record)) for record in caplog.records)
        assert not any(secret in told for secret in (CLIENT_SECRET, BASIC, "sim-token"))

    def test_are_hidden_in_the_log_while_all_goes_well(self, hotmart, caplog):
        caplog.set_level(logging.DEBUG)

        make_client(hotmart).check()

        assert "client_secret=***" in caplog.text  # urllib3 did tell the address
        assert CLIENT_SECRET not in caplog.text

    @pytest.mark.parametrize("auth_url", ["http://127.0.0.1:9", "ftp://nowhere", None])
    def test_are_hidden_in_every_spelling(self, hotmart, caplog, auth_url):
        caplog.set_level(logging.DEBUG)
        client = make_client(hotmart, client_secret=SECRET, auth_url=auth_url or hotmart.url)

        with pytest.raises(ServiceError) as caught:
            client.check()

        told = everything_about(caught.value) + caplog.text + repr(client)
        assert "planted" not in told
        assert "cGxhbnRl" not in told  # the same in base64

    def test_are_hidden_when_hotmart_repeats_them(self, hotmart):
        hotmart.variant("echo", True)

        with pytest.raises(ServiceError) as caught:
            make_client(hotmart, client_secret=SECRET).check()

        assert caught.value.__cause__ is not None
        assert "planted" not in everything_about(caught.value)


class TestSimulator:
    """What the tests above, and others, rely on."""

    @pytest.fixture
    def ask(self, hotmart):
        def get(path: str, **query: Any) -> requests.Response:
            token = requests.post(
                hotmart.url + TOKEN,
                params={"grant_type": "client_credentials"},
                headers={"Authorization": f"Basic {BASIC}"},
                timeout=5,
            ).json()["access_token"]
            bearer = {"Authorization": f"Bearer {token}"}
            return requests.get(hotmart.url + path, params=query, headers=bearer, timeout=5)

        return get

    @pytest.mark.parametrize(
        ("path", "query", "status", "error"),
        [
            (PRODUCTS, {"page_token": "???"}, 400, "invalid_token"),
            (PRODUCTS, {"id": "x"}, 400, "invalid_value_parameter"),
            (PRODUCTS, {"status": "PUBLISHED"}, 400, "invalid_value_parameter"),
            (HISTORY, {"transaction_status": "COMPLETED"}, 400, "invalid_value_parameter"),
            (f"{PRODUCTS}/no-such-ucode/offers", {}, 404, "not_found"),
        ],
    )
    def test_refuses_as_hotmart_does(self, ask, path, query, status, error):
        answer = ask(path, **query)

        assert (answer.status_code, answer.json()["error"]) == (status, error)
        assert "RateLimit-Remaining" in answer.headers

    @pytest.mark.parametrize("path", [f"{PRODUCTS}/5000001/offers", "/payments/api/v1/nothing"])
    def test_answers_wrong_addresses_with_an_empty_200(self, ask, path):  # quirk 3
        assert (ask(path).status_code, ask(path).content) == (200, b"")

    def test_answers_plans_of_a_product_without_plans_with_400(self, hotmart, ask):  # quirk 5
        hotmart.add_product(ucode="u-1")

        assert ask(f"{PRODUCTS}/u-1/plans").json()["error"] == "invalid_parameter"

    @pytest.mark.parametrize(("path", "error"), [(ME, "invalid_token"), (PRODUCTS, "unauthorized")])
    def test_wants_a_token(self, hotmart, path, error):
        answer = requests.get(hotmart.url + path, timeout=5)

        assert (answer.status_code, answer.json()["error"]) == (401, error)
        assert "RateLimit-Remaining" not in answer.headers

    def test_refuses_requests_over_the_limit(self, hotmart, ask):
        hotmart.variant("requests_per_minute", 1)
        ask(ME)

        answer = ask(ME)

        assert answer.status_code == 429
        assert answer.headers["RateLimit-Remaining"] == "0"
        assert 0 < int(answer.headers["RateLimit-Reset"]) <= 60

    @pytest.mark.parametrize("what", ["users", "commissions", "price/details", "summary"])
    def test_answers_the_other_sales_calls(self, hotmart, ask, what):
        hotmart.add_sale()

        assert len(ask(f"{SALES}/{what}").json()["items"]) == 1

    def test_runs_as_a_process_and_takes_orders(self):
        command = [sys.executable, "-m", "tests.simulators.hotmart", "--products", "2"]
        root = Path(__file__).parents[3]
        with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                url = process.stdout.readline().strip()
                orders = [{"do": "add_product", "with": {"name": "Third"}}]
                added = requests.post(f"{url}/_control", json=orders, timeout=5).json()
                state = requests.get(f"{url}/_control", timeout=5).json()
            finally:
                process.terminate()

        assert added == {"results": [5_000_005]}
        assert state["products"] == 3
