"""A Hotmart that runs on this machine: token host and API in one real HTTP server.

Answers in Hotmart's wire shapes, remembers what it was asked, and makes trouble on request.
Where Hotmart's documentation is silent it takes the strict side.

In a test::

    with HotmartSimulator() as hotmart:
        hotmart.add_product(name="Sourdough at Home", price=97)
        hotmart.fail("/products/api/v1/products", "503", times=2)

As a process of its own: ``python -m tests.simulators.hotmart --port 9000 --products 50``; then
``POST /_control`` takes ``{"do": "add_product", "with": {"name": "..."}}`` or a list of such,
and ``GET /_control`` tells what is there and what was asked.
"""

import argparse
import asyncio
import base64
import contextlib
import copy
import itertools
import json
import math
import re
import socket
import struct
import threading
import time
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self
from urllib.parse import parse_qs

CLIENT_ID = "3f1d2c4b-5a69-4788-96a5-b4c3d2e1f001"
CLIENT_SECRET = "8c7b6a59-4837-4261-a504-f3e2d1c0b9a8"
BASIC = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()

PRODUCTS = "/products/api/v1/products"
SALES = "/payments/api/v1/sales"
ME = "/user/api/v1/me"
TOKEN = "/security/oauth/token"
PREFIXES = (
    "/payments/api/",
    "/products/api/",
    "/club/api/",
    "/events/api/",
    "/user/api/",
    "/accounts/api/",
    "/physicalproducts/api/",
)
ERROR_PAGE = "https://developers.hotmart.com/docs/en/start/http-response-codes/"


def words(text: str) -> set[str]:
    return set(text.split())


PRODUCT_STATUSES = words(
    "DRAFT ACTIVE PAUSED NOT_APPROVED IN_REVIEW DELETED CHANGES_PENDING_ON_PRODUCT"
)
FORMATS = words(
    "EBOOK SOFTWARE MOBILE_APPS VIDEOS AUDIOS TEMPLATES IMAGES ONLINE_COURSE SERIAL_CODES ETICKET "
    "ONLINE_SERVICE ONLINE_EVENT BUNDLE COMMUNITY AGENT"
)
SALE_STATUSES = words(
    "APPROVED BLOCKED CANCELLED CHARGEBACK COMPLETE EXPIRED NO_FUNDS OVERDUE PARTIALLY_REFUNDED "
    "PRE_ORDER PRINTED_BILLET PROCESSING_TRANSACTION PROTESTED REFUNDED STARTED UNDER_ANALISYS "
    "WAITING_PAYMENT"
)
PAYMENT_TYPES = words(
    "BILLET CASH_PAYMENT CREDIT_CARD DIRECT_BANK_TRANSFER DIRECT_DEBIT FINANCED_BILLET "
    "FINANCED_INSTALLMENT GOOGLE_PAY HOTCARD HYBRID MANUAL_TRANSFER PAYPAL PAYPAL_INTERNACIONAL "
    "PICPAY PIX SAMSUNG_PAY WALLET"
)
ROLES = {"PRODUCER", "COPRODUCER", "AFFILIATE"}

TOPICS = (
    "Sourdough at Home", "Violão do Zero", "Inglês para Viagem", "Excel sem Medo",
    "Marketing no Instagram", "Fotografia com Celular", "Yoga em Casa", "Finanças em Ordem",
    "Doces que Vendem", "Corrida para Iniciantes", "Piano for Adults", "Horta na Varanda 🌱",
)  # fmt: skip
PRODUCERS = ("Bread School", "Escola Som", "Instituto Aurora", "Casa do Saber Fazer")


@dataclass(frozen=True)
class Asked:
    """One request, as it arrived; the last value where a query key is repeated."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Fault:
    """What the next requests under a path get instead of their answer."""

    path: str
    kind: str
    times: int | None
    after: int
    seconds: float


@dataclass
class Reply:
    """An answer on its way out; ``manner`` is how the connection treats it."""

    status: int = 200
    body: bytes = b""
    media_type: str = "application/json;charset=UTF-8"
    headers: list[tuple[str, str]] = field(default_factory=list)
    manner: str = "whole"  # whole | truncated | reset | slow | drip
    seconds: float = 0.0


class RefusalError(Exception):
    """Ends a request with one of Hotmart's error envelopes."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(error)
        envelope = {"error": error, "error_description": description, "error_uri": ERROR_PAGE}
        self.reply = Reply(status, to_json(envelope))


