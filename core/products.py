"""The offers: finding them, and what is shown of one at a glance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, func, nulls_last, update
from sqlalchemy import select as select_value
from sqlmodel import Session, col, select

from core.access import Actor, Role
from core.activity import Action, record
from core.database import fetch
from core.errors import InvalidInputError, NotFoundError, Problem
from core.language import _
from core.models import ACTIVE_STATES, CoverJob, JobState, Origin, Product, ProductNote
from core.text import fold, like_patterns, storable

PAGE_SIZE = 24
ARCHIVED = "ARCHIVED"
"""Beside Hotmart's own words, a status to filter by: what Hotmart no longer lists."""


class Sort(StrEnum):
    """The orders in which offers can be listed."""

    NEWEST = "newest"
    NAME = "name"
    NAME_DOWN = "-name"
    PRICE = "price"
    PRICE_DOWN = "-price"


class Cover(StrEnum):
    """How the newest cover job of an offer fares."""

    MAKING = "making"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which offers to list. Empty values mean no restriction.

    Archived ones are left out unless asked for; those in the trash always.
    """

    search: str = ""
    status: str | None = None
    origin: str | None = None
    has_image: bool | None = None
    cover: Cover | None = None


@dataclass(frozen=True, slots=True)
class ProductSummary:
    """What a card shows: the offer, its newest cover job and how many notes it has."""

    product: Product
    job: CoverJob | None
    notes: int

    @property
    def is_being_made(self) -> bool:
        """Whether a cover is waiting or under way."""
        return self.job is not None and self.job.state in ACTIVE_STATES

    @property
    def failure(self) -> str | None:
        """Why the newest cover failed, as a sentence."""
        failed = self.job is not None and self.job.state == JobState.FAILED
        return self.job.error if failed and self.job else None


def page_count(total: int, page_size: int = PAGE_SIZE) -> int:
    """Return how many pages ``total`` rows fill, at least 1."""
    return max(1, -(-total // page_size))


def count_products(session: Session, wanted: Filter) -> int:
    """Return how many offers match."""
    query = select(func.count()).select_from(Product).where(*_conditions(wanted))
    return session.exec(query).one()


def list_products(
    session: Session,
    wanted: Filter,
    *,
    sort: Sort = Sort.NEWEST,
    page: int = 1,
    page_size: int = PAGE_SIZE,
) -> list[ProductSummary]:
    """Return one page of the offers that match, in two statements however long it is."""
    # The ids first: the rows that are skipped are then read from the index alone.
    ids = (
        select(Product.id)
        .where(*_conditions(wanted))
        .order_by(*_order(sort))
        .offset((page - 1) * page_size)
        .limit(page_size)
    )
    rows = session.exec(
        select(Product, CoverJob)
        .join(CoverJob, col(CoverJob.id) == Product.cover_job_id, isouter=True)
        .where(col(Product.id).in_(ids.scalar_subquery()))
        .order_by(*_order(sort))
    ).all()
    return _summaries(session, rows)


def summarise(session: Session, product_ids: Sequence[int]) -> list[ProductSummary]:
    """Return what cards show of these offers, in the order given; missing ones are left out."""
    rows = session.exec(
        select(Product, CoverJob)
        .join(CoverJob, col(CoverJob.id) == Product.cover_job_id, isouter=True)
        .where(col(Product.id).in_(product_ids), col(Product.deleted_at).is_(None))
    ).all()
    found = {summary.product.id: summary for summary in _summaries(session, rows)}
    return [found[id_] for id_ in product_ids if id_ in found]


def get_product(
    session: Session, product_id: int, *, lock: bool = False, in_trash_too: bool = False
) -> Product:
    """Return one offer; with ``lock`` nobody else changes it before this transaction ends.

    :raises NotFoundError: if there is none with this id, or, without ``in_trash_too``, if it is
        in the trash
    """
    product = fetch(session, Product, product_id, lock=lock)
    if product is None:
        raise NotFoundError(
            _("This offer is no longer here. Reload the page to see the offers there are.")
        )
    if product.deleted_at and not in_trash_too:
        raise NotFoundError(_("This offer is in the trash. Bring it back from there first."))
    return product


def add_product(
    session: Session, values: Mapping[str, Any], *, by: Actor, now: datetime
) -> Product:
    """Add an offer that the marketer typed in.

    :raises ForbiddenError: if ``by`` is no editor
    :raises InvalidInputError: if the name is empty, or a link is no web address
    """
    by.require(Role.EDITOR)
    product = Product(
        origin=Origin.MANUAL, name="", first_seen_at=now, last_seen_at=now, status="ACTIVE"
    )
    _write(product, values)
    session.add(product)
    session.flush()
    record(session, by, Action.PRODUCT_ADDED, now=now, product_id=product.id, detail=product.name)
    return product


def change_product(
    session: Session, product_id: int, values: Mapping[str, Any], *, by: Actor, now: datetime
) -> Product:
    """Change some of what is known of an offer.

    :raises ForbiddenError: if ``by`` is no editor
    :raises NotFoundError: if the offer is gone
    :raises InvalidInputError: if a value can't be taken, or is Hotmart's to change
    """
    by.require(Role.EDITOR)
    product = get_product(session, product_id, lock=True)
    if product.origin in (Origin.CREATED, Origin.PROMOTED):
        theirs = sorted(_FROM_HOTMART.intersection(values))
        if theirs:
            raise InvalidInputError(
                _(
                    "This offer comes from Hotmart, and so do these values: {names}. The next"
                    " sync would undo the change; make it at Hotmart."
                ).format(names=", ".join(theirs))
            )
    _write(product, values)
    names = ", ".join(sorted(values))
    record(session, by, Action.PRODUCT_CHANGED, now=now, product_id=product_id, detail=names)
    return product


def delete_product(session: Session, product_id: int, *, by: Actor, now: datetime) -> None:
    """Put an offer into the trash, with all that belongs to it.

    Syncs keep it up to date there, but never bring it back: ``restore_product`` does.

    :raises ForbiddenError: if ``by`` is no editor
    :raises NotFoundError: if the offer is gone, or in the trash already
    """
    by.require(Role.EDITOR)
    product = get_product(session, product_id, lock=True)
    product.deleted_at = now
    record(session, by, Action.PRODUCT_DELETED, now=now, product_id=product_id, detail=product.name)


def restore_product(session: Session, product_id: int, *, by: Actor, now: datetime) -> Product:
    """Bring an offer back from the trash, as it was.

    :raises ForbiddenError: if ``by`` is no editor
    :raises NotFoundError: if it is gone for good
    """
    by.require(Role.EDITOR)
    product = get_product(session, product_id, lock=True, in_trash_too=True)
    product.deleted_at = None
    record(
        session, by, Action.PRODUCT_RESTORED, now=now, product_id=product_id, detail=product.name
    )
    return product


_FROM_HOTMART = frozenset({"name", "producer_name", "price", "currency"})


def _write(product: Product, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(product, name, storable(value).strip() if isinstance(value, str) else value)
    if not product.name:
        raise InvalidInputError(_("Give the offer a name."))
    for name in ("hotlink", "sales_page_url"):
        link = getattr(product, name)
        if link and not link.lower().startswith(("https://", "http://")):
            raise InvalidInputError(
                _("{name} must be a web address that starts with https://.").format(name=name)
            )
    product.search_text = fold(f"{product.name} {product.producer_name or ''}".strip())


def find_products(session: Session, search: str, *, limit: int = 50) -> list[Product]:
    """Return the first offers, by name, whose name or producer holds ``search``."""
    conditions = _conditions(Filter(search=search))
    order = _order(Sort.NAME)
    return list(session.exec(select(Product).where(*conditions).order_by(*order).limit(limit)))


def statuses(session: Session) -> list[str]:
    """Return the statuses that occur among the live offers, in alphabetical order.

    The index is asked for one status after the other: a plain DISTINCT would read every row.
    """
    smallest = select_value(func.min(Product.status)).where(*_conditions(Filter()))
    found = smallest.cte("found", recursive=True)
    following = smallest.where(col(Product.status) > found.c[0]).scalar_subquery()
    found = found.union_all(select_value(following).where(found.c[0].is_not(None)))
    return [status for (status,) in session.execute(select_value(found.c[0])) if status]


def count_without_picture(session: Session) -> int:
    """Return how many live offers a cover could be made for: no picture, none under way."""
    return session.exec(select(func.count()).select_from(Product).where(*_waiting())).one()


def without_picture(session: Session, *, limit: int | None = None) -> list[int]:
    """Return the ids of the live offers that have no picture and none under way."""
    query = select(Product.id).where(*_waiting()).order_by(*_order(Sort.NEWEST)).limit(limit)
    return [id_ for id_ in session.exec(query) if id_ is not None]


def archive_samples(session: Session, *, by: Actor, now: datetime) -> int:
    """Put the sample offers away (pictures and notes stay with them); return how many.

    :raises ForbiddenError: if ``by`` is no editor
    """
    by.require(Role.EDITOR)
    record(session, by, Action.SAMPLES_ARCHIVED, now=now)
    result = session.exec(
        update(Product).where(*_conditions(Filter(origin=Origin.SAMPLE))).values(archived_at=now)
    )
    return int(result.rowcount)


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    archived = col(Product.archived_at)
    conditions: list[ColumnElement[bool]] = [
        archived.is_not(None) if wanted.status == ARCHIVED else archived.is_(None),
        col(Product.deleted_at).is_(None),
    ]
    if wanted.status and wanted.status != ARCHIVED:
        conditions.append(col(Product.status) == wanted.status)
    if wanted.origin:
        conditions.append(col(Product.origin) == wanted.origin)
    if wanted.has_image is not None:
        picture = col(Product.current_image_id)
        conditions.append(picture.is_not(None) if wanted.has_image else picture.is_(None))
    for pattern in like_patterns(wanted.search):
        conditions.append(col(Product.search_text).like(pattern, escape="\\"))
    if wanted.cover:
        states = [JobState.FAILED] if wanted.cover == Cover.FAILED else list(ACTIVE_STATES)
        jobs = select(CoverJob.id).where(col(CoverJob.state).in_(states))
        conditions.append(col(Product.cover_job_id).in_(jobs))
    return conditions


def _waiting() -> list[ColumnElement[bool]]:
    # Any order, not just the newest: an older one may still wait when a newer one has failed.
    under_way = select(CoverJob.product_id).where(col(CoverJob.state).in_(ACTIVE_STATES))
    # What the service refused for its content would be refused again. A marketer's own words
    # that were refused say nothing of the built ones.
    refused = select(CoverJob.id).where(
        CoverJob.problem == Problem.BLOCKED, col(CoverJob.prompt).is_(None)
    )
    return [
        *_conditions(Filter(has_image=False)),
        col(Product.id).not_in(under_way),
        func.coalesce(Product.cover_job_id, "").not_in(refused),
    ]


def _order(sort: Sort) -> list[Any]:
    id_ = col(Product.id)
    name, price = col(Product.search_text), col(Product.price)
    match sort:
        case Sort.NAME:
            return [name, id_]
        case Sort.NAME_DOWN:
            return [name.desc(), id_.desc()]
        case Sort.PRICE:
            return [nulls_last(price), id_]
        case Sort.PRICE_DOWN:
            return [nulls_last(price.desc()), id_.desc()]
    return [col(Product.first_seen_at).desc(), id_.desc()]


def _summaries(
    session: Session, rows: Sequence[tuple[Product, CoverJob | None]]
) -> list[ProductSummary]:
    note_counts = dict(
        session.exec(
            select(ProductNote.product_id, func.count())
            .where(
                col(ProductNote.product_id).in_([product.id for product, _job in rows]),
                col(ProductNote.deleted_at).is_(None),
            )
            .group_by(col(ProductNote.product_id))
        ).all()
    )
    return [
        ProductSummary(product, job, note_counts.get(product.id or 0, 0)) for product, job in rows
    ]
