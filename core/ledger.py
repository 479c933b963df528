"""The ledger of paid calls: what was asked of an image service, and what it cost.

A row is written before the service is asked, so that no crash can hide a call. A call whose
outcome is not known may have been billed: it counts as if it was, at its estimate.
"""

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import func
from sqlmodel import Session, col, select

from core.access import Actor, Role
from core.database import lock
from core.errors import BudgetReachedError, DashboardError, Problem, ServiceError
from core.language import _
from core.models import CoverJob, JobState, PaidCall, Product
from core.painting import Painting
from core.settings import Settings

PAGE_SIZE = 50
_MOST_UNKNOWN = 2
"""Calls of one order that may have been billed without a picture: the first, and one repeat."""

_REFUSALS_THAT_STOP = 3
_OF_THE_ACCOUNT = frozenset(
    {
        Problem.KEY,
        Problem.VERIFY,
        Problem.REGION,
        Problem.BILLING,
        Problem.MODEL,
        Problem.PERMISSION,
    }
)
"""What every further picture would meet as well, until somebody mends it."""


class AccountRefusedError(ServiceError):
    """The service refuses the account, as other orders found out: no use to ask for this one."""


class CallState(StrEnum):
    """What became of a call."""

    ASKED = "asked"
    """Under way, or cut off by a crash."""
    CHARGED = "charged"
    UNKNOWN = "unknown"
    """No answer that could be used came back; it may have been billed."""
    FREE = "free"
    """Refused before anything was painted."""


@dataclass(frozen=True, slots=True)
class Spending:
    """US dollars: what was charged, what may have been, and what is under way."""

    charged: Decimal
    unknown: Decimal
    under_way: Decimal

    @property
    def total(self) -> Decimal:
        """The most that it can be."""
        return self.charged + self.unknown + self.under_way


def begin_call(
    session: Session,
    settings: Settings,
    job: CoverJob,
    *,
    prompt: str,
    now: datetime,
    has_answer: Callable[[str], bool],
) -> PaidCall:
    """Write down that an order's picture is about to be asked for, or return the call that was.

    A call that was answered is returned again, also that of an earlier order for the same picture
    which could not be finished: what was paid for is not asked for twice. Calls of this order that
    a crash cut off become unknown. ``has_answer`` tells whether the answer to a call is in the
    store; once its picture is made, it is not.

    :raises BudgetReachedError: if the month's budget would be exceeded
    :raises AccountRefusedError: if the service refuses the account
    :raises DashboardError: if the order was cut off twice already, or its offer is in the trash
    """
    lock(session, "ledger")  # whoever else is about to pay waits, and then sees this call
    asked = (settings.image_model, settings.image_quality, settings.image_size, prompt)
    digest = hashlib.sha256("\0".join(asked).encode()).hexdigest()
    same = select(PaidCall).where(
        PaidCall.product_id == job.product_id,
        PaidCall.request_digest == digest,
        col(PaidCall.job_id).in_(select(CoverJob.id).where(CoverJob.state == JobState.FAILED)),
    )
    earlier = session.exec(select(PaidCall).where(PaidCall.job_id == job.id)).all()
    for call in [*earlier, *session.exec(same)]:
        if call.state in (CallState.ASKED, CallState.CHARGED) and has_answer(call.id):
            return call
    for call in earlier:
        if call.state == CallState.ASKED:
            call.state, call.answered_at = CallState.UNKNOWN, now
    session.flush()
    if sum(call.state == CallState.UNKNOWN for call in earlier) >= _MOST_UNKNOWN:
        raise DashboardError(
            _(
                "Capista was stopped twice while this cover was being painted. Both pictures may be"
                " on your bill, so it was not asked for again. Press Try again to ask once more."
            )
        )
    _check_offer(session, job)
    _check_account(session, job)
    price = job.estimated_usd or Decimal(0)
    check_budget(session, settings, price, now=now)
    call = PaidCall(
        id=f"call-{uuid.uuid4().hex}",
        job_id=job.id,
        product_id=job.product_id,
        request_digest=digest,
        model=settings.image_model,
        quality=settings.image_quality,
        size=settings.image_size,
        state=CallState.ASKED,
        estimated_usd=price,
        asked_by=job.created_by or "",
        asked_at=now,
    )
    session.add(call)
    session.flush()
    return call


def _check_offer(session: Session, job: CoverJob) -> None:
    if session.get_one(Product, job.product_id).deleted_at:
        raise DashboardError(
            _(
                "The offer was put into the trash before its cover was asked for, so nothing was"
                " paid. Press Try again."
            )
        )


