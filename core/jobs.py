"""Durable jobs: what is carried out in the background, and survives a stop.

Orders are rows of our own tables, written first; DBOS carries them out under the same ids. An
order whose job was never handed over (a crash in between) is handed over at the next start.
"""

import functools
import hashlib
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from dbos import DBOS, SetEnqueueOptions, SetWorkflowID
from sqlalchemy import Engine
from tenacity import (
    RetryError,
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential,
)

from core import checks, covers, events, orphans, sync
from core.access import SYNC, UPKEEP, Actor
from core.database import (
    DatabaseError,
    open_engine,
    reading,
    sqlite_module,
    transaction,
    use_wal,
)
from core.errors import DashboardError, StartError
from core.events import ProductNews
from core.language import _
from core.ledger import AccountRefusedError
from core.locks import held
from core.models import CoverJob, PictureCheck, SyncRun
from core.painting import Painter
from core.picture_store import FolderStore
from core.products import without_picture
from core.settings import Settings
from core.sync import Catalogue, Trigger

log = logging.getLogger(__name__)
_T = TypeVar("_T")
_P = ParamSpec("_P")

APPLICATION_VERSION = "1"
"""Fixed, so that an upgrade goes on with the jobs that wait. Raise it only together with code
that carries the older version's jobs over."""

SYNC_QUEUE = "sync"
PAID_QUEUE = "covers"
BUILT_IN_QUEUE = "built_in_covers"
_BUILT_IN_AT_ONCE = 4
_POLL_S, _POLL_PAID_S = 0.2, 0.1
"""Each look costs about 2 % of a core a second; a painter that waits for one costs more."""
_START_LIMIT_S = 60.0
_STOP_WAIT_S = 3
"""A cover under way may be done by then; a paid one that isn't is taken up at the next start."""
_COMMAND_STOP_WAIT_S = 900
"""A command ends only when the covers it took are done: nobody would take them up soon."""
_MARKETER_FIRST, _SYNC_AFTER = 1, 10
_REMOVE_ORPHANS = "23 */4 * * *"
"""Oftener than the once a day that is needed: some machines are on for a few hours only."""

DASHBOARD, COMMAND = "dashboard", "command"
"""Who carries jobs out. Each takes up at its start what its own kind left; at most one command
runs in a folder, and the dashboard takes up what a command left that is no more."""
_LOOK_FOR_LEFTOVERS_S = 5.0
_LOOK_FOR_STUCK = 6
"""Every so many looks also at our own jobs: a full disk throws them out of the queue's hands."""
_LONGEST_PATIENCE_S = 15.0
"""Between two tries while the database is not to be had."""


