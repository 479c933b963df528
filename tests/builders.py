"""Valid things for tests to start from; a test names only what it is about."""

import itertools
import json
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

from PIL import Image

from core.access import Actor, Role
from core.clients.hotmart import RemoteOffer, RemoteProduct
from core.images import PICTURES_PATH
from core.ledger import CallState
from core.models import CoverJob, Method, Origin, PaidCall, Product, ProductImage, ProductNote
from core.picture_store import picture_name
from core.text import fold

ANA = Actor("Ana", Role.EDITOR)
BOSS = Actor("boss@example.com", Role.ADMIN)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

_numbers = itertools.count(1)


def make_product(**changes: Any) -> Product:
    """A live offer without a picture, to be added to a session."""
    number = next(_numbers)
    boring = {
        "hotmart_id": 6_000_000 + number,
        "ucode": f"ucode-{number}",
        "name": f"Offer {number}",
        "origin": Origin.PROMOTED,
        "status": "ACTIVE",
        "format": "ONLINE_COURSE",
        "price": Decimal("97.00"),
        "currency": "BRL",
        "first_seen_at": NOW,
        "last_seen_at": NOW,
    }
    product = Product(**boring | changes)
    if "search_text" not in changes:
        product.search_text = fold(f"{product.name} {product.producer_name or ''}".strip())
    return product


def make_image(product: Product, **changes: Any) -> ProductImage:
    """A row of a saved product's history; its file is nowhere."""
    digest = f"{next(_numbers):064x}"
    boring = {
        "product_id": product.id,
        "image_url": PICTURES_PATH + picture_name(changes.get("digest", digest), "image/png"),
        "generation_method": Method.MANUAL_UPLOAD,
        "created_at": NOW,
        "digest": digest,
        "width": 1024,
        "height": 1024,
        "byte_size": 1000,
        "media_type": "image/png",
        "created_by": "marketer",
    }
    return ProductImage(**boring | changes)


def make_note(product: Product, **changes: Any) -> ProductNote:
    """A note about a saved product."""
    boring = {
        "product_id": product.id,
        "note": f"Note {next(_numbers)}",
        "author": "marketer",
        "created_at": NOW,
        "updated_at": NOW,
    }
    note = ProductNote(**boring | changes)
    note.search_text = fold(note.note)
    return note


def make_job(product: Product, **changes: Any) -> CoverJob:
    """An order for a cover of a saved product, not begun."""
    number = next(_numbers)
    boring = {
        "id": f"cover-{number}",
        "product_id": product.id,
        "request_digest": f"digest-{number}",
        "created_by": "marketer",
        "created_at": NOW,
    }
    return CoverJob(**boring | changes)


def make_call(**changes: Any) -> PaidCall:
    """A paid call that was answered; a test names only what it is about."""
    boring: dict[str, Any] = {
        "id": f"call-{next(_numbers)}",
        "product_id": 1,
        "request_digest": "",
        "state": CallState.CHARGED,
        "asked_by": "marketer",
        "asked_at": NOW,
    }
    return PaidCall(**boring | changes)


def make_remote_offer(**changes: Any) -> RemoteOffer:
    """One price point, as Hotmart tells it."""
    boring = {
        "code": f"code{next(_numbers)}",
        "name": "",
        "price": Decimal("97"),
        "currency": "BRL",
        "payment_mode": "UNIQUE_PAYMENT",
        "is_main": True,
    }
    return RemoteOffer(**boring | changes)


def make_remote_product(**changes: Any) -> RemoteProduct:
    """A product that the account promotes, as Hotmart tells it."""
    number = next(_numbers)
    boring = {
        "hotmart_id": 6_000_000 + number,
        "ucode": f"ucode-{number}",
        "name": f"Offer {number}",
        "producer_name": "Bread School",
        "origin": "promoted",
        "status": "ACTIVE",
        "format": "ONLINE_COURSE",
        "offers": (make_remote_offer(),),
    }
    return RemoteProduct(**boring | changes)


def make_picture(
    colour: str = "teal", *, size: tuple[int, int] = (64, 48), kind: str = "PNG"
) -> bytes:
    """The bytes of a picture file; another colour makes another file."""
    output = BytesIO()
    Image.new("RGB", size, colour).save(output, kind)
    return output.getvalue()


def painted_answer(**changes: Any) -> str:
    """What an order keeps of a painter's answer."""
    digest = f"{next(_numbers):064x}"
    boring = {
        "name": picture_name(digest, "image/jpeg"),
        "digest": digest,
        "media_type": "image/jpeg",
        "width": 1024,
        "height": 1024,
        "byte_size": 1000,
        "prompt": "a red guitar",
        "is_paid": True,
        "model": "gpt-image-2.5-flare",
        "quality": "medium",
        "size": "1024x1024",
        "cost_usd": "0.0134",
    }
    return json.dumps(boring | changes)
