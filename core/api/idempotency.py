"""The same request twice is one: answers are kept under the key that the caller chose."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Header, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from core.access import Actor
from core.app import App
from core.database import reading, transaction
from core.errors import DashboardError, InvalidInputError
from core.language import _
from core.models import IdempotentCall

_KEPT = timedelta(days=2)
_UNDER_WAY_AT_MOST = timedelta(minutes=5)
"""A call without an answer for longer than this was cut off, and may be made again."""
LONGEST_KEY = 200
IdempotencyKey = Annotated[
    str | None, Header(description="The same key and body again gives the first answer.")
]


class UnderWayError(DashboardError):
    """The first request with this key has no answer yet."""


def once(
    app: App,
    request: Request,
    actor: Actor,
    body: bytes,
    work: Callable[[], tuple[int, BaseModel, dict[str, str]]],
) -> Response:
    """Do ``work`` and return its answer; for a repeated ``Idempotency-Key`` the first answer.

    :raises InvalidInputError: if the key was used with another body before
    :raises UnderWayError: if the first request with this key is not answered yet
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return _respond(*work())
    if not 0 < len(key) <= LONGEST_KEY:
        raise InvalidInputError(
            _("Idempotency-Key takes 1 to {most} characters.").format(most=LONGEST_KEY)
        )
    call = _digest(str(actor.token_id), request.method, request.url.path, key)
    body_digest = hashlib.sha256(body).hexdigest()
    if (known := _claim(app, call, body_digest)) is not None:
        return known
    try:
        status, answer, headers = work()
    except Exception:
        with transaction(app.engine) as session:  # nothing happened: the key may be used again
            session.execute(delete(IdempotentCall).where(col(IdempotentCall.id) == call))
        raise
    with transaction(app.engine) as session:
        row = session.get(IdempotentCall, call)
        if row:
            row.status, row.answer = status, answer.model_dump_json()
            row.headers = json.dumps(headers)
    return _respond(status, answer, headers)


def _claim(app: App, call: str, body_digest: str) -> Response | None:
    """Return the answer that the call had, or None when it is ours to answer."""
    now = datetime.now(UTC)
    made_at, id_ = col(IdempotentCall.created_at), col(IdempotentCall.id)
    is_old = made_at < now - _KEPT
    was_cut_off = (
        (id_ == call) & col(IdempotentCall.answer).is_(None) & (made_at < now - _UNDER_WAY_AT_MOST)
    )
    try:
        with transaction(app.engine) as session:
            session.execute(delete(IdempotentCall).where(is_old | was_cut_off))
            session.add(IdempotentCall(id=call, body_digest=body_digest, created_at=now))
        return None
    except IntegrityError:
        pass
    with reading(app.engine) as session:
        known = session.get(IdempotentCall, call)
    if known is not None and known.body_digest != body_digest:
        raise InvalidInputError(
            _("This Idempotency-Key was used with another body. Use a new key for a new request.")
        )
    if known is None or known.answer is None:
        raise UnderWayError(
            _("The first request with this Idempotency-Key is still under way. Ask again later.")
        )
    return Response(
        known.answer, known.status or 200, json.loads(known.headers or "{}"), "application/json"
    )


def _respond(status: int, answer: BaseModel, headers: dict[str, str]) -> JSONResponse:
    return JSONResponse(answer.model_dump(mode="json"), status, headers)


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
