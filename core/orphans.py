"""Files in the picture store that nothing needs any more, and how they go.

A picture goes only after a whole day in which no row named it and nobody saved it again: until
then an upload, a cover under way or a backup may still count on it. What was paid for goes only
when its order can't use it any more.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, delete
from sqlmodel import Session, col, select

from core.access import Actor, Role
from core.activity import Action, record
from core.database import lock, reading, transaction
from core.images import PICTURES_LOCK
from core.models import (
    ACTIVE_STATES,
    CoverJob,
    JobState,
    Orphan,
    PaidCall,
    Product,
    ProductImage,
)
from core.picture_store import FolderStore

log = logging.getLogger(__name__)

GRACE = timedelta(hours=24)
_AT_ONCE = 100
"""So many are removed in one transaction: people wait for it."""


@dataclass(frozen=True, slots=True)
class Removed:
    """How many files of each kind went."""

    pictures: int = 0
    """Thumbnails included."""
    leftovers: int = 0
    answers: int = 0

    @property
    def total(self) -> int:
        """How many files went."""
        return self.pictures + self.leftovers + self.answers


def find_orphans(engine: Engine, store: FolderStore, *, now: datetime) -> dict[str, list[Path]]:
    """Return the files that nothing names and nobody saved for a day, by their picture's digest."""
    files: dict[str, list[Path]] = {}
    for path in store.files():  # before the rows: a file that comes later is none of ours
        files.setdefault(path.name[:64], []).append(path)
    with reading(engine) as session:
        named = _named(session)
    return {
        digest: paths
        for digest, paths in files.items()
        if digest not in named and _age(paths, now) > GRACE
    }


def remove_orphans(engine: Engine, store: FolderStore, *, by: Actor, now: datetime) -> Removed:
    """Remove what has been an orphan for a day, half-written files, and answers that are of no use.

    A picture that is found to be an orphan for the first time stays; so do all pictures when the
    database names fewer than there are orphans, which is what a wrong DATABASE_URL looks like.

    :raises ForbiddenError: if ``by`` is no admin
    """
    by.require(Role.ADMIN)
    removed = Removed(
        pictures=_remove_pictures(engine, store, now),
        leftovers=_remove(path for path in store.leftovers() if _age([path], now) > GRACE),
        answers=_remove_answers(engine, store, now),
    )
    if removed.total:
        log.info("Removed from the picture store: %s", removed)
        with transaction(engine) as session:
            record(session, by, Action.ORPHANS_REMOVED, now=now, detail=str(removed.total))
    return removed


def _remove_pictures(engine: Engine, store: FolderStore, now: datetime) -> int:
    orphans = find_orphans(engine, store, now=now)
    with reading(engine) as session:
        named, marked = len(_named(session)), set(session.exec(select(Orphan.digest)))
    if len(orphans) > named:
        log.warning(
            "%d pictures are named nowhere, and only %d are. Do DATABASE_URL and PICTURES_URL"
            " belong together? No picture is removed.",
            len(orphans),
            named,
        )
        return 0
    removed = 0
    for digests in _batches(set(orphans)):
        with transaction(engine) as session:
            removed += _remove_batch(session, {d: orphans[d] for d in digests}, now)
    for digests in _batches(marked - set(orphans)):
        with transaction(engine) as session:
            session.execute(delete(Orphan).where(col(Orphan.digest).in_(digests)))
    return removed


def _remove_batch(session: Session, orphans: dict[str, list[Path]], now: datetime) -> int:
    lock(session, PICTURES_LOCK)  # nobody names one of them while we look again and remove
    named = _named(session, orphans)
    marks = session.exec(select(Orphan).where(col(Orphan.digest).in_(orphans))).all()
    found_at = {mark.digest: mark for mark in marks}
    removed = 0
    for digest, paths in orphans.items():
        mark = found_at.get(digest)
        age = _age(paths, now)
        if digest in named or age <= GRACE:
            continue
        if mark is None:
            session.add(Orphan(digest=digest, found_at=now))
        elif mark.found_at < now - age:  # it was saved, and so perhaps used, since it was found
            mark.found_at = now
        elif mark.found_at < now - GRACE:
            removed += _remove(paths)
            session.delete(mark)
    return removed


def _named(session: Session, among: Iterable[str] | None = None) -> set[str]:
    """Return the digests of pictures that a row names, or an order that is under way."""
    rows = select(ProductImage.digest)
    if among is not None:
        rows = rows.where(col(ProductImage.digest).in_(list(among)))
    painted = select(CoverJob.painted).where(
        col(CoverJob.state).in_(ACTIVE_STATES), col(CoverJob.painted).is_not(None)
    )
    return set(session.exec(rows)) | {
        json.loads(answer)["digest"] for answer in session.exec(painted) if answer
    }


def _remove_answers(engine: Engine, store: FolderStore, now: datetime) -> int:
    old = [path for path in store.answers() if _age([path], now) > GRACE]
    with reading(engine) as session:
        return _remove(path for path in old if _is_of_no_use(session, path.name))


def _is_of_no_use(session: Session, call_id: str) -> bool:
    """Whether what a call brought can't become a picture any more. Once true, it stays so."""
    call = session.get(PaidCall, call_id)
    if call is None:
        return False  # of a call that this database does not know: not ours to remove
    job = session.get(CoverJob, call.job_id) if call.job_id else None
    if job is None or job.state == JobState.SUCCEEDED:
        return True
    product = session.get(Product, job.product_id)
    is_newest = product is not None and product.cover_job_id == job.id
    return job.state not in ACTIVE_STATES and not is_newest


def _batches(digests: set[str]) -> Iterator[list[str]]:
    waiting = sorted(digests)
    for start in range(0, len(waiting), _AT_ONCE):
        yield waiting[start : start + _AT_ONCE]


def _age(paths: Iterable[Path], now: datetime) -> timedelta:
    """Return how long ago the youngest of the files was saved; no time at all if one has gone."""
    try:
        saved = max(path.stat().st_mtime for path in paths)
    except OSError:
        return timedelta(0)
    return now - datetime.fromtimestamp(saved, UTC)


def _remove(paths: Iterable[Path]) -> int:
    removed = 0
    for path in paths:
        try:
            path.unlink()
            removed += 1
        except OSError as error:  # gone already, or open on Windows: the next time, then
            log.warning("%s was not removed: %s", path.name, error)
    return removed
