"""Calls about the pictures of an offer, and the files themselves."""

import asyncio
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from core import covers, images, products
from core.api.gate import Editor, Here, Viewer
from core.api.idempotency import IdempotencyKey, once
from core.api.problems import described
from core.api.shapes import GenerateOrder, HistoryRow, JobRow, history_row, job_row
from core.api.uploads import Reception
from core.app import App
from core.database import reading, transaction
from core.errors import NotFoundError
from core.images import PICTURES_PATH
from core.models import ACTIVE_STATES, CoverJob, ProductImage
from core.picture_store import media_type_of

router = APIRouter(prefix="/products/{product_id}/images", tags=["Pictures"])

_LONGEST_WAIT_S = 60
_LOOK_EVERY_S = 0.25
_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


@router.post(
    "/upload",
    status_code=201,
    response_model=HistoryRow,
    responses=described(401, 403, 404, 409, 413, 415, 507),
    openapi_extra=_UPLOAD,
)
async def upload(
    app: Here,
    actor: Editor,
    request: Request,
    product_id: int,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Replace the offer's picture by the file in the multipart field ``image``."""
    await run_in_threadpool(_check_product, app, product_id)  # before anything is read
    reception: Reception = request.app.state.reception
    async with reception.picture(request) as data:

        def work() -> tuple[int, HistoryRow, dict[str, str]]:
            image = images.replace_image(
                app.engine,
                app.store,
                product_id,
                data=data,
                by=actor,
                now=datetime.now(UTC),
            )
            return 201, _row(app, image), {}

        return await run_in_threadpool(once, app, request, actor, data, work)


@router.post(
    "/generate",
    status_code=202,
    response_model=JobRow,
    responses={
        **described(401, 403, 404, 409, 413, 503),
        201: {"model": HistoryRow, "description": "With Prefer: wait, the picture that was made"},
        202: {"headers": {"Location": {"schema": {"type": "string"}, "required": True}}},
    },
)
async def generate(
    app: Here,
    actor: Editor,
    request: Request,
    product_id: int,
    body: GenerateOrder | None = None,
    prefer: Annotated[str | None, Header(examples=["wait=30"])] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Order a cover; with `Prefer: wait=30`, wait up to that many seconds for it.

    A cover that failed while waiting is answered with 202 and the job's `error`.
    """
    prompt = body.customPrompt if body else None

    def work() -> tuple[int, JobRow, dict[str, str]]:
        job = app.jobs.order_cover(product_id, prompt=prompt, by=actor)
        return 202, job_row(job), {"Location": f"/api/jobs/{job.id}"}

    answer = await run_in_threadpool(once, app, request, actor, await request.body(), work)
    wait = _wanted_wait(prefer)
    if not wait:
        return answer
    job, image = await _wait_for(app, json.loads(bytes(answer.body))["job_id"], wait)
    headers = {"Location": answer.headers["Location"], "Preference-Applied": f"wait={wait}"}
    if image is None:
        return JSONResponse(job_row(job).model_dump(mode="json"), 202, headers)
    row = await run_in_threadpool(_row, app, image)
    return JSONResponse(row.model_dump(mode="json"), 201, headers)


@router.get("/history", responses=described(401, 403, 404))
def history(app: Here, _actor: Viewer, product_id: int) -> list[HistoryRow]:
    """Return every picture that the offer has or had, newest first."""
    with reading(app.engine) as session:
        product = products.get_product(session, product_id)
        return [history_row(image, product) for image in images.history(session, product_id)]


@router.post("/{image_id}/revert", status_code=201, responses=described(401, 403, 404))
def revert(app: Here, actor: Editor, product_id: int, image_id: int) -> HistoryRow:
    """Return to an earlier picture."""
    with transaction(app.engine) as session:
        image = images.revert(session, product_id, image_id, by=actor, now=datetime.now(UTC))
    return _row(app, image)


def picture_route(app: Callable[[], App]) -> Route:
    """Return the route of the picture files. A name is a digest, so its bytes never change."""
    always = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }

    async def serve(request: Request) -> Response:
        name = request.path_params["name"]
        headers = {**always, "ETag": f'"{name}"'}
        try:
            if request.headers.get("if-none-match") == headers["ETag"] and app().store.exists(name):
                return Response(status_code=304, headers=headers)
            path = app().store.find(name)
        except NotFoundError as error:
            return PlainTextResponse(str(error), status_code=404)
        # In pieces: a whole picture would wait in memory for everyone who does not read it.
        return FileResponse(path, media_type=media_type_of(name), headers=headers)

    return Route(PICTURES_PATH + "{name}", serve, methods=["GET", "HEAD"])


def _row(app: App, image: ProductImage) -> HistoryRow:
    with reading(app.engine) as session:
        return history_row(image, products.get_product(session, image.product_id))


def _check_product(app: App, product_id: int) -> None:
    with reading(app.engine) as session:
        products.get_product(session, product_id)


def _wanted_wait(prefer: str | None) -> int:
    """Return the seconds of ``Prefer: wait=…`` (RFC 7240), at most a minute."""
    match = re.search(r"(?:^|[,;\s])wait\s*=\s*(\d{1,6})", prefer or "", re.IGNORECASE)
    return min(int(match[1]), _LONGEST_WAIT_S) if match else 0


async def _wait_for(app: App, job_id: str, seconds: int) -> tuple[CoverJob, ProductImage | None]:
    """Return the order when it has ended or time is up, and the picture if there is one."""

    def look() -> tuple[CoverJob, ProductImage | None]:
        with reading(app.engine) as session:
            job = covers.get_job(session, job_id)
            return job, session.get(ProductImage, job.image_id) if job.image_id else None

    end = time.monotonic() + seconds
    while True:
        job, image = await run_in_threadpool(look)
        if job.state not in ACTIVE_STATES or time.monotonic() >= end:
            return job, image
        await asyncio.sleep(_LOOK_EVERY_S)