def to_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def to_ms(moment: datetime | int | None) -> int:
    if moment is None:
        return int(time.time() * 1000) - 3_600_000
    return int(moment.timestamp() * 1000) if isinstance(moment, datetime) else moment


REFUSALS = {
    "400": (400, "invalid_parameter", "Something is invalid"),
    "400-value": (400, "invalid_value_parameter", "A query value is bad"),
    "400-headers": (400, "invalid_value_headers", "A header value is bad"),
    "400-page": (400, "invalid_token", "page_token is broken"),
    "401": (401, "token_expired", "The token is past its time"),
    "401-none": (401, "unauthorized", "Full authentication is required to access this resource."),
    "401-broken": (401, "invalid_token", "Cannot convert access token to JSON"),
    "401-sandbox": (401, "unauthorized_client", "No permission"),
    "403": (403, "unauthorized_client", "No permission"),
    "404": (404, "not_found", "Nothing here"),
    "404-purchase": (404, "purchase_not_found", "No such purchase"),
    "405": (405, "method_not_allowed", "Method not allowed"),
    "408": (408, "request_timeout", "Too slow"),
    "500": (500, "internal_server_error", "Try later"),
    "500-other": (500, "internal_error", "Try later"),
    "502": (502, "internal_server_error", "The query ran over 30 s"),
    "503": (503, "internal_server_error", "Down for everyone"),
}
"""Answers of Hotmart's table of errors: status, name, description."""

FAULTS = (
    *REFUSALS, "429", "429-retry-after", "429-bare", "502-html", "truncated", "cut-json",
    "not-object", "not-text", "reset", "slow", "drip", "html", "empty", "redirect", "spent",
)  # fmt: skip


