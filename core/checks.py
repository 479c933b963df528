"""Checks of all pictures that somebody asked for: who, when, how far, what was found.

A check is a row, written first; ``jobs.py`` carries it out. What it found stays to be read.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from core.access import Actor, Role
from core.activity import Action, record
from core.database import reading, transaction
from core.errors import DashboardError, NotFoundError
from core.language import _
from core.models import JobState, PictureCheck, Product
from core.picture_store import FolderStore
from core.verify import Report, verify

log = logging.getLogger(__name__)

_REPORT_EVERY_S = 0.5
_MOST_NAMED = 200
"""So many lost pictures are kept by name; of all others only the number."""


@dataclass(frozen=True, slots=True)
class LostPicture:
    """One picture that a check did not find, or found damaged."""

    product_id: int
    product_name: str | None
    """None if the offer was removed since."""
    why: str
    file: str


def start_check(session: Session, *, by: Actor, now: datetime) -> tuple[PictureCheck, bool]:
    """Return the check under way, or a new one; and whether it is new.

    :raises ForbiddenError: if ``by`` is no admin
    """
    by.require(Role.ADMIN)
    running = running_check(session)
    if running:
        return running, False
    check = PictureCheck(started_at=now, asked_by=by.name)
    try:
        with session.begin_nested():
            session.add(check)
            session.flush()
    except IntegrityError:  # another process was quicker
        running = running_check(session)
        if running is None:
            raise
        return running, False
    record(session, by, Action.PICTURES_CHECKED, now=now, detail=str(check.id))
    return check, True


def running_check(session: Session) -> PictureCheck | None:
    """Return the check under way."""
    return session.exec(select(PictureCheck).where(PictureCheck.state == JobState.RUNNING)).first()


def last_check(session: Session) -> PictureCheck | None:
    """Return the newest check, under way or done."""
    return session.exec(select(PictureCheck).order_by(col(PictureCheck.id).desc()).limit(1)).first()


def lost_pictures(session: Session, check: PictureCheck) -> list[LostPicture]:
    """Return what a check found lost, once for each offer that has it, as far as it was kept."""
    found = [
        (entry["offers"], entry["why"], entry["file"]) for entry in json.loads(check.lost_ones)
    ]
    ids = {product_id for offers, _why, _file in found for product_id in offers}
    rows = session.exec(select(Product.id, Product.name).where(col(Product.id).in_(ids)))
    names = dict(rows.all())
    return [
        LostPicture(product_id, names.get(product_id), why, file)
        for offers, why, file in found
        for product_id in offers
    ]


def run_check(
    engine: Engine,
    store: FolderStore,
    check_id: int,
    *,
    is_stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Carry a check out and write down what it found, or the sentence that says why not.

    Repeated, it begins anew; one that ended is left as it is. When the process is about to stop,
    it ends without a result.
    """
    with reading(engine) as session:
        if _get(session, check_id).state != JobState.RUNNING:
            return
    try:
        report = verify(engine, store, progress=_Progress(engine, check_id, is_stopped).report)
    except _StoppedError:
        return
    except Exception as error:
        log.exception("Check %s failed", check_id)
        with transaction(engine) as session:
            fail_check(session, check_id, error, now=datetime.now(UTC))
        return
    with transaction(engine) as session:
        _finish(_get(session, check_id), report, now=datetime.now(UTC))


def fail_check(session: Session, check_id: int, error: Exception, *, now: datetime) -> None:
    """Write down why a check came to nothing. Only our own errors' sentences are shown."""
    check = _get(session, check_id)
    if check.state != JobState.RUNNING:
        return
    check.state, check.finished_at = JobState.FAILED, now
    check.error = (
        str(error)
        if isinstance(error, DashboardError)
        else _("Something unexpected went wrong during the check. Try again.")
    )


def _finish(check: PictureCheck, report: Report, *, now: datetime) -> None:
    check.state, check.finished_at = JobState.SUCCEEDED, now
    check.done = check.total = report.checked
    check.lost, check.mended = len(report.lost), len(report.mended)
    check.orphans = len(report.orphans)
    check.lost_ones = json.dumps(
        [
            {
                "file": lost.name,
                "why": lost.why,
                "offers": sorted({product_id for product_id, _image in lost.used_by}),
            }
            for lost in report.lost[:_MOST_NAMED]
        ]
    )


def _get(session: Session, check_id: int) -> PictureCheck:
    check = session.get(PictureCheck, check_id)
    if check is None:
        raise NotFoundError(_("There is no such check."))
    return check


class _StoppedError(Exception):
    """The process is about to end, and must not wait for the rest of the check."""


class _Progress:
    """Writes how far a check is, a few times a second at most."""

    def __init__(self, engine: Engine, check_id: int, is_stopped: Callable[[], bool]) -> None:
        self._engine = engine
        self._check_id = check_id
        self._is_stopped = is_stopped
        self._next_at = 0.0

    def report(self, done: int, total: int) -> None:
        if self._is_stopped():
            raise _StoppedError
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + _REPORT_EVERY_S
        with transaction(self._engine) as session:
            check = _get(session, self._check_id)
            check.done, check.total = done, total
