"""The errors Capista raises on purpose. Each carries a sentence fit for the screen.

DashboardError
├── SettingsError          a setting is wrong or missing; whoever runs Capista can act
├── StartError             the database or a folder can't be used as it is
├── NotFoundError          the row or the file is gone
├── InvalidInputError      what was typed or uploaded can't be taken
├── SignInError            nobody, or nobody we know, is asking
├── ForbiddenError         whoever asks may not do this
├── TooManyError           too many wrong tries; wait
├── ConflictError          somebody else changed it meanwhile
├── BudgetReachedError     the month's money for pictures is spent
└── ServiceError           Hotmart or the image service failed
"""

from enum import StrEnum
from functools import partial
from typing import Any


class DashboardError(Exception):
    """Says in the marketer's words what happened and what to do about it."""


class SettingsError(DashboardError):
    """A setting is wrong or missing."""


class StartError(DashboardError):
    """Capista can't start with what it found on the disk."""


class NotFoundError(DashboardError):
    """What was asked for is not there, or no longer."""


class InvalidInputError(DashboardError):
    """What was typed or uploaded can't be taken; nothing was changed."""


class SignInError(DashboardError):
    """Whoever asks did not say who they are, or is not known."""


class ForbiddenError(DashboardError):
    """Whoever asks may not do this."""


class TooManyError(DashboardError):
    """Too many tries; ``retry_after`` says how many seconds to wait."""

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ConflictError(DashboardError):
    """What was to be changed is not as it was when the change was begun."""


class BudgetReachedError(DashboardError):
    """The picture was not asked for, because the month's budget would be exceeded."""


class Problem(StrEnum):
    """What kind of trouble a service made; decides the sentence and the next step."""

    KEY = "key"
    VERIFY = "verify"
    REGION = "region"
    BILLING = "billing"
    RATE = "rate"
    BLOCKED = "blocked"
    MODEL = "model"
    REQUEST = "request"
    SERVER = "server"
    TIMEOUT = "timeout"
    NETWORK = "network"
    WRONG_ANSWER = "wrong-answer"
    PERMISSION = "permission"


class ServiceError(DashboardError):
    """Hotmart or the image service did not do what was asked.

    ``permanent`` says that asking again in the same way will fail again (or might be billed
    again). ``retry_after`` is the wait the service asked for, in seconds, where it gave one.
    ``may_be_billed`` says that a picture may have been painted although none came.
    """

    def __init__(
        self,
        message: str,
        *,
        problem: Problem,
        permanent: bool,
        retry_after: float | None = None,
        may_be_billed: bool = False,
    ) -> None:
        super().__init__(message)
        self.problem = problem
        self.permanent = permanent
        self.retry_after = retry_after
        self.may_be_billed = may_be_billed

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling: the job queue keeps a step's error."""
        words: dict[str, Any] = {
            "problem": self.problem,
            "permanent": self.permanent,
            "retry_after": self.retry_after,
            "may_be_billed": self.may_be_billed,
        }
        return partial(type(self), **words), (str(self),)
