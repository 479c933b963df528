"""Who gets in: bearer tokens, and a brake on guessing them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from core import tokens
from core.access import Actor, Role
from core.app import App
from core.errors import SignInError, TooManyError
from core.language import _

_GUESSES = parse("20 per minute")
_ALL_GUESSES = parse("200 per minute")
"""From wherever they say they come: a proxy's header can be made up."""
_bearer = HTTPBearer(auto_error=False, description="python -m core token create NAME --role ROLE")


def app_of(request: Request) -> App:
    """Return the App that the server works with."""
    source: Callable[[], App] = request.app.state.app_source
    return source()


class Brake:
    """Counts wrong tokens by the address they come from.

    A right token always gets in: a forgotten script with an old one must not shut out the others
    behind the same address.
    """

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, request: Request) -> None:
        """Remember a wrong token.

        :raises TooManyError: after too many of them, with the seconds to wait
        """
        address = request.client.host if request.client else ""
        if not self._limiter.hit(_ALL_GUESSES, "guess"):
            reset = self._limiter.get_window_stats(_ALL_GUESSES, "guess").reset_time
        elif not self._limiter.hit(_GUESSES, "guess", address):
            reset = self._limiter.get_window_stats(_GUESSES, "guess", address).reset_time
        else:
            return
        wait = max(1, round(reset - datetime.now(UTC).timestamp()))
        raise TooManyError(
            _("Too many wrong tokens. Try again in {wait} seconds.").format(wait=wait),
            retry_after=wait,
        )


def count_guess(request: Request) -> None:
    """Remember that a wrong token came with this call.

    :raises TooManyError: after too many of them
    """
    brake: Brake = request.app.state.brake
    brake.count(request)


def actor_of(
    request: Request,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Actor:
    """Return whose token came with the call."""
    if given is None:
        raise SignInError(
            _("This call needs a token. Create one: python -m core token create NAME --role ROLE")
        )
    try:
        app = app_of(request)
        return tokens.identify(app.engine, app.settings, given.credentials, now=datetime.now(UTC))
    except SignInError:
        count_guess(request)
        raise


def at_least(role: Role) -> Callable[..., Actor]:
    """Return a dependency that lets only this role, or a higher one, through."""

    def actor(actor: Annotated[Actor, Depends(actor_of)]) -> Actor:
        actor.require(role)
        return actor

    return actor


Here = Annotated[App, Depends(app_of)]
Viewer = Annotated[Actor, Depends(at_least(Role.VIEWER))]
Editor = Annotated[Actor, Depends(at_least(Role.EDITOR))]
