"""Orders for covers: from the click to the picture, or to the sentence that says why not.

An order is a row in ``cover_jobs``. ``jobs.py`` carries orders out; this module knows nothing of
queues. What a paid call brings is in the store before anything else happens, and the ledger knows
of each call, so an order that is repeated after a crash never pays for the same picture twice.
"""

import hashlib
import json
import logging
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, func, insert, update
from sqlmodel import Session, col, select
from tenacity import (
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    stop_after_delay,
    wait_fixed,
)

from core import decoding, ledger, prices
from core.access import Actor, Role
from core.activity import Action, record
from core.clients import patience
from core.database import reading, transaction
from core.errors import (
    DashboardError,
    InvalidInputError,
    NotFoundError,
    Problem,
    ServiceError,
)
from core.images import Making, StoredPicture, add_image, is_kept, store_picture
from core.language import _
from core.ledger import CallState
from core.models import ACTIVE_STATES, CoverJob, JobState, Method, PaidCall, Product
from core.painting import Painter, Painting, PaintOrder
from core.picture_store import FolderStore, StorageError
from core.products import get_product
from core.prompts import check_prompt, cover_prompt
from core.settings import Settings

log = logging.getLogger(__name__)

_KEEP_EVERY_S, _KEEP_TRYING_S = 3.0, 900.0
"""How often, and how long, a full disk is asked to take a picture that is paid for."""


def built_prompt(product: Product) -> str:
    """Return the words that describe an offer's cover when the marketer gives none."""
    return cover_prompt(
        name=product.name,
        producer=product.producer_name,
        format=product.format,
        language=product.language,
    )


def estimate(settings: Settings, prompt: str) -> prices.Estimate | None:
    """Return what a cover with this prompt will cost about; None when that can't be known."""
    return prices.estimate(
        settings.image_model, settings.image_size, settings.image_quality, prompt
    )


def order_cover(
    session: Session,
    settings: Settings,
    product_id: int,
    *,
    prompt: str | None,
    by: Actor,
    now: datetime,
) -> CoverJob:
    """Write down a marketer's order for a cover; the same order under way is returned instead.

    ``prompt`` None or blank means the built one.

    :raises ForbiddenError: if ``by`` is no editor
    :raises NotFoundError: if the offer is gone
    :raises InvalidInputError: if the prompt is too long
    :raises BudgetReachedError: if the month's budget would be exceeded, with what waits already
    """
    by.require(Role.EDITOR)
    product = get_product(session, product_id, lock=True)
    words = check_prompt(prompt) if prompt and prompt.strip() else None
    if settings.images_are_connected and words == built_prompt(product):
        words = None
    digest = _digest(words)
    under_way = session.exec(
        select(CoverJob).where(
            CoverJob.product_id == product_id,
            CoverJob.request_digest == digest,
            col(CoverJob.state).in_(ACTIVE_STATES),
        )
    ).first()
    if under_way:
        under_way.is_first = False  # asked for by name now: it may displace a picture
        return under_way
    price = _price(settings, words or built_prompt(product))
    waiting = session.exec(
        select(func.sum(CoverJob.estimated_usd)).where(CoverJob.state == JobState.QUEUED)
    ).one()
    ledger.check_budget(session, settings, price + Decimal(str(waiting or 0)), now=now)
    earlier = session.exec(
        select(func.count()).select_from(CoverJob).where(CoverJob.product_id == product_id)
    ).one()
    job = CoverJob(
        id=_new_id(),
        product_id=product_id,
        prompt=words,
        request_digest=digest,
        variant=earlier,
        estimated_usd=price,
        created_by=by.name,
        created_at=now,
    )
    session.add(job)
    product.cover_job_id = job.id
    session.flush()
    record(session, by, Action.COVER_ORDERED, now=now, product_id=product_id, detail=job.id)
    return job


def order_first_covers(
    session: Session,
    settings: Settings,
    product_ids: Sequence[int],
    *,
    by: Actor,
    now: datetime,
    sync_run_id: int | None = None,
) -> list[str]:
    """Write down orders for offers without a picture, all at once; return their ids.

    A first cover never displaces a picture that comes meanwhile.

    :raises ForbiddenError: if ``by`` is no editor
    """
    by.require(Role.EDITOR)
    if not product_ids:
        return []
    price = _price(settings, "x" * 800)
    rows = [
        {
            "id": _new_id(),
            "product_id": product_id,
            "sync_run_id": sync_run_id,
            "state": JobState.QUEUED,
            "is_first": True,
            "request_digest": _digest(None),
            "variant": 0,
            "estimated_usd": price,
            "created_by": by.name,
            "created_at": now,
        }
        for product_id in product_ids
    ]
    session.execute(insert(CoverJob), rows)
    session.execute(
        update(Product), [{"id": row["product_id"], "cover_job_id": row["id"]} for row in rows]
    )
    record(session, by, Action.COVERS_ORDERED, now=now, detail=str(len(rows)))
    return [str(row["id"]) for row in rows]


