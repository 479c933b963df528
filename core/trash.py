"""The trash: what was deleted, until somebody empties it.

Deleting and bringing back are functions of the things themselves. Emptying takes rows away, never
files, and never what was paid or who did what.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, delete, func, literal, select, union_all, update
from sqlmodel import Session, col

from core.access import Actor, Role
from core.activity import Action, record
from core.models import ACTIVE_STATES, CoverJob, Origin, Product, ProductImage, ProductNote
from core.products import page_count
from core.settings import Settings

PAGE_SIZE = 20


class Kind(StrEnum):
    """What can be in the trash."""

    OFFER = "offer"
    PICTURE = "picture"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Deleted:
    """One thing in the trash. ``row`` is a ``Product``, ``ProductImage`` or ``ProductNote``."""

    kind: Kind
    row: Any
    product: Product

    @property
    def waits_for_its_offer(self) -> bool:
        """Whether it can be brought back only after its offer, which is in the trash as well."""
        return self.kind != Kind.OFFER and self.product.deleted_at is not None


@dataclass(frozen=True, slots=True)
class Amounts:
    """How many of each kind."""

    offers: int
    pictures: int
    notes: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.offers + self.pictures + self.notes

    @property
    def pages(self) -> int:
        """How many pages ``list_trash`` fills with them, at least 1."""
        return page_count(self.total, PAGE_SIZE)


def list_trash(session: Session, *, by: Actor, page: int = 1) -> list[Deleted]:
    """Return one page of what is in the trash, the newest deletion first.

    :raises ForbiddenError: if ``by`` is no editor
    """
    by.require(Role.EDITOR)
    everything = union_all(
        *(
            select(
                literal(kind.value).label("kind"),
                table.id.label("id"),
                table.deleted_at.label("deleted_at"),
            ).where(table.deleted_at.is_not(None))
            for kind, table in _TABLES.items()
        )
    ).subquery()
    columns = everything.c
    found = session.execute(
        select(columns.kind, columns.id)
        .order_by(columns.deleted_at.desc(), columns.kind, columns.id.desc())
        .offset((page - 1) * PAGE_SIZE)
        .limit(PAGE_SIZE)
    ).all()
    rows: dict[tuple[str, int], Any] = {}
    for kind in Kind:
        rows |= {
            (kind.value, row.id): row
            for row in _by_ids(session, kind, [id_ for its, id_ in found if its == kind])
        }
    # What somebody empties away at this very moment is left out.
    items = [(Kind(kind), rows[kind, id_]) for kind, id_ in found if (kind, id_) in rows]
    about = {_offer_of(kind, row) for kind, row in items}
    offers = {offer.id: offer for offer in _by_ids(session, Kind.OFFER, list(about))}
    return [
        Deleted(kind, row, offers[_offer_of(kind, row)])
        for kind, row in items
        if _offer_of(kind, row) in offers
    ]


def count_trash(session: Session) -> Amounts:
    """Return how much is in the trash."""
    return _count(
        session,
        [col(Product.deleted_at).is_not(None)],
        [col(ProductImage.deleted_at).is_not(None)],
        [col(ProductNote.deleted_at).is_not(None)],
    )


def count_leaving(session: Session, settings: Settings, *, until: datetime) -> Amounts:
    """Return how much ``empty_trash`` would delete for good."""
    return _count(
        session,
        _leaving(settings, until),
        [col(ProductImage.deleted_at) <= until],
        [col(ProductNote.deleted_at) <= until],
    )


def empty_trash(
    session: Session, settings: Settings, *, until: datetime, by: Actor, now: datetime
) -> Amounts:
    """Delete for good what is in the trash, with all that belongs to it; return how much it was.

    What was deleted after ``until`` stays: whoever empties the trash has not seen it there.
    Two kinds of offers stay in the trash: those that Hotmart may list still, because the next
    sync would bring them in as new, and pay for a new cover; and those whose cover is being made.

    :raises ForbiddenError: if ``by`` is no admin
    """
    by.require(Role.ADMIN)
    gone = count_leaving(session, settings, until=until)
    pictures = select(col(ProductImage.id)).where(col(ProductImage.deleted_at) <= until)
    for statement in (
        update(CoverJob).where(col(CoverJob.image_id).in_(pictures)).values(image_id=None),
        delete(ProductNote).where(col(ProductNote.deleted_at) <= until),
        delete(ProductImage).where(col(ProductImage.deleted_at) <= until),
        delete(Product).where(*_leaving(settings, until)),
    ):
        session.execute(statement, execution_options={"synchronize_session": False})
    detail = f"offers {gone.offers}, pictures {gone.pictures}, notes {gone.notes}"
    record(session, by, Action.TRASH_EMPTIED, now=now, detail=detail)
    return gone


_TABLES: dict[Kind, Any] = {
    Kind.OFFER: Product,
    Kind.PICTURE: ProductImage,
    Kind.NOTE: ProductNote,
}


def _by_ids(session: Session, kind: Kind, ids: list[int]) -> list[Any]:
    table = _TABLES[kind]
    return list(session.scalars(select(table).where(table.id.in_(ids))))


def _offer_of(kind: Kind, row: Any) -> int:
    offer_id: int = row.id if kind == Kind.OFFER else row.product_id
    return offer_id


def _leaving(settings: Settings, until: datetime) -> list[ColumnElement[bool]]:
    """Which offers go for good."""
    being_made = select(col(CoverJob.product_id)).where(col(CoverJob.state).in_(ACTIVE_STATES))
    # A sync finds an offer by one of these two; what has neither was typed in.
    is_known_to_hotmart = col(Product.hotmart_id).is_not(None) | col(Product.ucode).is_not(None)
    is_listed = col(Product.archived_at).is_(None) & is_known_to_hotmart
    if settings.hotmart_is_connected:  # then no sync brings the samples
        is_listed &= Product.origin != Origin.SAMPLE
    return [
        col(Product.deleted_at) <= until,
        ~is_listed,
        col(Product.id).not_in(being_made),
    ]


def _count(
    session: Session,
    offers: list[ColumnElement[bool]],
    pictures: list[ColumnElement[bool]],
    notes: list[ColumnElement[bool]],
) -> Amounts:
    def count(table: Any, conditions: list[ColumnElement[bool]]) -> int:
        query = select(func.count()).select_from(table).where(*conditions)
        return session.execute(query).scalar_one()

    return Amounts(
        offers=count(Product, offers),
        pictures=count(ProductImage, pictures),
        notes=count(ProductNote, notes),
    )
