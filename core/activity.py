"""Who did what, and when: one row for every change that a person or a program made."""

from datetime import datetime
from enum import StrEnum

from sqlmodel import Session, col, select

from core.access import Actor, Role
from core.models import Activity, Product

PAGE_SIZE = 50


class Action(StrEnum):
    """What can be done."""

    SYNC_STARTED = "sync_started"
    COVER_ORDERED = "cover_ordered"
    COVERS_ORDERED = "covers_ordered"
    IMAGE_REPLACED = "image_replaced"
    IMAGE_REVERTED = "image_reverted"
    IMAGE_DELETED = "image_deleted"
    IMAGE_RESTORED = "image_restored"
    ORPHANS_REMOVED = "orphans_removed"
    PICTURES_CHECKED = "pictures_checked"
    PRODUCT_ADDED = "product_added"
    PRODUCT_CHANGED = "product_changed"
    PRODUCT_DELETED = "product_deleted"
    PRODUCT_RESTORED = "product_restored"
    SAMPLES_ARCHIVED = "samples_archived"
    NOTE_ADDED = "note_added"
    NOTE_CHANGED = "note_changed"
    NOTE_PINNED = "note_pinned"
    NOTE_UNPINNED = "note_unpinned"
    NOTE_DELETED = "note_deleted"
    NOTE_RESTORED = "note_restored"
    TRASH_EMPTIED = "trash_emptied"
    TOKEN_CREATED = "token_created"
    TOKEN_REVOKED = "token_revoked"
    PERSON_ADDED = "person_added"
    PERSON_CHANGED = "person_changed"
    PERSON_REMOVED = "person_removed"
    SIGNED_OUT_EVERYWHERE = "signed_out_everywhere"


def record(
    session: Session,
    by: Actor,
    action: Action,
    *,
    now: datetime,
    product_id: int | None = None,
    detail: str = "",
) -> None:
    """Write down, in the same transaction as the change, who made it. Never a secret."""
    session.add(
        Activity(at=now, actor=by.name, action=action, product_id=product_id, detail=detail)
    )


def list_activity(
    session: Session, *, by: Actor, limit: int = PAGE_SIZE
) -> list[tuple[Activity, str | None]]:
    """Return what was done last, newest first, with the name of the offer it was about.

    :raises ForbiddenError: if ``by`` is no admin
    """
    by.require(Role.ADMIN)
    query = (
        select(Activity, Product.name)
        .join(Product, col(Product.id) == Activity.product_id, isouter=True)
        .order_by(col(Activity.id).desc())
        .limit(limit)
    )
    return [(activity, name) for activity, name in session.exec(query)]
