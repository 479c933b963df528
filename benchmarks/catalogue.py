"""Databases full of offers, written straight into the tables: filling is not what is measured."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from sqlalchemy import insert
from sqlmodel import SQLModel

from benchmarks.harness import settings_in
from core.built_in_covers import BuiltInPainter
from core.clients.sample_catalogue import SampleCatalogue
from core.database import migrate, open_engine, transaction
from core.images import PICTURES_PATH
from core.models import (
    CoverJob,
    JobState,
    Method,
    Origin,
    Product,
    ProductImage,
    ProductNote,
    ProductOffer,
)
from core.painting import PaintOrder
from core.picture_store import open_store
from core.pictures import Picture, accept_painting
from core.text import fold

_STATUSES = ("ACTIVE", "ACTIVE", "ACTIVE", "PAUSED", "IN_REVIEW", None)
_ORIGINS = (Origin.PROMOTED, Origin.PROMOTED, Origin.CREATED)
_CURRENCIES = ("BRL", "BRL", "USD", "EUR")
_ROWS_AT_ONCE = 20_000


def names(count: int) -> list[tuple[str, str]]:
    """Return ``count`` different names with their producers, made from the sample catalogue's."""
    remote = SampleCatalogue().read_catalogue(now=datetime.now(UTC), report=lambda *_: None)
    known = [(product.name, product.producer_name or "Instituto Aurora") for product in remote]
    return [
        (name if number < len(known) else f"{name} {number // len(known) + 1}", producer)
        for number in range(count)
        for name, producer in [known[number % len(known)]]
    ]


def paint_covers(count: int) -> list[Picture]:
    """Return real covers of the built-in painter, each of another offer."""
    painter = BuiltInPainter()
    return [
        accept_painting(painter.paint(PaintOrder(name, producer, "")).data)
        for name, producer in names(count)
    ]


def fill(data: Path, products: int, covers: Sequence[Picture] = ()) -> None:
    """Write offers with prices, some notes, and with ``covers`` a picture each and its job.

    All are live. The covers are dealt out in turn, so offers may share a file.
    """
    settings = settings_in(data)
    engine = open_engine(settings.database)
    migrate(engine)
    store = open_store(settings.pictures)
    for picture in covers:
        for name, content in (
            (picture.name, picture.data),
            (picture.thumbnail_name, picture.thumbnail),
        ):  # not by the store, which waits for the disk each time
            store.path(name).parent.mkdir(exist_ok=True)
            store.path(name).write_bytes(content)
    start = datetime.now(UTC) - timedelta(days=300)
    rows: dict[type[SQLModel], list[dict[str, object]]] = {
        Product: [],
        ProductOffer: [],
        ProductNote: [],
        ProductImage: [],
        CoverJob: [],
    }
    for number, (name, producer) in enumerate(names(products), 1):
        # A sync every week brought a seventh of a day's offers in at one and the same moment.
        seen = start + timedelta(days=7 * (number * 40 // (products + 1)))
        price = Decimal(1990 + number * 37 % 40_000) / 100
        currency = _CURRENCIES[number % len(_CURRENCIES)]
        cover = covers[number % len(covers)] if covers else None
        rows[Product].append(
            {
                "id": number,
                "hotmart_id": 5_000_000 + number,
                "name": name,
                "producer_name": producer,
                "origin": _ORIGINS[number % len(_ORIGINS)],
                "status": _STATUSES[number % len(_STATUSES)],
                "format": "ONLINE_COURSE",
                "price": price,
                "currency": currency,
                "search_text": fold(f"{name} {producer}"),
                "first_seen_at": seen,
                "last_seen_at": seen,
                "image_url": PICTURES_PATH + cover.name if cover else None,
                "current_image_id": number if cover else None,
                "cover_job_id": f"cover-{number:032x}" if cover else None,
            }
        )
        rows[ProductOffer].append(
            {
                "product_id": number,
                "code": f"b{number:07x}",
                "price": price,
                "currency": currency,
                "payment_mode": "UNIQUE_PAYMENT",
                "is_main": True,
            }
        )
        rows[ProductNote] += [
            {
                "product_id": number,
                "note": f"Story {story}: swipe-up with the cover",
                "search_text": f"story {story}: swipe-up with the cover",
                "created_at": seen,
                "updated_at": seen,
            }
            for story in range(number % 10 // 7)  # three of ten have one
        ]
        if cover:
            job_id = f"cover-{number:032x}"
            rows[ProductImage].append(
                {
                    "id": number,
                    "product_id": number,
                    "image_url": PICTURES_PATH + cover.name,
                    "generation_method": Method.TEMPLATE,
                    "created_at": seen,
                    "digest": cover.digest,
                    "width": cover.width,
                    "height": cover.height,
                    "byte_size": cover.byte_size,
                    "media_type": cover.media_type,
                    "created_by": "sync",
                    "job_id": job_id,
                }
            )
            rows[CoverJob].append(
                {
                    "id": job_id,
                    "product_id": number,
                    "state": JobState.SUCCEEDED,
                    "is_first": True,
                    "request_digest": "0" * 64,
                    "image_id": number,
                    "created_by": "sync",
                    "created_at": seen,
                    "finished_at": seen,
                }
            )
    with transaction(engine) as session:
        for table, its_rows in rows.items():
            for at in range(0, len(its_rows), _ROWS_AT_ONCE):
                session.execute(insert(table), its_rows[at : at + _ROWS_AT_ONCE])
    engine.dispose()
