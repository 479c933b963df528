"""The one place where pages get the App from, so that a test can put its own there."""

from core.app import App

_app: App | None = None


def provide(app: App | None) -> None:
    """Make ``app`` the one that pages work with."""
    global _app
    _app = app


def current_app() -> App:
    """Return the App of this process."""
    if _app is None:
        raise RuntimeError("wiring.provide() was not called; start Capista through dashboard.py")
    return _app
