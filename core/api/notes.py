"""Calls about notes."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from core import notes, products
from core.api.gate import Editor, Here, Viewer
from core.api.idempotency import IdempotencyKey, once
from core.api.problems import described
from core.api.shapes import NoteChanges, NoteRow, NoteText, note_row, or_blank
from core.database import reading, transaction

router = APIRouter(prefix="/products/{product_id}/notes", tags=["Notes"])

_TOTAL = {"X-Total-Count": {"schema": {"type": "integer"}, "required": True}}


@router.get("", responses={**described(401, 403, 404), 200: {"headers": _TOTAL}})
def list_notes(
    app: Here,
    _actor: Viewer,
    response: Response,
    product_id: int,
    page: Annotated[int, Query(ge=1, le=10**9), or_blank(1)] = 1,
) -> list[NoteRow]:
    """Return the notes of an offer, pinned ones first, then the newest; 20 a page.

    The header X-Total-Count says how many there are on all pages.
    """
    with reading(app.engine) as session:
        products.get_product(session, product_id)
        found = notes.list_notes(session, product_id=product_id, page=page)
        response.headers["X-Total-Count"] = str(found.total)
        return [note_row(note) for note, _product in found.items]


@router.post(
    "",
    status_code=201,
    response_model=NoteRow,
    responses=described(401, 403, 404, 409, 413),
)
def add_note(
    app: Here,
    actor: Editor,
    request: Request,
    product_id: int,
    body: NoteText,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Write a note about an offer."""

    def work() -> tuple[int, NoteRow, dict[str, str]]:
        with transaction(app.engine) as session:
            note = notes.add_note(
                session, product_id, text=body.note, by=actor, now=datetime.now(UTC)
            )
        return 201, note_row(note), {}

    return once(app, request, actor, body.model_dump_json().encode(), work)


@router.patch("/{note_id}", responses=described(401, 403, 404, 413))
def change_note(
    app: Here, actor: Editor, product_id: int, note_id: int, body: NoteChanges
) -> NoteRow:
    """Change what a note says, or pin it."""
    now = datetime.now(UTC)
    with transaction(app.engine) as session:
        note = notes.get_note(session, note_id, product_id=product_id)
        if body.note is not None:
            notes.edit_note(session, note_id, text=body.note, by=actor, now=now)
        if body.pinned is not None:
            notes.pin_note(session, note_id, pinned=body.pinned, by=actor, now=now)
    return note_row(note)


@router.delete("/{note_id}", status_code=204, responses=described(401, 403, 404))
def delete_note(app: Here, actor: Editor, product_id: int, note_id: int) -> None:
    """Delete a note."""
    with transaction(app.engine) as session:
        notes.get_note(session, note_id, product_id=product_id)
        notes.delete_note(session, note_id, by=actor, now=datetime.now(UTC))
