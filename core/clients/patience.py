"""Asking a service again when it may answer better the second time.

Only a passing ``ServiceError`` is repeated, and the waiting always ends. Whoever wants to show
that we wait hears of it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential_jitter,
)

from core.errors import ServiceError

_T = TypeVar("_T")

_backoff = wait_exponential_jitter(initial=1, max=20, jitter=1)

Told = Callable[[float], None]
_told: ContextVar[Told | None] = ContextVar("told", default=None)


@contextmanager
def telling(told: Told) -> Iterator[None]:
    """While the block lasts, ``told`` hears before each wait how many seconds it will take.

    It is called in the thread that waits, which may be another one than the block's.
    """
    before = _told.set(told)
    try:
        yield
    finally:
        _told.reset(before)


def wait(seconds: float, sleep: Callable[[float], None]) -> None:
    """Wait, and say so."""
    if told := _told.get():
        told(seconds)
    sleep(seconds)


def patiently(
    call: Callable[[], _T],
    *,
    attempts: int = 5,
    longest_wait: float = 120.0,
    sleep: Callable[[float], None] = time.sleep,
) -> _T:
    """Return what ``call`` returns; repeat it while it raises a passing ``ServiceError``.

    Waits as long as the service asked for, else a little longer each time. A service that asks
    for more than ``longest_wait`` seconds is not waited for.

    :raises ServiceError: the last one, as it was raised
    """

    def may_pass(error: BaseException) -> bool:
        return (
            isinstance(error, ServiceError)
            and not error.permanent
            and (error.retry_after or 0) <= longest_wait
        )

    def time_to_wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ServiceError) and error.retry_after is not None:
            return max(0.0, error.retry_after)
        return min(longest_wait, _backoff(state))

    retrying = Retrying(
        stop=stop_after_attempt(attempts),
        wait=time_to_wait,
        retry=retry_if_exception(may_pass),
        sleep=lambda seconds: wait(seconds, sleep),
        reraise=True,
    )
    return retrying(call)