class Jobs:
    """The background of one process. One at a time: DBOS is one per process.

    ``executor`` says what kind of process it is: ``DASHBOARD`` or ``COMMAND``.
    """

    def __init__(
        self,
        engine: Engine,
        store: FolderStore,
        painter: Painter,
        catalogue: Catalogue,
        settings: Settings,
        executor: str = DASHBOARD,
    ) -> None:
        self.engine = engine
        self.store = store
        self.painter = painter
        self.catalogue = catalogue
        self.settings = settings
        self.executor = executor
        self._launched = threading.Event()
        self._closed = threading.Event()
        self._failure: Exception | None = None
        self._busy: set[str] = set()
        self._stuck: set[str] = set()

    def launch(self) -> None:
        """Start working; go on with what an earlier process left. Takes about a second."""
        global _current
        try:
            _current = self
            DBOS(config=_config(self.settings) | {"executor_id": self.executor})
            DBOS.launch()
            self._register_queues()
            if self.executor == DASHBOARD:
                self._schedule()
                threading.Thread(target=self._look_after, name="look-after", daemon=True).start()
            self._hand_over_leftovers()
        except Exception as error:
            log.exception("The job queue did not start")
            self._failure = error
        finally:
            self._launched.set()

    def close(self) -> None:
        """Stop working; what is under way is taken up at the next start."""
        global _current
        self._closed.set()
        is_command = self.executor == COMMAND
        DBOS.destroy(
            workflow_completion_timeout_sec=_COMMAND_STOP_WAIT_S if is_command else _STOP_WAIT_S
        )
        _current = None

    @contextmanager
    def alone(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Wait until no other command runs in this folder, then be the one that does."""
        while True:
            with held(self._lock) as is_ours:
                if is_ours:
                    yield
                    return
            waiting()
            time.sleep(_LOOK_FOR_LEFTOVERS_S / 10)

    @property
    def _lock(self) -> Path:
        return self.settings.data_dir / "command.lock"

    def _look_after(self) -> None:
        """Take up what nobody carries on: a command that was ended, a disk that was full."""
        for turn in itertools.count():
            try:
                with held(self._lock) as is_ours:
                    if is_ours and not self._closed.is_set():
                        DBOS._recover_pending_workflows([COMMAND])
                if turn and turn % _LOOK_FOR_STUCK == 0:
                    self._resume_stuck()
                    self._hand_over_leftovers()
            except Exception:
                log.exception("What nobody carries on could not be taken up; trying again")
            if self._closed.wait(_LOOK_FOR_LEFTOVERS_S):
                return

    def _resume_stuck(self) -> None:
        """Resume jobs that are under way by their state, but not by what this process does."""
        pending = DBOS.list_workflows(
            status="PENDING", executor_id=self.executor, load_input=False, load_output=False
        )
        stuck = {job.workflow_id: job for job in pending if job.workflow_id not in self._busy}
        for job_id in self._stuck & set(stuck):  # twice in a row: not one that is just beginning
            log.warning("Job %s was thrown out, and is taken up again", job_id)
            DBOS.resume_workflow(job_id, queue_name=stuck[job_id].queue_name)
        self._stuck = set(stuck) - self._stuck

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Say that this process carries the job on."""
        job_id = DBOS.workflow_id or ""
        self._busy.add(job_id)
        try:
            yield
        finally:
            self._busy.discard(job_id)

    def patiently(self, work: Callable[[], _T]) -> _T:
        """Do ``work`` again while the database is not to be had, until the process ends."""
        retrying = Retrying(
            retry=retry_if_exception_type(DatabaseError),
            wait=wait_exponential(max=_LONGEST_PATIENCE_S),
            sleep=sleep_using_event(self._closed),
            stop=stop_when_event_set(self._closed),
            before_sleep=before_sleep_log(log, logging.WARNING),
        )
        try:
            return retrying(work)
        except RetryError as error:
            raise _EndedError from error

    def start_sync(self, trigger: Trigger, *, by: Actor) -> SyncRun:
        """Start a sync, or return the one under way.

        :raises ForbiddenError: if ``by`` is no editor
        :raises StartError: if the job queue could not be started
        """
        run, is_new = self._begin_sync(trigger, by)
        if is_new:
            try:
                _enqueue_sync(run.id or 0)
            except Exception as error:
                # Left as it is, the run would look busy for ever and keep others from starting.
                with transaction(self.engine) as session:
                    sync.fail_run(session, run.id or 0, _not_queued(), now=_now())
                raise _not_queued() from error
        return run

    def _begin_sync(self, trigger: Trigger, by: Actor) -> tuple[SyncRun, bool]:
        self._wait_until_launched()
        with transaction(self.engine) as session:
            return sync.start_run(session, trigger=trigger, by=by, now=_now())

    def start_check(self, *, by: Actor) -> PictureCheck:
        """Start a check of all pictures, or return the one under way.

        :raises ForbiddenError: if ``by`` is no admin
        :raises StartError: if the job queue could not be started
        """
        self._wait_until_launched()
        with transaction(self.engine) as session:
            check, is_new = checks.start_check(session, by=by, now=_now())
        if is_new:
            try:
                _begin_check(check.id or 0)
            except Exception as error:
                with transaction(self.engine) as session:
                    checks.fail_check(session, check.id or 0, _not_queued(), now=_now())
                raise _not_queued() from error
        return check

    def order_cover(self, product_id: int, *, prompt: str | None, by: Actor) -> CoverJob:
        """Order a cover for an offer; the same order under way is returned instead.

        :raises DashboardError: as ``covers.order_cover``
        """
        self._wait_until_launched()
        with transaction(self.engine) as session:
            job = covers.order_cover(
                session,
                self.settings,
                product_id,
                prompt=prompt,
                by=by,
                now=_now(),
            )
        try:
            self._enqueue_covers([job.id], priority=_MARKETER_FIRST)
        except Exception as error:
            with transaction(self.engine) as session:
                covers.fail_cover(session, job.id, _not_queued(), now=_now())
            raise _not_queued() from error
        return job

    def order_missing_covers(self, *, by: Actor) -> int:
        """Order a cover for every live offer that has no picture; return how many.

        :raises ForbiddenError: if ``by`` is no editor
        """
        self._wait_until_launched()
        with transaction(self.engine) as session:
            job_ids = covers.order_first_covers(
                session,
                self.settings,
                without_picture(session),
                by=by,
                now=_now(),
            )
        threading.Thread(
            target=self._enqueue_covers, args=(job_ids, _SYNC_AFTER), daemon=True
        ).start()  # thousands take a while; what a crash leaves out is handed over at the start
        return len(job_ids)

    def take_event(self, news: ProductNews) -> None:
        """Have what Hotmart sent worked in; the same event again changes nothing.

        :raises StartError: if the job queue could not be started
        """
        self._wait_until_launched()
        event = hashlib.sha256(news.event_id.encode()).hexdigest()
        with SetWorkflowID(f"event-{event}"):
            DBOS.enqueue_workflow(SYNC_QUEUE, work_in_event, news.as_dict())

    def _enqueue_covers(
        self, job_ids: Sequence[str], priority: int, name: Callable[[str], str] = str
    ) -> None:
        queue = PAID_QUEUE if self.painter.is_paid else BUILT_IN_QUEUE
        for job_id in job_ids:
            with SetWorkflowID(name(job_id)), SetEnqueueOptions(priority=priority):
                DBOS.enqueue_workflow(queue, make_cover, job_id)
        # Thousands take seconds: some may have been stopped while they were handed over.
        _drop(covers.stopped_among(self.engine, job_ids))

    def _register_queues(self) -> None:
        per_minute = self.settings.images_per_minute
        DBOS.register_queue(SYNC_QUEUE, global_concurrency=1, polling_interval_sec=_POLL_S)
        DBOS.register_queue(
            PAID_QUEUE,
            global_concurrency=self.settings.images_at_once,
            limiter={"limit": per_minute, "period": 60.0} if per_minute else None,
            polling_interval_sec=_POLL_PAID_S,
        )
        DBOS.register_queue(
            BUILT_IN_QUEUE, worker_concurrency=_BUILT_IN_AT_ONCE, polling_interval_sec=_POLL_S
        )

    def _schedule(self) -> None:
        for name, workflow, wanted in (
            ("sync", scheduled_sync, self.settings.sync_schedule),
            ("orphans", scheduled_removal, _REMOVE_ORPHANS),
        ):
            if DBOS.get_schedule(name):
                DBOS.delete_schedule(name)
            if wanted:
                DBOS.create_schedule(schedule_name=name, workflow_fn=workflow, schedule=wanted)

    def _hand_over_leftovers(self) -> None:
        with reading(self.engine) as session:
            run = sync.running_run(session)
        if run and _state(f"sync-{run.id}") is None:
            _enqueue_sync(run.id or 0)
        elif run and _state(f"sync-{run.id}") in _ENDED:
            with transaction(self.engine) as session:
                sync.fail_run(session, run.id or 0, _interrupted(), now=_now())
        self._go_on_with_check()
        for job in covers.unfinished_jobs(self.engine):
            priority = _SYNC_AFTER if job.is_first else _MARKETER_FIRST
            state, second = _state(job.id), _again(job.id)
            if state is None:
                self._enqueue_covers([job.id], priority)
            elif state in _ENDED and _state(second) is None:
                # Thrown out before it could write anything. The ledger knows what it paid for.
                self._enqueue_covers([job.id], priority, name=_again)
            elif state in _ENDED and _state(second) in _ENDED:
                with transaction(self.engine) as session:
                    covers.fail_cover(session, job.id, _interrupted(), now=_now())

    def _go_on_with_check(self) -> None:
        with reading(self.engine) as session:
            check = checks.running_check(session)
        if check is None:
            return
        state = _state(f"check-{check.id}")
        if state in _ENDED:  # by a stop in the middle, without a result
            DBOS.delete_workflow(f"check-{check.id}")
        if state is None or state in _ENDED:
            _begin_check(check.id or 0)

    def _wait_until_launched(self) -> None:
        if not self._launched.wait(_START_LIMIT_S) or self._failure:
            raise StartError(
                _(
                    "The job queue did not start, so nothing can be made or synced now. Restart"
                    " Capista; if that does not help, check JOBS_DATABASE_URL."
                )
            ) from self._failure


class _EndedError(BaseException):
    """The process ends: the job stays as it is, and is taken up at the next start.

    No ``Exception``, so that neither we nor DBOS write down that the job failed.
    """


_current: Jobs | None = None


def _jobs() -> Jobs:
    if _current is None:
        raise RuntimeError("jobs run only between Jobs.launch() and Jobs.close()")
    return _current


def _workflow(name: str) -> Callable[[Callable[_P, None]], Callable[_P, None]]:
    """Register a workflow; while it runs, its process is known to carry it on."""

    def register(function: Callable[_P, None]) -> Callable[_P, None]:
        @functools.wraps(function)
        def carry_on(*given: _P.args, **named: _P.kwargs) -> None:
            with _jobs().busy():
                function(*given, **named)

        return DBOS.workflow(name=name)(carry_on)

    return register


@_workflow("sync")
def sync_offers(run_id: int) -> None:
    """Bring the offers in, then hand the new ones' covers over."""
    _jobs()._enqueue_covers(sync_step(run_id), priority=_SYNC_AFTER)


@DBOS.step(name="sync_step")
def sync_step(run_id: int) -> list[str]:
    """Read, decide, write; return the ids of the cover orders. Safe to repeat."""
    jobs = _jobs()
    return jobs.patiently(lambda: sync.run_sync(jobs.engine, jobs.catalogue, jobs.settings, run_id))


@_workflow("check")
def check_pictures(check_id: int) -> None:
    """Check all pictures."""
    check_step(check_id)


@DBOS.step(name="check_step")
def check_step(check_id: int) -> None:
    """Read every picture and write down what was found. Repeated, it begins anew."""
    jobs = _jobs()
    checks.run_check(jobs.engine, jobs.store, check_id, is_stopped=jobs._closed.is_set)


@_workflow("event")
def work_in_event(news: dict[str, Any]) -> None:
    """Write down what an event says, then hand over the cover it may bring."""
    _jobs()._enqueue_covers(event_step(news), priority=_SYNC_AFTER)


@DBOS.step(name="event_step")
def event_step(news: dict[str, Any]) -> list[str]:
    """Write; return the ids of the cover orders. Repeated, it changes nothing."""
    jobs = _jobs()

    def take() -> list[str]:
        with transaction(jobs.engine) as session:
            if not events.remember(session, news["event_id"], now=_now()):
                return []
            return events.take_news(session, jobs.settings, events.ProductNews(**news), now=_now())

    return jobs.patiently(take)


@_workflow("make_cover")
def make_cover(job_id: str) -> None:
    """Paint, then attach; whatever goes wrong ends in a sentence on the order."""
    try:
        paint_step(job_id)
        attach_step(job_id)
    except DashboardError as error:
        fail_step(job_id, error)
        if isinstance(error, AccountRefusedError):
            # Out of the queue too: under the rate limit they would keep others waiting for hours.
            _drop(stop_step(job_id, error))


@DBOS.step(name="paint")
def paint_step(job_id: str) -> None:
    """Have the cover painted and stored. Repeated, it uses the answer that was stored."""
    jobs = _jobs()

    def paint() -> None:
        covers.paint_cover(jobs.engine, jobs.store, jobs.painter, jobs.settings, job_id, now=_now())

    with _sentences(job_id):
        jobs.patiently(paint)


@DBOS.step(name="attach")
def attach_step(job_id: str) -> None:
    """Show the cover on its offer. Repeated, it changes nothing."""
    jobs = _jobs()

    def attach() -> None:
        with transaction(jobs.engine) as session:
            covers.attach_cover(session, jobs.store, job_id, now=_now())

    with _sentences(job_id):
        jobs.patiently(attach)


@DBOS.step(name="fail")
def fail_step(job_id: str, error: DashboardError) -> None:
    """Write down why there is no cover. Repeated, it changes nothing."""
    jobs = _jobs()

    def fail() -> None:
        with transaction(jobs.engine) as session:
            covers.fail_cover(session, job_id, error, now=_now())

    jobs.patiently(fail)


@DBOS.step(name="stop")
def stop_step(job_id: str, error: AccountRefusedError) -> list[str]:
    """Fail what waits with an order that met a refused account; return those orders."""
    jobs = _jobs()

    def stop() -> list[str]:
        with transaction(jobs.engine) as session:
            return covers.stop_waiting(session, job_id, error, now=_now())

    return jobs.patiently(stop)


@_workflow("scheduled_sync")
def scheduled_sync(at: datetime, _context: Any) -> None:
    """Start a sync because the clock says so."""
    run_id = scheduled_step()
    if run_id is not None:
        _enqueue_sync(run_id)  # not inside the step: DBOS lets no step enqueue


@DBOS.step(name="scheduled_step")
def scheduled_step() -> int | None:
    """Write the sync down, as a button would; return nothing if one is under way."""
    run, is_new = _jobs()._begin_sync(Trigger.SCHEDULE, SYNC)
    return run.id if is_new else None


@_workflow("scheduled_removal")
def scheduled_removal(at: datetime, _context: Any) -> None:
    """Remove the files that nothing needs, because the clock says so."""
    removal_step()


@DBOS.step(name="removal_step")
def removal_step() -> int:
    """Remove; return how many files went. Repeated, it finds nothing more."""
    jobs = _jobs()
    return orphans.remove_orphans(jobs.engine, jobs.store, by=UPKEEP, now=_now()).total


@contextmanager
def _sentences(job_id: str) -> Iterator[None]:
    """Let only errors out that say something to the marketer. The log has the rest."""
    try:
        yield
    except DashboardError as error:
        log.warning("Cover %s failed: %s", job_id, error, exc_info=error.__cause__)
        raise
    except Exception as error:
        log.exception("Cover %s failed", job_id)
        raise DashboardError(
            _("Something unexpected went wrong while this cover was made. Try again.")
        ) from error


def _config(settings: Settings) -> Any:
    config: dict[str, Any] = {
        "name": "capista",
        "application_version": APPLICATION_VERSION,
        "log_level": "WARNING",
        "enable_otlp": False,
    }
    url = settings.jobs_database
    if url.startswith("sqlite"):
        engine = open_engine(url)
        use_wal(engine)
        engine.dispose()
        config["db_engine_kwargs"] = {"module": sqlite_module()}
    elif url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    return config | {"system_database_url": url}


_ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


def _again(job_id: str) -> str:
    """Return the name under which an order is carried out a second time."""
    return f"{job_id}-again"


def _state(job_id: str) -> str | None:
    status = DBOS.get_workflow_status(job_id)
    return status.status if status else None


def _not_queued() -> StartError:
    return StartError(
        _("The job queue did not take the order. Check the disk and JOBS_DATABASE_URL; try again.")
    )


def _interrupted() -> DashboardError:
    return DashboardError(_("This was interrupted before it was done. Try again."))


def _enqueue_sync(run_id: int) -> None:
    with SetWorkflowID(f"sync-{run_id}"):
        DBOS.enqueue_workflow(SYNC_QUEUE, sync_offers, run_id)


def _drop(job_ids: Sequence[str]) -> None:
    """Take orders out of the queue. One that has begun meanwhile finds by itself that it ended."""
    for start in range(0, len(job_ids), 1000):  # databases limit the values of one statement
        some = list(job_ids[start : start + 1000])
        queued = DBOS.list_workflows(workflow_ids=some, status="ENQUEUED", load_input=False)
        DBOS.cancel_workflows([flow.workflow_id for flow in queued])


def _begin_check(check_id: int) -> None:
    with SetWorkflowID(f"check-{check_id}"):
        DBOS.start_workflow(check_pictures, check_id)


def _now() -> datetime:
    return datetime.now(UTC)
