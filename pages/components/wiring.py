"""The one place where pages learn what they work with and who is at the screen.

A test can put its own App and its own person there.
"""

from collections.abc import Callable

from core.access import LOCAL, Actor
from core.app import App


def _whoever_sits_here() -> Actor:
    return LOCAL


_app: App | None = None
_identify: Callable[[], Actor] = _whoever_sits_here


def provide(app: App | None, identify: Callable[[], Actor] = _whoever_sits_here) -> None:
    """Make ``app`` the one that pages work with, and have ``identify`` say who looks at them."""
    global _app, _identify
    _app, _identify = app, identify


def current_app() -> App:
    """Return the App of this process."""
    if _app is None:
        raise RuntimeError("wiring.provide() was not called; start Capista through dashboard.py")
    return _app


def current_actor() -> Actor:
    """Return who is at the screen, with the role they have at this moment.

    Ask anew for each click: what was true when the page was drawn may no longer be.

    :raises SignInError: if nobody is signed in, or no longer
    :raises ForbiddenError: if this person may not come in
    """
    return _identify()
