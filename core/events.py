"""Events that Hotmart sends by itself. Buyer data in them is never kept, nor handed on.

Envelope and events: https://developers.hotmart.com/docs/en/2.0.0/webhook/purchase-webhook/
"""

import re
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from core import covers
from core.access import SYNC
from core.models import Origin, Product, WebhookEvent
from core.settings import Settings
from core.text import fold, storable

_KEPT = timedelta(days=90)
_LONGEST_NAME = 500
_EVENTS = frozenset(
    {
        "PURCHASE_APPROVED",
        "PURCHASE_BILLET_PRINTED",
        "PURCHASE_CANCELED",
        "PURCHASE_CHARGEBACK",
        "PURCHASE_COMPLETE",
        "PURCHASE_DELAYED",
        "PURCHASE_EXPIRED",
        "PURCHASE_PROTEST",
        "PURCHASE_REFUNDED",
    }
)
"""Those about a sale: a sync finds the same offers in the sales. Others say nothing we use."""


@dataclass(frozen=True, slots=True)
class ProductNews:
    """What an event says of a product: all that is taken from it."""

    event_id: str
    hotmart_id: int | None
    ucode: str | None
    name: str
    producer_name: str | None
    price: str | None
    currency: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for the job queue."""
        return asdict(self)


def read_event(body: Any) -> ProductNews | None:
    """Return what an event says of a product; None for events that say nothing we use.

    Test deliveries from Hotmart's screen carry the product id 0 and are ignored.
    """
    if _text(body, "event") not in _EVENTS:
        return None
    event_id, data = _text(body, "id"), _inner(body, "data")
    product = _inner(data, "product")
    name = _text(product, "name")
    hotmart_id = product.get("id")
    if isinstance(hotmart_id, bool) or not isinstance(hotmart_id, int):
        hotmart_id = None
    if not event_id or not name or hotmart_id == 0 or not 0 < (hotmart_id or 1) < 2**63:
        return None
    ucode = _text(product, "ucode")
    if hotmart_id is None and not ucode:
        return None
    price = _inner(_inner(data, "purchase"), "original_offer_price") or _inner(
        _inner(data, "purchase"), "price"
    )
    currency = (_text(price, "currency_value") or "").upper()
    return ProductNews(
        event_id=event_id,
        hotmart_id=hotmart_id,
        ucode=ucode,
        name=name,
        producer_name=_text(_inner(data, "producer"), "name"),
        price=str(price["value"]) if isinstance(price.get("value"), float | int) else None,
        currency=currency if re.fullmatch("[A-Z]{3}", currency) else None,
    )


def remember(session: Session, event_id: str, *, now: datetime) -> bool:
    """Return whether this event comes for the first time; forget what is long past."""
    session.execute(delete(WebhookEvent).where(col(WebhookEvent.received_at) < now - _KEPT))
    try:
        with session.begin_nested():
            session.add(WebhookEvent(id=event_id, received_at=now))
    except IntegrityError:
        return False
    return True


def take_news(
    session: Session, settings: Settings, news: ProductNews, *, now: datetime
) -> list[str]:
    """Create or update the product that an event speaks of; return the cover orders it brings.

    A known product's name stays: events may carry the name of its members' area instead.
    """
    by_id = _find(session, Product.hotmart_id, news.hotmart_id)
    by_ucode = _find(session, Product.ucode, news.ucode)
    product = by_id or by_ucode
    if product is not None:
        product.hotmart_id = product.hotmart_id or news.hotmart_id
        if by_ucode is None:  # else it has it, or another offer does
            product.ucode = product.ucode or news.ucode
        product.producer_name = product.producer_name or news.producer_name
        product.search_text = fold(f"{product.name} {product.producer_name or ''}".strip())
        if product.archived_at:
            product.archived_at, product.last_seen_at = None, now
        return []
    product = Product(
        hotmart_id=news.hotmart_id,
        ucode=news.ucode,
        name=news.name,
        producer_name=news.producer_name,
        origin=Origin.PROMOTED,
        price=_amount(news.price),
        currency=news.currency,
        search_text=fold(f"{news.name} {news.producer_name or ''}".strip()),
        first_seen_at=now,
        last_seen_at=now,
    )
    session.add(product)
    session.flush()
    return covers.order_first_covers(
        session,
        settings,
        [product.id or 0][: settings.covers_per_sync],
        by=SYNC,
        now=now,
    )


def _find(session: Session, column: Any, value: int | str | None) -> Product | None:
    if value is None:
        return None
    return session.exec(select(Product).where(col(column) == value)).first()


def _inner(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _text(value: Any, key: str) -> str | None:
    found = value.get(key) if isinstance(value, dict) else None
    return storable(found.strip())[:_LONGEST_NAME] or None if isinstance(found, str) else None


def _amount(value: str | None) -> Decimal | None:
    try:
        amount = Decimal(value) if value else None
        return amount if amount is not None and 0 <= amount < 10**12 else None
    except InvalidOperation:  # no number, or "not a number", which can't be compared
        return None
