"""Bringing offers in: ``plan_sync`` decides, ``apply_plan`` acts.

A sync reads the whole list before it changes anything, because half a list would archive the
rest. Nothing that a marketer made is ever deleted: an offer that Hotmart no longer lists is
archived, and comes back by itself, with its pictures and notes, when it is listed again.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from sqlalchemy import Engine, delete, insert, update
from sqlalchemy import select as select_columns
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from core import covers
from core.access import SYNC, Actor, Role
from core.activity import Action, record
from core.clients import patience
from core.clients.hotmart import RemoteOffer, RemoteProduct
from core.database import DatabaseError, reading, transaction
from core.errors import DashboardError, NotFoundError, Problem, ServiceError
from core.language import _
from core.models import JobState, Origin, Product, ProductOffer, SyncRun
from core.settings import Settings
from core.text import fold, storable

log = logging.getLogger(__name__)

_REPORT_EVERY_S = 0.3
_MANY = 5
_Remote = TypeVar("_Remote", RemoteProduct, RemoteOffer)


class Trigger(StrEnum):
    """Who asked for a sync."""

    BUTTON = "button"
    API = "api"
    SCHEDULE = "schedule"
    COMMAND = "command"


class Catalogue(Protocol):
    """Where offers come from."""

    def read_catalogue(
        self, *, now: datetime, report: Callable[[str, int, int | None], None]
    ) -> list[RemoteProduct]:
        """Return every offer, or raise; never a part of the list."""
        ...


@dataclass(frozen=True, slots=True)
class KnownProduct:
    """What the database says of an offer, as far as a sync may change it."""

    id: int
    values: dict[str, Any]
    is_archived: bool
    offers: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What to write to a known offer: the columns that differ, and its prices if they do."""

    id: int
    values: dict[str, Any]
    offers: list[dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What one sync will do."""

    new: list[tuple[dict[str, Any], list[dict[str, Any]]]]
    changes: list[Change]
    archive: list[int]
    unchanged: int

    @property
    def seen(self) -> int:
        """How many offers the source listed."""
        return len(self.new) + len(self.changes) + self.unchanged


def plan_sync(
    remote: Iterable[RemoteProduct], known: Sequence[KnownProduct], *, is_sample: bool = False
) -> SyncPlan:
    """Decide what a sync has to change; changes nothing.

    Offers are matched by Hotmart's id, else by ``ucode``. What the source leaves out never
    erases what is known. Only offers of the same source are archived when it lists them no more.
    """
    by_id = {k.values["hotmart_id"]: k for k in known if k.values["hotmart_id"] is not None}
    by_ucode = {k.values["ucode"]: k for k in known if k.values["ucode"] is not None}
    own_origins = {Origin.SAMPLE} if is_sample else {Origin.CREATED, Origin.PROMOTED}
    plan = SyncPlan([], [], [], 0)
    unchanged = 0
    listed: set[int] = set()
    products = _each_once(remote)
    claimed = {offer.code for product in products for offer in product.offers}
    for product in products:
        match = by_id.get(product.hotmart_id) or by_ucode.get(product.ucode)
        values = _values(product, is_sample=is_sample)
        if by_ucode.get(product.ucode, match) is not match:
            values["ucode"] = None  # another offer has it still
        offers = [_offer_values(offer) for offer in product.offers]
        if match is None:
            plan.new.append((values, offers))
            continue
        if match.id in listed:
            continue
        listed.add(match.id)
        if is_sample and match.values["origin"] != Origin.SAMPLE:
            unchanged += 1  # a real offer that happens to have the sample's number
            continue
        kept = None
        if product.origin == "promoted":  # sales show some of its prices, not all there are
            kept = {code: o for code, o in match.offers.items() if code not in claimed}
        change = _change(match, values, offers, kept=kept)
        if change:
            plan.changes.append(change)
        else:
            unchanged += 1
    gone = [
        k.id
        for k in known
        if k.values["origin"] in own_origins and not k.is_archived and k.id not in listed
    ]
    return SyncPlan(plan.new, plan.changes, gone, unchanged)


def apply_plan(session: Session, plan: SyncPlan, *, now: datetime) -> list[int]:
    """Write a plan to the database; return the ids of the new offers."""
    new_ids: list[int] = []
    if plan.new:
        rows = [{**values, "first_seen_at": now, "last_seen_at": now} for values, _o in plan.new]
        statement = insert(Product).returning(col(Product.id), sort_by_parameter_order=True)
        new_ids = [id_ for id_ in session.scalars(statement, rows) if id_ is not None]
    offers = [
        {**offer, "product_id": id_}
        for id_, (_v, its_offers) in zip(new_ids, plan.new, strict=True)
        for offer in its_offers
    ]
    if plan.changes:
        blank = {"archived_at": None, "last_seen_at": now}
        for change in plan.changes:
            session.execute(
                update(Product).where(col(Product.id) == change.id).values(change.values | blank)
            )
            if change.offers is not None:
                offers += [{**offer, "product_id": change.id} for offer in change.offers]
        changed = [change.id for change in plan.changes if change.offers is not None]
        _delete_prices(session, ProductOffer.product_id, changed)
    if offers:
        _delete_prices(session, ProductOffer.code, [offer["code"] for offer in offers])
        session.execute(insert(ProductOffer), offers)
    if plan.archive:
        session.execute(update(Product), [{"id": i, "archived_at": now} for i in plan.archive])
    return new_ids


def _delete_prices(session: Session, column: Any, values: Sequence[Any]) -> None:
    for start in range(0, len(values), 500):  # databases limit the values of one statement
        batch = values[start : start + 500]
        session.execute(delete(ProductOffer).where(col(column).in_(batch)))


def known_products(session: Session) -> list[KnownProduct]:
    """Return what the database knows of every offer that a sync may meet."""
    offers: dict[int, dict[str, dict[str, Any]]] = {}
    offer_columns = [getattr(ProductOffer, name) for name in (*_OFFER_COLUMNS, "product_id")]
    for row in session.execute(select_columns(*offer_columns)):
        values = dict(zip(_OFFER_COLUMNS, row, strict=False))
        offers.setdefault(row.product_id, {})[row.code] = values
    columns = [getattr(Product, name) for name in (*_COLUMNS, "id", "archived_at")]
    return [
        KnownProduct(
            id=row.id,
            values=dict(zip(_COLUMNS, row, strict=False)),
            is_archived=row.archived_at is not None,
            offers=offers.get(row.id, {}),
        )
        for row in session.execute(select_columns(*columns))
    ]


def start_run(
    session: Session, *, trigger: Trigger, by: Actor, now: datetime
) -> tuple[SyncRun, bool]:
    """Return the run under way, or a new one; and whether it is new.

    :raises ForbiddenError: if ``by`` is no editor
    """
    by.require(Role.EDITOR)
    running = running_run(session)
    if running:
        return running, False
    run = SyncRun(trigger=trigger, started_at=now)
    try:
        with session.begin_nested():
            session.add(run)
            session.flush()
    except IntegrityError:  # another process was quicker
        running = running_run(session)
        if running is None:
            raise
        return running, False
    record(session, by, Action.SYNC_STARTED, now=now, detail=str(run.id))
    return run, True


def running_run(session: Session) -> SyncRun | None:
    """Return the sync under way."""
    return session.exec(select(SyncRun).where(SyncRun.state == JobState.RUNNING)).first()


def last_run(session: Session) -> SyncRun | None:
    """Return the newest sync, under way or done."""
    return session.exec(select(SyncRun).order_by(col(SyncRun.id).desc()).limit(1)).first()


def get_run(session: Session, run_id: int) -> SyncRun:
    """Return one sync.

    :raises NotFoundError: if there was none with this id
    """
    run = session.get(SyncRun, run_id)
    if run is None:
        raise NotFoundError(_("There is no such sync."))
    return run


def run_sync(engine: Engine, catalogue: Catalogue, settings: Settings, run_id: int) -> list[str]:
    """Carry a sync out and return the ids of the cover orders it wrote down.

    How it ended is written to its run: the counts, or a sentence that says what went wrong.
    A run that ended before is left as it is.

    :raises DatabaseError: if the database is not to be had; the run may then be repeated
    """
    with reading(engine) as session:
        if get_run(session, run_id).state != JobState.RUNNING:
            return []
    progress = _Progress(engine, run_id)
    try:
        with patience.telling(progress.wait):
            remote = catalogue.read_catalogue(now=datetime.now(UTC), report=progress.report)
        is_sample = not settings.hotmart_is_connected
        with transaction(engine) as session:
            now = datetime.now(UTC)
            known = known_products(session)
            plan = plan_sync(remote, known, is_sample=is_sample)
            _check_not_emptied(plan, known)
            new_ids = apply_plan(session, plan, now=now)
            job_ids = covers.order_first_covers(
                session,
                settings,
                new_ids[::-1][: settings.covers_per_sync],  # the newest first, as they are listed
                by=SYNC,
                now=now,
                sync_run_id=run_id,
            )
            _finish(session, run_id, plan, covers_queued=len(job_ids), now=now)
        return job_ids
    except DatabaseError:
        raise  # how the run ended could not be written down either; it may be repeated
    except Exception as error:
        log.exception("Sync %s failed", run_id)
        with transaction(engine) as session:
            fail_run(session, run_id, error, now=datetime.now(UTC))
        return []


def fail_run(session: Session, run_id: int, error: Exception, *, now: datetime) -> None:
    """Write down why a run came to nothing. Only our own errors' sentences are shown."""
    run = get_run(session, run_id)
    if run.state != JobState.RUNNING:
        return  # it ended meanwhile, in another process
    run.state, run.finished_at = JobState.FAILED, now
    run.error = (
        str(error)
        if isinstance(error, DashboardError)
        else _("Something unexpected went wrong during the sync. Try again.")
    )


def _check_not_emptied(plan: SyncPlan, known: Sequence[KnownProduct]) -> None:
    """Refuse a list that has nothing in it where many offers were: more likely an outage.

    Created and promoted offers come from two lists, and each may be the one that is empty.
    """
    gone = set(plan.archive)
    lists = [
        {k.id for k in known if k.values["origin"] == origin and not k.is_archived}
        for origin in (Origin.CREATED, Origin.PROMOTED)
    ]
    emptied = [*(ids for ids in lists if ids <= gone), gone if plan.seen == 0 else set()]
    if (count := max(map(len, emptied))) >= _MANY:
        raise ServiceError(
            _(
                "Hotmart answered with an empty list, though it listed {count} offers before."
                " Nothing was put away. Try again later; if it stays so, check which account"
                " HOTMART_CLIENT_ID belongs to."
            ).format(count=count),
            problem=Problem.WRONG_ANSWER,
            permanent=False,
        )


class _Progress:
    """Writes how far a run is, a few times a second at most."""

    def __init__(self, engine: Engine, run_id: int) -> None:
        self._engine = engine
        self._run_id = run_id
        self._step = ""
        self._next_at = 0.0

    def report(self, step: str, done: int, total: int | None) -> None:
        if step == self._step and done != total and time.monotonic() < self._next_at:
            return
        self._step, self._next_at = step, time.monotonic() + _REPORT_EVERY_S
        with transaction(self._engine) as session:
            run = get_run(session, self._run_id)
            run.step, run.step_done, run.step_total = step, done, total

    def wait(self, seconds: float) -> None:
        with transaction(self._engine) as session:
            run = get_run(session, self._run_id)
            run.waits_until = datetime.now(UTC) + timedelta(seconds=seconds)


_COLUMNS = (
    "hotmart_id", "ucode", "name", "producer_name", "origin", "status", "format", "price",
    "currency", "search_text",
)  # fmt: skip
_OFFER_COLUMNS = ("code", "name", "price", "currency", "payment_mode", "is_main")


def _each_once(remote: Iterable[RemoteProduct]) -> list[RemoteProduct]:
    """Return each product and each price once, for whoever claims it first, in storable text."""
    products: list[RemoteProduct] = []
    seen: set[int | str] = set()
    codes: set[str] = set()
    for product in map(_storable, remote):
        names = {name for name in (product.hotmart_id, product.ucode) if name is not None}
        if names & seen:
            continue
        seen |= names
        offers = []
        for offer in map(_storable, product.offers):
            if offer.code not in codes:
                codes.add(offer.code)
                offers.append(offer)
        products.append(replace(product, offers=tuple(offers)))
    return products


def _storable(thing: _Remote) -> _Remote:
    values = {field.name: getattr(thing, field.name) for field in fields(thing)}
    texts: dict[str, Any] = {n: storable(v) for n, v in values.items() if isinstance(v, str)}
    return replace(thing, **texts)


def _values(product: RemoteProduct, *, is_sample: bool) -> dict[str, Any]:
    return {
        "hotmart_id": product.hotmart_id,
        "ucode": product.ucode,
        "name": product.name
        if product.name.strip()
        else _("Offer {id}").format(id=product.hotmart_id),
        "producer_name": product.producer_name,
        "origin": Origin.SAMPLE if is_sample else product.origin,
        "status": product.status,
        "format": product.format,
        "price": product.price,
        "currency": product.currency,
        "search_text": fold(f"{product.name} {product.producer_name or ''}".strip()),
    }


def _offer_values(offer: RemoteOffer) -> dict[str, Any]:
    return {name: getattr(offer, name) for name in _OFFER_COLUMNS}


def _change(
    known: KnownProduct,
    values: dict[str, Any],
    offers: list[dict[str, Any]],
    *,
    kept: dict[str, dict[str, Any]] | None,
) -> Change | None:
    if values["producer_name"] is None and known.values["producer_name"]:
        values["search_text"] = fold(f"{values['name']} {known.values['producer_name']}")
    if known.values["origin"] in (Origin.IMPORTED, Origin.MANUAL):
        del values["origin"]  # typed in or imported by the marketer: it stays theirs
    different = {
        name: value
        for name, value in values.items()
        if value is not None and value != known.values[name]
    }
    wanted = {offer["code"]: offer for offer in offers}
    if kept is not None:
        others = {code: offer | {"is_main": False} for code, offer in kept.items()}
        wanted = others | wanted if wanted else known.offers
    # Hotmart gives 404 or nothing for prices it does not find: that erases none we know.
    new_offers = list(wanted.values()) if wanted and wanted != known.offers else None
    if not different and new_offers is None and not known.is_archived:
        return None
    return Change(known.id, different, new_offers)


def _finish(
    session: Session, run_id: int, plan: SyncPlan, *, covers_queued: int, now: datetime
) -> None:
    run = get_run(session, run_id)
    run.state, run.finished_at, run.error = JobState.SUCCEEDED, now, None
    run.seen, run.created, run.updated = plan.seen, len(plan.new), len(plan.changes)
    run.unchanged, run.archived, run.covers_queued = (
        plan.unchanged,
        len(plan.archive),
        covers_queued,
    )
