"""Notes that a marketer writes about offers."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func
from sqlmodel import Session, col, select

from core.access import Actor, Role
from core.activity import Action, record
from core.database import fetch
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.language import _
from core.models import Product, ProductNote
from core.products import get_product, page_count
from core.text import fold, like_patterns, storable

LONGEST_NOTE = 20_000
"""Characters."""
PAGE_SIZE = 20


@dataclass(frozen=True, slots=True)
class NotePage:
    """One page of notes with the offers they belong to. ``total`` counts all that match."""

    items: list[tuple[ProductNote, Product]]
    total: int

    @property
    def pages(self) -> int:
        """How many pages there are, at least 1."""
        return page_count(self.total, PAGE_SIZE)


def add_note(
    session: Session, product_id: int, *, text: str, by: Actor, now: datetime
) -> ProductNote:
    """Write a note about an offer.

    :raises ForbiddenError: if ``by`` is no editor; so it is with all that changes a note
    :raises NotFoundError: if the offer is gone
    :raises InvalidInputError: if the note is empty or too long
    """
    by.require(Role.EDITOR)
    get_product(session, product_id)
    text = _checked(text)
    note = ProductNote(
        product_id=product_id,
        note=text,
        search_text=fold(text),
        author=by.name,
        created_at=now,
        updated_at=now,
    )
    session.add(note)
    session.flush()
    _record(session, by, Action.NOTE_ADDED, note, now=now)
    return note


def edit_note(
    session: Session,
    note_id: int,
    *,
    text: str,
    by: Actor,
    now: datetime,
    last_seen: datetime | None = None,
) -> ProductNote:
    """Change what a note says; with ``last_seen``, only if it was not changed since.

    :raises NotFoundError: if the note is gone
    :raises ConflictError: if it was changed meanwhile
    :raises InvalidInputError: if the new text is empty or too long
    """
    by.require(Role.EDITOR)
    note = get_note(session, note_id)
    if last_seen is not None and note.updated_at != last_seen:
        raise ConflictError(
            _(
                "This note was changed elsewhere meanwhile, so yours was not saved. Copy your text,"
                " press Cancel to see the other, and put the two together."
            )
        )
    note.note = _checked(text)
    note.search_text = fold(note.note)
    note.updated_at = now
    _record(session, by, Action.NOTE_CHANGED, note, now=now)
    return note


def pin_note(
    session: Session, note_id: int, *, pinned: bool, by: Actor, now: datetime
) -> ProductNote:
    """Keep a note at the top, or let it go.

    :raises NotFoundError: if the note is gone
    """
    by.require(Role.EDITOR)
    note = get_note(session, note_id)
    note.pinned = pinned
    _record(session, by, Action.NOTE_PINNED if pinned else Action.NOTE_UNPINNED, note, now=now)
    return note


def delete_note(session: Session, note_id: int, *, by: Actor, now: datetime) -> None:
    """Put a note into the trash. ``restore_note`` brings it back.

    :raises NotFoundError: if the note is gone
    """
    by.require(Role.EDITOR)
    note = get_note(session, note_id)
    note.deleted_at = now
    _record(session, by, Action.NOTE_DELETED, note, now=now)


def restore_note(session: Session, note_id: int, *, by: Actor, now: datetime) -> ProductNote:
    """Bring a deleted note back.

    :raises NotFoundError: if it is gone for good, or its offer is in the trash itself
    """
    by.require(Role.EDITOR)
    note = fetch(session, ProductNote, note_id, lock=True)
    if note is None:
        raise _gone()
    get_product(session, note.product_id)
    note.deleted_at = None
    _record(session, by, Action.NOTE_RESTORED, note, now=now)
    return note


def is_deleted(session: Session, note_id: int) -> bool:
    """Whether a note was deleted, or its offer was, and could be brought back."""
    note = fetch(session, ProductNote, note_id)
    if note is None:
        return False
    product = get_product(session, note.product_id, in_trash_too=True)
    return bool(note.deleted_at or product.deleted_at)


def get_note(session: Session, note_id: int, *, product_id: int | None = None) -> ProductNote:
    """Return a note that was not deleted; with ``product_id``, only if it is about that offer.

    :raises NotFoundError: if it was, or never was, or if its offer is in the trash
    """
    note = fetch(session, ProductNote, note_id)
    if note is None or note.deleted_at is not None:
        raise _gone()
    if product_id not in (None, note.product_id):
        raise _gone()
    get_product(session, note.product_id)
    return note


def list_notes(
    session: Session, *, product_id: int | None = None, search: str = "", page: int = 1
) -> NotePage:
    """Return one page of notes, pinned ones first, then the newest."""
    conditions: list[ColumnElement[bool]] = [
        col(ProductNote.deleted_at).is_(None),
        col(Product.deleted_at).is_(None),
    ]
    if product_id is not None:
        conditions.append(col(ProductNote.product_id) == product_id)
    for pattern in like_patterns(search):
        conditions.append(
            col(ProductNote.search_text).like(pattern, escape="\\")
            | col(Product.search_text).like(pattern, escape="\\")
        )
    joined = select(ProductNote, Product).join(Product).where(*conditions)
    total = session.exec(
        select(func.count()).select_from(ProductNote).join(Product).where(*conditions)
    ).one()
    items = session.exec(
        joined.order_by(
            col(ProductNote.pinned).desc(),
            col(ProductNote.created_at).desc(),
            col(ProductNote.id).desc(),
        )
        .offset((page - 1) * PAGE_SIZE)
        .limit(PAGE_SIZE)
    ).all()
    return NotePage(list(items), total)


def products_with_notes(session: Session, *, limit: int = 200) -> list[Product]:
    """Return the first offers, by name, that have notes."""
    about = select(ProductNote.product_id).where(col(ProductNote.deleted_at).is_(None))
    query = select(Product).where(col(Product.id).in_(about), col(Product.deleted_at).is_(None))
    return list(session.exec(query.order_by(col(Product.search_text)).limit(limit)))


def _checked(text: str) -> str:
    text = storable(text).strip()
    if not text:
        raise InvalidInputError(_("The note is empty. Write something first."))
    if len(text) > LONGEST_NOTE:
        raise InvalidInputError(
            _("The note has {count} characters; at most {most} fit. Shorten it.").format(
                count=len(text), most=LONGEST_NOTE
            )
        )
    return text


def _record(
    session: Session, by: Actor, action: Action, note: ProductNote, *, now: datetime
) -> None:
    record(session, by, action, now=now, product_id=note.product_id, detail=str(note.id))


def _gone() -> NotFoundError:
    return NotFoundError(_("This note is no longer here. It may have been deleted meanwhile."))