class HotmartSimulator:
    """The server and what it knows. Every method may be called while it answers requests."""

    def __init__(self, *, port: int = 0, **variants: Any) -> None:
        self.requests: list[Asked] = []
        self.connections: set[asyncio.Transport] = set()
        self.variants: dict[str, Any] = {
            "account": "creator",  # or "affiliate": promotes only, has no product of its own
            "token_lifetime": 172799,  # seconds
            "requests_per_minute": 1_000_000,  # Hotmart's own is 500
            "largest_page": 500,  # what a greater max_results is cut to
            "slow_range_days": None,  # sales of a longer range answer 502
            "next_page_token": "absent",  # or "null", "empty": how the last page says so
            "cursor": "honest",  # or "stuck": repeats itself; "empty": leads to empty pages
            "page_info": True,
            "items": True,
            "money": "as given",  # or "int", "float"
            "currency_field": "currency_code",  # or "currency_value"
            "extra_fields": False,
            "unknown_enums": False,
            "buyer": True,
            "me": True,  # False: an older Hotmart without /user/api/v1/me
            "forbidden": "",  # a path under which the account has no permission
            "echo": False,  # True: a refused token request is told what it sent
            "unknown_path": "empty",  # or "404"
        }
        self._port = port
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._faults: list[Fault] = []
        self._tokens: dict[str, float] = {}
        self._window = (0.0, 0)
        self.clear()
        for name, value in variants.items():
            self.variant(name, value)

    # What it knows

    def clear(self) -> None:
        """Forget all products, sales, faults and requests; tokens stay good."""
        with self._lock:
            self._products: dict[int, dict[str, Any]] = {}
            self._offers: dict[int, list[dict[str, Any]]] = {}
            self._ids: dict[str, int] = {}
            self._sales: list[dict[str, Any]] = []
            self._by_status: dict[str, list[dict[str, Any]]] | None = None
            self._faults.clear()
            self.requests.clear()

    def add_product(self, *, price: float | None = None, **changes: Any) -> int:
        """Add a product that the account created; with ``price`` it gets a main offer."""
        with self._lock:
            number = next(self._numbers)
            product: dict[str, Any] = {
                "id": 5_000_000 + number,
                "name": f"{TOPICS[number % len(TOPICS)]} {number}",
                "ucode": str(uuid.UUID(int=(number << 80) | 0x8000_0000_0000_4000, version=4)),
                "status": "ACTIVE",
                "created_at": 1_738_286_515_000 + number * 60_000,
                "format": "ONLINE_COURSE",
                "is_subscription": False,
                "warranty_period": 7,
            } | changes
            key = int(product["id"])
            self._products[key] = product
            self._offers[key] = []
            self._ids[product["ucode"]] = key
            if price is not None:
                self.add_offer(key, price=price)
            return key

    def change_product(self, product_id: int, **changes: Any) -> None:
        with self._lock:
            self._products[product_id].update(changes)

    def remove_product(self, product_id: int) -> None:
        """Let a product disappear from the list, with its offers."""
        with self._lock:
            self._ids.pop(self._products.pop(product_id)["ucode"], None)
            self._offers.pop(product_id)

    def add_offer(
        self, product_id: int, *, price: float = 97, currency: str = "BRL", **changes: Any
    ) -> str:
        """Add a price point to a created product and return its code; the first is the main one."""
        with self._lock:
            offers = self._offers[product_id]
            offer = {
                "code": f"o{next(self._numbers):07x}",
                "name": "",
                "description": "",
                "price": {"value": price, "currency_code": currency},
                "payment_mode": "UNIQUE_PAYMENT",
                "is_main_offer": not offers,
                "is_currency_conversion_enabled": True,
                "is_smart_recovery_enabled": False,
            } | changes
            offers.append(offer)
            return str(offer["code"])

    def change_offer(self, product_id: int, code: str, *, price: float) -> None:
        with self._lock:
            for offer in self._offers[product_id]:
                if offer["code"] == code:
                    offer["price"] = offer["price"] | {"value": price}

    def add_sale(
        self,
        *,
        product_id: int | None = None,
        product_name: str | None = None,
        producer_name: str = "Bread School",
        ordered_at: datetime | int | None = None,
        price: float = 97,
        currency: str = "BRL",
        offer_code: str | None = None,
        payment_mode: str = "UNIQUE_PAYMENT",
        payment_type: str = "PIX",
        status: str = "APPROVED",
        commission_as: str = "AFFILIATE",
        source: str = "instagram_bio",
        without: tuple[str, ...] = (),
    ) -> str:
        """Add a sale (an hour ago) and return its transaction.

        ``without`` names parts to leave out, as in ``("producer", "purchase.offer")``.
        """
        with self._lock:
            number = next(self._numbers)
            product_id = product_id or 7_000_000 + number
            product_name = product_name or f"{TOPICS[product_id % len(TOPICS)]} {product_id}"
            ordered = to_ms(ordered_at)
            sale: dict[str, Any] = {
                "product": {"id": product_id, "name": product_name},
                "producer": {
                    "name": producer_name,
                    "ucode": str(uuid.uuid5(uuid.NAMESPACE_DNS, producer_name)),
                },
                "buyer": {
                    "name": "Ana Example",
                    "email": "ana@example.com",
                    "ucode": "3c9b1e72-5a44-4f0d-b2c3-6e8f9a0b1c20",
                },
                "purchase": {
                    "transaction": f"HP{number:010d}",
                    "order_date": ordered,
                    "approved_date": ordered + 44_000,
                    "status": status,
                    "commission_as": commission_as,
                    "is_subscription": payment_mode == "SUBSCRIPTION",
                    "price": {"value": price, "currency_code": currency},
                    "payment": {"type": payment_type, "method": "PIX", "installments_number": 1},
                    "tracking": {"source": source, "source_sck": "HOTMART_PRODUCT_PAGE"},
                    "warranty_expire_date": ordered + 7 * 86_400_000,
                    "offer": {
                        "code": offer_code or f"s{product_id % 0xFFFFFFF:07x}",
                        "payment_mode": payment_mode,
                    },
                    "hotmart_fee": {
                        "total": round(price * 0.099 + 1, 2),
                        "fixed": 1,
                        "percentage": 9.9,
                        "base": price,
                        "currency_code": currency,
                    },
                },
            }
            self._sales.append({"shown": _without(sale, without), "ordered": ordered, "full": sale})
            self._by_status = None
            return str(sale["purchase"]["transaction"])

    def seed_catalogue(self, products: int = 0, promoted: int = 0) -> None:
        """Add ``products`` created products with an offer each, and ``promoted`` with a sale each.

        The sales lie up to 300 days back.
        """
        with self._lock:
            now = int(time.time() * 1000)
            for number in range(products):
                self.add_product(price=round(19.9 + number % 400, 2))
            for number in range(promoted):
                self.add_sale(
                    producer_name=PRODUCERS[number % len(PRODUCERS)],
                    ordered_at=now - 3_600_000 - (number * 7_919 % 7_200) * 3_600_000,
                    price=round(27.5 + number % 300, 2),
                    status="COMPLETE" if number % 3 else "APPROVED",
                )

    # What it does wrong

    def fail(
        self,
        path_prefix: str,
        kind: str,
        times: int | None = 1,
        *,
        after: int = 0,
        seconds: float = 0.0,
    ) -> None:
        """Spoil the next ``times`` answers under a path (None: all), but not the first ``after``.

        Kinds: those of ``REFUSALS`` (``503`` and the like), ``429`` (with rate headers),
        ``429-retry-after``, ``429-bare``, ``truncated``, ``cut-json``, ``not-object``, ``reset``,
        ``slow`` (half of the body, then ``seconds``), ``drip`` (a byte now and then), ``html``,
        ``502-html``, ``not-text``, ``empty``, ``redirect``, ``spent`` (a good answer that says no
        request is left for ``seconds``).
        """
        with self._lock:
            self._faults.append(Fault(path_prefix, kind, times, after, seconds))

    def variant(self, name: str, value: Any) -> None:
        """Change how answers are shaped; the names are in ``variants``."""
        if name not in self.variants:
            raise KeyError(f"No variant {name!r}; there are {sorted(self.variants)}")
        with self._lock:
            self.variants[name] = value

    def expire_tokens(self) -> None:
        """Let every token given so far be past its time."""
        with self._lock:
            self._tokens = dict.fromkeys(self._tokens, 0.0)

    def begin_minute(self) -> None:
        """Let the account have all its requests again."""
        with self._lock:
            self._window = (0.0, 0)

    def asked(self, path_prefix: str) -> list[Asked]:
        """Return the requests under a path, in the order they came."""
        with self._lock:
            return [request for request in self.requests if request.path.startswith(path_prefix)]

    # How it answers

    def answer(self, asked: Asked, query: dict[str, list[str]]) -> Reply:
        """Return what Hotmart would say."""
        with self._lock:
            if asked.path == "/_control":
                return self._control(asked)
            self.requests.append(asked)
            try:
                if asked.path == TOKEN:
                    return self._spoiled(asked, lambda: self._token(asked, query))
                if not asked.path.startswith(PREFIXES):
                    fine = Reply(body=b"<!doctype html><title>Docs</title>", media_type="text/html")
                    return self._spoiled(asked, lambda: fine)
                self._check_token(asked)
            except RefusalError as refusal:
                return refusal.reply
            rate = self._count()
            try:
                if rate is None:
                    raise RefusalError(429, "too_many_requests", "Rate limit exceeded")
                reply = self._spoiled(asked, lambda: self._api(asked, query))
            except RefusalError as refusal:
                reply = refusal.reply
            reply.headers = reply.headers or rate or self._spent_headers()
            return reply

    def _spoiled(self, asked: Asked, answer: Callable[[], Reply]) -> Reply:
        for fault in self._faults:
            if not asked.path.startswith(fault.path):
                continue
            if fault.after:
                fault.after -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
                if not fault.times:
                    self._faults.remove(fault)
            return self._trouble(fault, answer)
        return answer()

    def _trouble(self, fault: Fault, answer: Callable[[], Reply]) -> Reply:
        match fault.kind:
            case kind if kind in REFUSALS:
                reply = RefusalError(*REFUSALS[kind]).reply
                reply.seconds = fault.seconds
            case "429" | "429-retry-after" | "429-bare":
                reply = RefusalError(429, "too_many_requests", "Rate limit exceeded").reply
                wait = str(math.ceil(fault.seconds))
                if fault.kind == "429":
                    reply.headers = self._spent_headers(fault.seconds)
                elif fault.kind == "429-retry-after":
                    reply.headers = [("Retry-After", wait)]
                else:
                    reply.headers = [("X-Request-Id", "1")]
            case "spent":
                reply = answer()
                reply.headers = self._spent_headers(fault.seconds)
            case "truncated" | "slow" | "drip":
                reply = answer()
                reply.manner, reply.seconds = fault.kind, fault.seconds
            case "cut-json":
                reply = answer()
                reply.body = reply.body[: len(reply.body) // 2]
            case "not-object":
                reply = Reply(body=b"[1, 2]")
            case "reset":
                reply = Reply(manner="reset")
            case "not-text":
                reply = Reply(body=b"\x00\xff\xfe garbage \x80")
            case "502-html":
                page = b"<html><title>502 Bad Gateway</title></html>"
                reply = Reply(502, page, "text/html")
            case "html":
                reply = Reply(body=b"<!doctype html><title>Hi</title>", media_type="text/html")
            case "empty":
                reply = Reply()
            case "redirect":
                reply = Reply(302, headers=[("Location", "https://example.com/")])
            case _:
                raise ValueError(f"No such fault: {fault.kind}")
        return reply

    def _token(self, asked: Asked, query: dict[str, list[str]]) -> Reply:
        form = parse_qs(asked.body.decode())
        given = {key: values[-1] for key, values in (form | query).items()}
        if (
            asked.method != "POST"
            or asked.headers.get("authorization") != f"Basic {BASIC}"
            or given.get("grant_type") != "client_credentials"
            or given.get("client_id", CLIENT_ID) != CLIENT_ID
            or given.get("client_secret", CLIENT_SECRET) != CLIENT_SECRET
        ):
            repeated = f" {given}" if self.variants["echo"] else ""
            raise RefusalError(401, "unauthorized", f"Bad credentials{repeated}")
        lifetime = self.variants["token_lifetime"]
        token = f"H4sIAAAAAAAAA-sim-token-{len(self._tokens) + 1:04d}%3D"
        self._tokens[token] = time.monotonic() + lifetime
        fields = {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": lifetime,
            "scope": "read write",
            "jti": str(uuid.uuid4()),
        }
        return Reply(body=to_json(fields))

    def _check_token(self, asked: Asked) -> None:
        kind, _, token = asked.headers.get("authorization", "").partition(" ")
        if not token:
            if asked.path.startswith("/user/"):
                raise RefusalError(401, "invalid_token", "Access token is missing or invalid")
            wording = "Full authentication is required to access this resource."
            raise RefusalError(401, "unauthorized", wording)
        if kind != "Bearer" or token not in self._tokens:
            raise RefusalError(401, "invalid_token", "Cannot convert access token to JSON")
        if self._tokens[token] <= time.monotonic():
            raise RefusalError(401, "token_expired", "The token is past its time")

    def _count(self) -> list[tuple[str, str]] | None:
        """Count one request and return the rate headers; None when none was left."""
        now = time.monotonic()
        since, count = self._window
        if now - since >= 60:
            since, count = now, 0
        limit = self.variants["requests_per_minute"]
        self._window = (since, count + 1)
        if count >= limit:
            return None
        return rate_headers(limit, limit - count - 1, since + 60 - now)

    def _spent_headers(self, seconds: float | None = None) -> list[tuple[str, str]]:
        if seconds is None:
            seconds = self._window[0] + 60 - time.monotonic()
        return rate_headers(self.variants["requests_per_minute"], 0, seconds)

    def _api(self, asked: Asked, query: dict[str, list[str]]) -> Reply:
        forbidden = self.variants["forbidden"]
        if forbidden and asked.path.startswith(forbidden):
            raise RefusalError(403, "unauthorized_client", "No permission")
        answer = self._route(asked.path)
        if answer is None:
            if self.variants["unknown_path"] == "404":
                raise RefusalError(404, "not_found", "Nothing here")
            return Reply()
        if asked.method != "GET":
            raise RefusalError(405, "method_not_allowed", "Method not allowed")
        return answer(query)

    def _route(self, path: str) -> Callable[[dict[str, list[str]]], Reply] | None:
        if path == PRODUCTS:
            return self._list_products
        if match := re.fullmatch(PRODUCTS + r"/([^/]+)/(offers|plans)", path):
            key, what = match.groups()
            return lambda query: self._list_offers(key, what, query)
        if path == ME and self.variants["me"]:
            return self._me
        shapes = {
            f"{SALES}/history": _as_history,
            f"{SALES}/users": _as_users,
            f"{SALES}/commissions": self._as_commissions,
            f"{SALES}/price/details": _as_price_details,
        }
        if shape := shapes.get(path):
            return lambda query: self._list_sales(query, shape)
        return self._summary if path == f"{SALES}/summary" else None

    def _me(self, query: dict[str, list[str]]) -> Reply:
        me = {
            "id": 4200001,
            "name": "Marina Afiliada",
            "email": "me@example.com",
            "login": "me@example.com",
            "ucode": "9a8b7c6d-0000-4000-8000-000000000001",
            "address": {"country": "Brasil"},
            "entity_type": "PERSON",
            "locale": "PT_BR",
            "time_zone": "America/Sao_Paulo",
            "currency_code_commission": "BRL",
        }
        return Reply(body=to_json(me))

    def _list_products(self, query: dict[str, list[str]]) -> Reply:
        wanted = number_in(query, "id")
        statuses, formats = (
            choices_in(query, "status", PRODUCT_STATUSES),
            choices_in(query, "format", FORMATS),
        )
        owns = self.variants["account"] == "creator"
        products = list(self._products.values()) if owns else []
        if wanted is not None or statuses or formats:
            products = [
                product
                for product in products
                if (wanted is None or product["id"] == wanted)
                and (not statuses or product["status"] in statuses)
                and (not formats or product["format"] in formats)
            ]
        return self._page(products, query, default_rows=50, total=False)

    def _list_offers(self, key: str, what: str, query: dict[str, list[str]]) -> Reply:
        if key.isdecimal():
            return Reply()
        if key not in self._ids or self.variants["account"] != "creator":
            raise RefusalError(404, "not_found", "Product not found")
        if what == "plans":
            raise RefusalError(400, "invalid_parameter", "Product has no plans")
        return self._page(self._offers[self._ids[key]], query, default_rows=50, total=False)

    def _list_sales(
        self, query: dict[str, list[str]], shape: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> Reply:
        sales = self._found_sales(query)
        return self._page(sales, query, default_rows=50, total=True, shape=shape)

    def _found_sales(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        """Return the sales a query means, the newest first."""
        start, end = number_in(query, "start_date"), number_in(query, "end_date")
        product_id = number_in(query, "product_id")
        statuses = choices_in(query, "transaction_status", SALE_STATUSES)
        roles = choices_in(query, "commission_as", ROLES)
        types = choices_in(query, "payment_type", PAYMENT_TYPES)
        transaction = query.get("transaction", [""])[-1]
        source = query.get("sales_source", [""])[-1]
        offer_code = query.get("offer_code", [""])[-1]
        longest = self.variants["slow_range_days"]
        if longest is not None and (end or 0) - (start or 0) > longest * 86_400_000:
            raise RefusalError(502, "internal_server_error", "The query took too long")
        if not statuses and not transaction:
            statuses = {"APPROVED", "COMPLETE"}
        if self._by_status is None:
            self._by_status = {}
            for sale in sorted(self._sales, key=lambda sale: sale["ordered"]):
                self._by_status.setdefault(sale["full"]["purchase"]["status"], []).append(sale)
        found: list[dict[str, Any]] = []
        for status in sorted(statuses or self._by_status):
            sales = self._by_status.get(status, [])
            first = 0 if start is None else bisect_left(sales, start, key=_ordered)
            last = len(sales) if end is None else bisect_right(sales, end, key=_ordered)
            found += sales[first:last]
        found = [
            sale
            for sale in found
            if (purchase := sale["full"]["purchase"])
            and (not roles or purchase["commission_as"] in roles)
            and (not types or purchase["payment"]["type"] in types)
            and (not transaction or purchase["transaction"] == transaction)
            and (not source or purchase["tracking"]["source"] == source)
            and (not offer_code or purchase["offer"]["code"] == offer_code)
            and (product_id is None or sale["full"]["product"]["id"] == product_id)
        ]
        return sorted(found, key=_ordered, reverse=True)

    def _as_commissions(self, sale: dict[str, Any]) -> dict[str, Any]:
        price = sale["full"]["purchase"]["price"]
        share = {
            "source": "AFFILIATE",
            "commission": price | {"value": round(price["value"] * 0.445, 2)},
            "user": {
                "ucode": "9a8b7c6d-0000-4000-8000-000000000001",
                "name": "Me",
                "email": "me@example.com",
            },
        }
        return _reference(sale) | {"exchange_rate_currency_payout": 1, "commissions": [share]}

    def _summary(self, query: dict[str, list[str]]) -> Reply:
        totals: dict[str, list[float]] = {}
        for sale in self._found_sales(query):
            price = sale["full"]["purchase"]["price"]
            totals.setdefault(price["currency_code"], []).append(price["value"] * 0.445)
        items = [
            {
                "total_items": len(shares),
                "total_value": {"value": round(sum(shares), 2), "currency_code": currency},
            }
            for currency, shares in sorted(totals.items())
        ]
        return self._page(items, query, default_rows=50, total=True)

    def _page(
        self,
        found: list[dict[str, Any]],
        query: dict[str, list[str]],
        *,
        default_rows: int,
        total: bool,
        shape: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> Reply:
        rows = number_in(query, "max_results") or default_rows
        if rows < 1:
            raise RefusalError(400, "invalid_value_parameter", "max_results is out of range")
        rows = min(rows, self.variants["largest_page"])
        page = page_in(query)
        items = found[(page - 1) * rows : page * rows]
        cursor = self.variants["cursor"]
        if cursor == "empty" and page > 1:
            items = []
        shown = [self._dressed(shape(item) if shape else item) for item in items]
        info: dict[str, Any] = {"total_results": len(found)} if total else {}
        info["results_per_page"] = len(items)
        if page > 1:
            info["prev_page_token"] = page_token(page - 1, rows)
        if cursor == "stuck":
            info["next_page_token"] = page_token(1, rows)
        elif page * rows < len(found) or cursor == "empty":
            info["next_page_token"] = page_token(page + 1, rows)
        elif self.variants["next_page_token"] != "absent":
            info["next_page_token"] = None if self.variants["next_page_token"] == "null" else ""
        body: dict[str, Any] = {}
        if self.variants["items"]:
            body["items"] = shown
        if self.variants["page_info"]:
            body["page_info"] = info
        return Reply(body=to_json(body))

    def _dressed(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return an item as the variants want it shaped."""
        of = self.variants
        if not of["buyer"] and "buyer" in item:
            item = {key: value for key, value in item.items() if key != "buyer"}
        plain = of["currency_field"] == "currency_code" and of["money"] == "as given"
        if plain and not of["extra_fields"] and not of["unknown_enums"]:
            return item
        dressed: dict[str, Any] = self._redressed(copy.deepcopy(item))
        return dressed

    def _redressed(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._redressed(part) for part in value]
        if not isinstance(value, dict):
            return value
        value = {key: self._redressed(part) for key, part in value.items()}
        if "currency_code" in value and "value" in value:
            if self.variants["money"] != "as given":
                as_number = int if self.variants["money"] == "int" else float
                value["value"] = as_number(value["value"])
            value[self.variants["currency_field"]] = value.pop("currency_code")
        if self.variants["extra_fields"]:
            value["brand_new_field"] = {"nested": [1, None, "x"]}
        if self.variants["unknown_enums"]:
            enums = value.keys() & {"status", "format", "payment_mode", "type", "method"}
            value |= dict.fromkeys(enums, "BRAND_NEW")
        return value

    def _control(self, asked: Asked) -> Reply:
        if asked.method == "GET":
            state = {
                "products": len(self._products),
                "sales": len(self._sales),
                "variants": self.variants,
                "requests": [
                    asdict(request) | {"body": request.body.decode("utf-8", "replace")}
                    for request in self.requests
                ],
            }
            return Reply(body=to_json(state))
        allowed = words(
            "add_product change_product remove_product add_offer change_offer add_sale "
            "seed_catalogue fail variant expire_tokens begin_minute clear"
        )
        try:
            orders = json.loads(asked.body)
            results = []
            for order in orders if isinstance(orders, list) else [orders]:
                if order["do"] not in allowed:
                    raise KeyError(f"do is one of {sorted(allowed)}")
                results.append(getattr(self, order["do"])(**order.get("with", {})))
            return Reply(body=to_json({"results": results}))
        except (KeyError, TypeError, ValueError) as error:
            return Reply(400, to_json({"error": str(error)}))

    # The server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("The simulator did not start")
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self, ready: threading.Event) -> None:
        serve = self._loop.create_server(lambda: _Connection(self), "127.0.0.1", self._port)
        server = self._loop.run_until_complete(serve)
        self._port = server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()
        server.close()
        for connection in list(self.connections):
            connection.abort()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


def rate_headers(limit: int, remaining: int, reset: float) -> list[tuple[str, str]]:
    """Return the five headers of an authenticated answer."""
    return [
        ("RateLimit-Limit", str(limit)),
        ("RateLimit-Remaining", str(remaining)),
        ("RateLimit-Reset", str(max(0, math.ceil(reset)))),
        ("X-RateLimit-Limit-Minute", str(limit)),
        ("X-RateLimit-Remaining-Minute", str(remaining)),
    ]


def number_in(query: dict[str, list[str]], name: str) -> int | None:
    if name not in query:
        return None
    try:
        return int(query[name][-1])
    except ValueError:
        raise RefusalError(400, "invalid_value_parameter", f"{name} is not a number") from None


def choices_in(query: dict[str, list[str]], name: str, known: set[str]) -> set[str]:
    chosen = set(query.get(name, ()))
    if chosen - known:
        raise RefusalError(400, "invalid_value_parameter", f"{name} has an unknown value")
    return chosen


def page_token(page: int, rows: int) -> str:
    return base64.b64encode(to_json({"page": page, "rows": rows})).decode()


def page_in(query: dict[str, list[str]]) -> int:
    if "page_token" not in query:
        return 1
    try:
        page = json.loads(base64.b64decode(query["page_token"][-1], validate=True))["page"]
        return max(1, int(page))
    except (ValueError, KeyError, TypeError):
        raise RefusalError(400, "invalid_token", "page_token is broken") from None


def _ordered(sale: dict[str, Any]) -> int:
    return int(sale["ordered"])


def _without(item: dict[str, Any], paths: tuple[str, ...]) -> dict[str, Any]:
    shown = copy.deepcopy(item) if paths else item
    for path in paths:
        *parents, last = path.split(".")
        part = shown
        for parent in parents:
            part = part[parent]
        part.pop(last, None)
    return shown


def _reference(sale: dict[str, Any]) -> dict[str, Any]:
    full = sale["full"]
    return {"transaction": full["purchase"]["transaction"], "product": full["product"]}


def _as_history(sale: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = sale["shown"]
    return shown


def _as_users(sale: dict[str, Any]) -> dict[str, Any]:
    producer = {"role": "PRODUCER", "user": sale["full"]["producer"] | {"locale": "PT_BR"}}
    return _reference(sale) | {"users": [producer]}


def _as_price_details(sale: dict[str, Any]) -> dict[str, Any]:
    price = sale["full"]["purchase"]["price"]
    fee = price | {"value": round(price["value"] * 0.099, 2)}
    prices = {"base": price, "total": price, "vat": price | {"value": 0}, "fee": fee}
    return _reference(sale) | prices | {"real_conversion_rate": 1}


class _Connection(asyncio.Protocol):
    """Just enough HTTP/1.1 for API calls: keep-alive and bodies of a known length."""

    def __init__(self, simulator: HotmartSimulator) -> None:
        self.simulator = simulator
        self.buffer = b""

    def connection_lost(self, error: Exception | None) -> None:
        self.simulator.connections.discard(self.transport)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.simulator.connections.add(transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            first, *lines = self.buffer[:end].decode("latin-1").split("\r\n")
            pairs = (line.partition(":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            body_end = end + 4 + int(headers.get("content-length", 0))
            if len(self.buffer) < body_end:
                return
            body, self.buffer = self.buffer[end + 4 : body_end], self.buffer[body_end:]
            method, target, _ = first.split(" ")
            path, _, query_text = target.partition("?")
            query = parse_qs(query_text, keep_blank_values=True)
            flat = {key: values[-1] for key, values in query.items()}
            self.send(self.simulator.answer(Asked(method, path, flat, headers, body), query))

    def send(self, reply: Reply) -> None:
        if reply.manner == "reset":
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
            return
        lines = [
            f"HTTP/1.1 {reply.status} Status",
            f"Content-Type: {reply.media_type}",
            f"Content-Length: {len(reply.body)}",
            *(f"{name}: {value}" for name, value in reply.headers),
        ]
        whole = "\r\n".join(lines).encode() + b"\r\n\r\n" + reply.body
        cut = len(whole) - len(reply.body) // 2
        if reply.manner == "truncated":
            self.transport.write(whole[:cut])
            self.transport.close()
        elif reply.manner == "slow":
            self.transport.write(whole[:cut])
            self._later(reply.seconds, whole[cut:])
        elif reply.manner == "drip":
            self._drip(whole, cut)
        elif reply.seconds:
            self._later(reply.seconds, whole)
        else:
            self.transport.write(whole)

    def _drip(self, whole: bytes, sent: int) -> None:
        """Write the first ``sent`` bytes, and then one after the other, but for the last."""
        self.transport.write(whole[:sent])
        if sent < len(whole) - 1 and not self.transport.is_closing():
            later = asyncio.get_running_loop().call_later
            later(0.05, lambda: self._drip(whole[sent:], 1))

    def _later(self, seconds: float, data: bytes) -> None:
        asyncio.get_running_loop().call_later(seconds, self.transport.write, data)


def main() -> None:
    parser = argparse.ArgumentParser(description="Play Hotmart on this machine.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--products", type=int, default=0, help="created products to begin with")
    parser.add_argument("--sales", type=int, default=0, help="promoted products to begin with")
    parser.add_argument("--rate", type=int, default=1_000_000, help="requests per minute")
    parser.add_argument("--token-lifetime", type=int, default=172799, help="seconds")
    chosen = parser.parse_args()
    simulator = HotmartSimulator(
        port=chosen.port,
        requests_per_minute=chosen.rate,
        token_lifetime=chosen.token_lifetime,
    )
    simulator.seed_catalogue(products=chosen.products, promoted=chosen.sales)
    with simulator:
        print(simulator.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
