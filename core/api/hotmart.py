"""Calls about Hotmart: the sync, and the events that Hotmart sends."""

import hmac
import json
from typing import Annotated, Any

from fastapi import APIRouter, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyHeader

from core import events, sync
from core.api.gate import Editor, Here, Viewer, count_guess
from core.api.problems import described
from core.api.shapes import Accepted, Status, SyncStarted, run_row
from core.app import App
from core.database import reading
from core.errors import InvalidInputError, SignInError
from core.language import _
from core.models import JobState
from core.sync import Trigger

router = APIRouter(prefix="/hotmart", tags=["Hotmart"])

_hottok = APIKeyHeader(
    name="X-HOTMART-HOTTOK",
    scheme_name="Hottok",
    description="The token that Hotmart shows beside its webhooks; HOTMART_HOTTOK here.",
    auto_error=False,
)
_EVENT = {
    "requestBody": {
        "required": True,
        "description": "Any event of version 2.0.0. Those that say nothing we use are ignored.",
        "content": {
            "application/json": {
                "schema": {},
                "example": {
                    "id": "8a4e1f7c-3b52-4d61-9c0a-5f2d7e6b1a90",
                    "event": "PURCHASE_APPROVED",
                    "version": "2.0.0",
                    "data": {"product": {"id": 5010001, "name": "Sourdough at Home"}},
                },
            }
        },
    }
}


@router.post("/sync", status_code=202, responses=described(401, 403, 503))
def start_sync(app: Here, actor: Editor) -> SyncStarted:
    """Start a sync; while one runs, the same run is returned."""
    run = app.jobs.start_sync(Trigger.API, by=actor)
    return SyncStarted(run_id=run.id or 0, state=run.state)


@router.get("/status", responses=described(401, 403))
def status(app: Here, _actor: Viewer) -> Status:
    """Return whether Hotmart is connected, and what the last sync did."""
    with reading(app.engine) as session:
        last = sync.last_run(session)
    return Status(
        connected=app.settings.hotmart_is_connected,
        running=bool(last and last.state == JobState.RUNNING),
        last_run=run_row(last) if last else None,
    )


@router.post("/webhook", responses=described(401, 413, 503), openapi_extra=_EVENT)
async def webhook(
    app: Here, request: Request, token: Annotated[str | None, Security(_hottok)] = None
) -> Accepted:
    """Take an event from Hotmart (version 2.0.0). The work goes to a job."""
    if not _is_hotmart(app, token):
        count_guess(request)
        raise SignInError(_("X-HOTMART-HOTTOK is not the token in HOTMART_HOTTOK."))
    news = events.read_event(_event_in(await request.body()))
    if news:
        await run_in_threadpool(app.jobs.take_event, news)
    return Accepted()


def _is_hotmart(app: App, token: str | None) -> bool:
    expected = app.settings.hotmart_hottok
    given = (token or "").encode("utf-8", "replace")
    return expected is not None and hmac.compare_digest(given, expected.get_secret_value().encode())


def _event_in(body: bytes) -> Any:
    try:
        return json.loads(body)
    except RecursionError:
        return None  # JSON, but nothing that Hotmart would send
    except ValueError as error:
        raise InvalidInputError(_("The body is not JSON.")) from error