def _check_account(session: Session, job: CoverJob) -> None:
    """Stop a run of orders when the service refuses not the picture but the account.

    Only calls since the order was written down count: an order that comes later, when the key or
    the credit was mended, is tried again.
    """
    newest = session.exec(
        select(PaidCall)
        .where(
            PaidCall.asked_at >= job.created_at,
            PaidCall.state != CallState.ASKED,
            PaidCall.job_id != job.id,
        )
        .order_by(col(PaidCall.answered_at).desc())
        .limit(_REFUSALS_THAT_STOP)
    ).all()
    problems = {call.problem for call in newest}
    if len(newest) < _REFUSALS_THAT_STOP or len(problems) > 1:
        return
    (problem,) = problems
    if problem not in _OF_THE_ACCOUNT:
        return
    causes = select(CoverJob.error).where(
        col(CoverJob.id).in_([call.job_id for call in newest]), col(CoverJob.error).is_not(None)
    )
    why = session.exec(causes.limit(1)).first()
    raise AccountRefusedError(
        _(
            "{why} This cover and those that waited with it were not asked for. When that is"
            " mended, press Make covers for the other offers on the Offers page, or Try again."
        ).format(why=why or ""),
        problem=Problem(problem),
        permanent=True,
    )


def charge(session: Session, call_id: str, painting: Painting | None, *, now: datetime) -> None:
    """Write down that a picture came, with what it cost as far as that is known."""
    call = session.get_one(PaidCall, call_id)
    call.state, call.answered_at = CallState.CHARGED, now
    if painting:
        call.cost_usd = painting.cost_usd
        call.model, call.quality = painting.model or call.model, painting.quality or call.quality
        call.size = painting.size or call.size


def close_without_picture(
    session: Session, call_id: str, error: Exception, *, now: datetime
) -> None:
    """Write down why no picture came, and whether it may have been billed all the same."""
    call = session.get_one(PaidCall, call_id)
    if isinstance(error, ServiceError):
        may_be_billed, call.problem = error.may_be_billed, error.problem
    else:
        may_be_billed, call.problem = not isinstance(error, DashboardError), type(error).__name__
    call.state = CallState.UNKNOWN if may_be_billed else CallState.FREE
    call.answered_at = now


def check_budget(session: Session, settings: Settings, price: Decimal, *, now: datetime) -> None:
    """Go on only if a picture at this price fits into the month's budget.

    :raises BudgetReachedError: otherwise
    """
    budget = settings.monthly_budget_usd
    if budget is None or not settings.images_are_connected:
        return
    spent = spending_since(session, month_start(now)).total
    if spent + price > budget:
        raise BudgetReachedError(
            _(
                "This month's budget for pictures is US$ {budget}, and US$ {spent} of it is spent"
                " or under way; with those that wait, this one does not fit in. Raise"
                " MONTHLY_BUDGET_USD, or wait for the next month."
            ).format(budget=budget, spent=round(spent, 2))
        )


def spending_since(session: Session, moment: datetime) -> Spending:
    """Return what calls since then have cost; what is not known counts at its estimate."""
    amount = func.sum(func.coalesce(PaidCall.cost_usd, PaidCall.estimated_usd))
    rows = session.exec(
        select(PaidCall.state, amount)
        .where(col(PaidCall.asked_at) >= moment)
        .group_by(PaidCall.state)
    ).all()
    by_state = {state: Decimal(str(total or 0)) for state, total in rows}
    return Spending(
        charged=by_state.get(CallState.CHARGED, Decimal(0)),
        unknown=by_state.get(CallState.UNKNOWN, Decimal(0)),
        under_way=by_state.get(CallState.ASKED, Decimal(0)),
    )


def account_trouble(session: Session) -> str | None:
    """Return why the service refuses the account, as a sentence; None if it last took it."""
    newest = session.exec(
        select(PaidCall.problem, CoverJob.error)
        .join(CoverJob, col(CoverJob.id) == PaidCall.job_id)
        .where(PaidCall.state != CallState.ASKED)
        .order_by(col(PaidCall.asked_at).desc())
        .limit(1)
    ).first()
    return newest[1] if newest and newest[0] in _OF_THE_ACCOUNT else None


def list_calls(session: Session, *, by: Actor, limit: int = PAGE_SIZE) -> list[PaidCall]:
    """Return the newest calls.

    :raises ForbiddenError: if ``by`` is no admin
    """
    by.require(Role.ADMIN)
    newest = (col(PaidCall.asked_at).desc(), col(PaidCall.id).desc())
    return list(session.exec(select(PaidCall).order_by(*newest).limit(limit)))


def month_start(now: datetime) -> datetime:
    """Return the moment at which the month of ``now`` began (UTC)."""
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