def paint_cover(
    engine: Engine,
    store: FolderStore,
    painter: Painter,
    settings: Settings,
    job_id: str,
    *,
    now: datetime,
) -> None:
    """Have the cover of an order painted, checked and stored, unless that was done before.

    :raises DashboardError: a sentence that says why there is no cover
    """
    call_id: str | None = None
    with transaction(engine) as session:
        job = get_job(session, job_id)
        if job.painted or job.state not in ACTIVE_STATES:
            return
        if painter.is_paid:
            store.check_room()
        product = get_product(session, job.product_id, in_trash_too=True)
        prompt = job.prompt or (built_prompt(product) if painter.is_paid else "")
        order = PaintOrder(product.name, product.producer_name, prompt, job.variant)
        refusal: DashboardError | None = None
        if painter.is_paid:
            try:
                call_id = ledger.begin_call(
                    session, settings, job, prompt=prompt, now=now, has_answer=store.has_answer
                ).id
            except DashboardError as error:
                refusal = error  # raised after the commit: what was cut off stays written down
        if not refusal:
            job.state, job.started_at = JobState.RUNNING, now
    if refusal:
        raise refusal

    painting = (
        _pay(engine, store, painter, order, job_id, call_id, now)
        if call_id
        else painter.paint(order)
    )
    try:
        picture = decoding.accept_painting(painting.data)
    except InvalidInputError as error:
        if call_id:
            store.drop_answer(call_id)
        raise ServiceError(
            _("The image service sent something that is not a usable picture. Try again later."),
            problem=Problem.WRONG_ANSWER,
            permanent=True,
        ) from error
    keep = _once_there_is_room().wraps(store_picture) if call_id else store_picture
    stored = keep(store, picture)
    painted = asdict(stored) | {
        "prompt": prompt or None,
        "is_paid": painter.is_paid,
        "model": painting.model,
        "quality": painting.quality,
        "size": painting.size,
        "cost_usd": None if painting.cost_usd is None else str(painting.cost_usd),
    }
    with transaction(engine) as session:
        if not is_kept(session, store, stored):
            store_picture(store, picture)  # an orphan of an earlier try, removed a moment ago
        get_job(session, job_id).painted = json.dumps(painted)
    if call_id:
        store.drop_answer(call_id)


def _pay(
    engine: Engine,
    store: FolderStore,
    painter: Painter,
    order: PaintOrder,
    job_id: str,
    call_id: str,
    now: datetime,
) -> Painting:
    """Return what a paid call brings: its bytes are in the store before anything else happens."""
    if store.has_answer(call_id):
        with transaction(engine) as session:
            call = session.get_one(PaidCall, call_id)
            if call.state != CallState.CHARGED:
                ledger.charge(session, call_id, None, now=now)
        data = store.read_answer(call_id)
        return Painting(data, call.model, call.quality, call.size, call.cost_usd)

    def note_the_wait(seconds: float) -> None:
        with transaction(engine) as session:
            get_job(session, job_id).waits_until = datetime.now(UTC) + timedelta(seconds=seconds)

    try:
        with patience.telling(note_the_wait):
            painting = painter.paint(order)
    except Exception as error:
        with transaction(engine) as session:
            ledger.close_without_picture(session, call_id, error, now=now)
            fail_cover(session, job_id, error, now=now)  # with it: others are told this reason
        raise
    try:
        _once_there_is_room()(store.keep_answer, call_id, painting.data)
    finally:  # on a full disk too: it is paid for
        with transaction(engine) as session:
            ledger.charge(session, call_id, painting, now=now)
    return painting


def _once_there_is_room() -> Retrying:
    """Return what tries again and again to keep a picture that is paid for."""
    return Retrying(
        retry=retry_if_exception_type(StorageError),
        wait=wait_fixed(_KEEP_EVERY_S),
        stop=stop_after_delay(_KEEP_TRYING_S),
        before_sleep=before_sleep_log(log, logging.WARNING),
        reraise=True,
    )


