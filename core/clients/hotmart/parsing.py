"""Hotmart's answers as small values of our own.

Tolerates what Hotmart leaves out and what it may add. Nothing about a buyer is ever kept.
"""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_decoder = json.JSONDecoder(parse_float=Decimal)


@dataclass(frozen=True, slots=True)
class RemoteOffer:
    """One price point of a product."""

    code: str
    name: str
    price: Decimal | None
    currency: str | None
    payment_mode: str | None
    is_main: bool


@dataclass(frozen=True, slots=True)
class RemoteProduct:
    """A product that the account created or promotes, as Hotmart tells it today."""

    hotmart_id: int | None
    ucode: str | None
    name: str
    producer_name: str | None
    origin: Literal["created", "promoted"]
    status: str | None
    format: str | None
    offers: tuple[RemoteOffer, ...] = ()

    @property
    def price(self) -> Decimal | None:
        """The main offer's price; that of the first where none is the main one."""
        return self._leading.price if self._leading else None

    @property
    def currency(self) -> str | None:
        """The currency of ``price``."""
        return self._leading.currency if self._leading else None

    @property
    def _leading(self) -> RemoteOffer | None:
        first = self.offers[0] if self.offers else None
        return next((offer for offer in self.offers if offer.is_main), first)


@dataclass(frozen=True, slots=True)
class RemoteSale:
    """What one sale tells about a promoted product, and nothing about who bought it."""

    product_id: int
    product_name: str
    producer_name: str | None
    ordered_at: datetime | None
    offer: RemoteOffer | None


def decode(text: bytes) -> Any:
    """Return the JSON in ``text``; numbers with a point become ``Decimal``.

    :raises ValueError: if it is not JSON, or only a part of it
    """
    return _decoder.decode(text.decode("utf-8-sig"))


def parse_products(body: dict[str, Any]) -> tuple[list[RemoteProduct], str | None]:
    """Return the created products on one page and the token of the next page, if any."""
    products = []
    for item in _items(body):
        hotmart_id, ucode = _number(item.get("id")), _text(item.get("ucode"))
        if hotmart_id is None and ucode is None:
            continue
        product = RemoteProduct(
            hotmart_id=hotmart_id,
            ucode=ucode,
            name=_text(item.get("name")) or f"Hotmart {hotmart_id or ucode}",
            producer_name=None,
            origin="created",
            status=_text(item.get("status")),
            format=_text(item.get("format")),
        )
        products.append(product)
    return products, _next_page(body)


def parse_offers(body: dict[str, Any]) -> tuple[list[RemoteOffer], str | None]:
    """Return the offers on one page and the token of the next page, if any."""
    offers = []
    for item in _items(body):
        code = _text(item.get("code"))
        if code is None:
            continue
        price, currency = _money(item.get("price"))
        offer = RemoteOffer(
            code=code,
            name=_text(item.get("name")) or "",
            price=price,
            currency=currency,
            payment_mode=_text(item.get("payment_mode")),
            is_main=item.get("is_main_offer") is True,
        )
        offers.append(offer)
    return offers, _next_page(body)


def parse_sales(body: dict[str, Any]) -> tuple[list[RemoteSale], str | None]:
    """Return the sales on one page and the token of the next page, if any."""
    sales = []
    for item in _items(body):
        product, purchase = _object(item, "product"), _object(item, "purchase")
        product_id = _number(product.get("id"))
        if product_id is None:
            continue
        sale = RemoteSale(
            product_id=product_id,
            product_name=_text(product.get("name")) or "",
            producer_name=_text(_object(item, "producer").get("name")),
            ordered_at=_moment(purchase.get("order_date")),
            offer=_sold_offer(purchase),
        )
        sales.append(sale)
    return sales, _next_page(body)


def merge(created: list[RemoteProduct], sales: list[RemoteSale]) -> list[RemoteProduct]:
    """Return every product once: the created ones, then those seen only in sales.

    Both keep the order in which they first appear.
    """
    merged: dict[int | str | None, RemoteProduct] = {}
    for product in created:
        merged.setdefault(product.hotmart_id or product.ucode, product)
    promoted: dict[int, list[RemoteSale]] = {}
    for sale in sales:
        if sale.product_id not in merged:
            promoted.setdefault(sale.product_id, []).append(sale)
    return [*merged.values(), *(_promoted(its_sales) for its_sales in promoted.values())]


def _promoted(sales: list[RemoteSale]) -> RemoteProduct:
    """Return the product that some sales speak of; the newest has the last word."""
    sales = sorted(sales, key=lambda sale: sale.ordered_at or _LONG_AGO, reverse=True)
    product_id = sales[0].product_id
    offers: dict[str, RemoteOffer] = {}
    for sale in sales:
        if sale.offer and sale.offer.code not in offers:
            offers[sale.offer.code] = replace(sale.offer, is_main=not offers)
    return RemoteProduct(
        hotmart_id=product_id,
        ucode=None,
        name=next((sale.product_name for sale in sales if sale.product_name), "")
        or f"Hotmart {product_id}",
        producer_name=next((sale.producer_name for sale in sales if sale.producer_name), None),
        origin="promoted",
        status=None,
        format=None,
        offers=tuple(offers.values()),
    )


def _sold_offer(purchase: dict[str, Any]) -> RemoteOffer | None:
    offer = _object(purchase, "offer")
    code = _text(offer.get("code"))
    if code is None:
        return None
    price, currency = _money(purchase.get("price"))
    return RemoteOffer(
        code=code,
        name=_text(offer.get("name")) or "",
        price=price,
        currency=currency,
        payment_mode=_text(offer.get("payment_mode")),
        is_main=False,
    )


def _items(body: dict[str, Any]) -> list[dict[str, Any]]:
    items = body.get("items")
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _next_page(body: dict[str, Any]) -> str | None:
    return _text(_object(body, "page_info").get("next_page_token"))


def _object(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    """Return a text with something in it, else None."""
    return value.strip() or None if isinstance(value, str) else None


def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _money(value: Any) -> tuple[Decimal | None, str | None]:
    """Return amount and currency; Hotmart has two names for the currency's field."""
    if not isinstance(value, dict):
        return None, None
    currency = _text(value.get("currency_code")) or _text(value.get("currency_value"))
    return _amount(value.get("value")), currency


def _amount(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _moment(value: Any) -> datetime | None:
    """Return a time given in milliseconds, or in seconds as a few of Hotmart's samples have it."""
    number = _number(value)
    if number is None:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=number if number > 99_999_999_999 else number * 1000)
    except OverflowError:
        return None