def attach_cover(session: Session, store: FolderStore, job_id: str, *, now: datetime) -> int | None:
    """Show a painted cover on its offer; a second time changes nothing. Return the image's id.

    :raises StorageError: if the store has not got the cover
    """
    job = get_job(session, job_id)
    if job.state not in ACTIVE_STATES or not job.painted:
        return job.image_id
    painted: dict[str, Any] = json.loads(job.painted)
    cost = painted["cost_usd"]
    image = add_image(
        session,
        store,
        job.product_id,
        picture=StoredPicture(**{name: painted[name] for name in StoredPicture.__slots__}),
        making=Making(
            method=Method.AI_GENERATED if painted["is_paid"] else Method.TEMPLATE,
            created_by=job.created_by or "",
            prompt=painted["prompt"],
            model=painted["model"],
            quality=painted["quality"],
            size=painted["size"],
            cost_usd=None if cost is None else Decimal(cost),
            job_id=job.id,
        ),
        now=now,
        only_if_first=job.is_first,
    )
    job.state, job.image_id, job.finished_at = JobState.SUCCEEDED, image.id, now
    return image.id


def fail_cover(session: Session, job_id: str, error: Exception, *, now: datetime) -> None:
    """Write down why an order came to nothing. Only our own errors' sentences are shown."""
    job = session.get(CoverJob, job_id)
    if job is None or job.state not in ACTIVE_STATES:
        return
    job.state, job.finished_at = JobState.FAILED, now
    job.problem = error.problem if isinstance(error, ServiceError) else type(error).__name__
    job.error = (
        str(error)
        if isinstance(error, DashboardError)
        else _("Something unexpected went wrong while this cover was made. Try again.")
    )


def stop_waiting(session: Session, job_id: str, error: ServiceError, *, now: datetime) -> list[str]:
    """Fail the orders that wait for as long as this one or longer, and return their ids.

    They would be refused as it was, each in its turn, and the rate limit would take hours over it.
    """
    stopped = session.exec(
        update(CoverJob)
        .where(
            col(CoverJob.state) == JobState.QUEUED,
            col(CoverJob.created_at) <= get_job(session, job_id).created_at,
        )
        .values(state=JobState.FAILED, finished_at=now, problem=error.problem, error=str(error))
        .returning(col(CoverJob.id))
    )
    return [str(id_) for (id_,) in stopped]


def stopped_among(engine: Engine, job_ids: Sequence[str]) -> list[str]:
    """Return which of these orders were stopped before they began."""
    with reading(engine) as session:
        query = select(CoverJob.id).where(
            col(CoverJob.state) == JobState.FAILED, col(CoverJob.started_at).is_(None)
        )
        stopped = set(session.exec(query))
    return [job_id for job_id in job_ids if job_id in stopped]


def get_job(session: Session, job_id: str) -> CoverJob:
    """Return one order.

    :raises NotFoundError: if there is none with this id
    """
    job = session.get(CoverJob, job_id)
    if job is None:
        raise NotFoundError(_("There is no such job. The offer may have been removed."))
    return job


def unfinished_jobs(engine: Engine) -> list[CoverJob]:
    """Return the orders that were written down and not finished, oldest first."""
    with reading(engine) as session:
        query = select(CoverJob).where(col(CoverJob.state).in_(ACTIVE_STATES))
        return list(session.exec(query.order_by(col(CoverJob.created_at), col(CoverJob.id))))


def count_jobs(session: Session, *, states: Sequence[JobState] = ACTIVE_STATES) -> int:
    """Return how many orders are in one of these states."""
    query = select(func.count()).select_from(CoverJob).where(col(CoverJob.state).in_(states))
    return session.exec(query).one()


def waits_until(session: Session) -> datetime | None:
    """Return when the service is asked again that covers wait for; long past if none does."""
    query = select(func.max(CoverJob.waits_until)).where(CoverJob.state == JobState.RUNNING)
    return session.exec(query).one()


def count_by_state(session: Session, *, sync_run_id: int) -> dict[str, int]:
    """Return how many of the orders that a sync wrote down are in each state."""
    query = (
        select(CoverJob.state, func.count())
        .where(CoverJob.sync_run_id == sync_run_id)
        .group_by(CoverJob.state)
    )
    return dict(session.exec(query).all())


def _price(settings: Settings, prompt: str) -> Decimal:
    known = estimate(settings, prompt) if settings.images_are_connected else None
    return known.high if known else Decimal(0)


def _digest(prompt: str | None) -> str:
    return hashlib.sha256((prompt or "").encode()).hexdigest()


def _new_id() -> str:
    return f"cover-{uuid.uuid4().hex}"
