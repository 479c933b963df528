"""Telling the marketer what happened."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from core.errors import DashboardError
from core.language import _
from pages.components.formats import plain

log = logging.getLogger(__name__)
_SAID = "said"


@contextmanager
def show_errors() -> Iterator[None]:
    """Show one of our errors as the sentence it carries, and go on."""
    try:
        yield
    except DashboardError as error:
        _log(error)
        _draw(str(error))


@contextmanager
def keep_errors(place: str) -> Iterator[None]:
    """Do as ``show_errors`` in a callback, which can't draw: ``show_kept_error`` shows it."""
    try:
        yield
    except DashboardError as error:
        _log(error)
        st.session_state[f"refused-{place}"] = str(error)


def show_kept_error(place: str) -> None:
    """Show the error that ``keep_errors`` kept for this place, once."""
    why = st.session_state.pop(f"refused-{place}", None)
    if why:
        _draw(why)


def _log(error: DashboardError) -> None:
    log.info("Shown to the marketer: %s", error, exc_info=error.__cause__)


def _draw(why: str) -> None:
    st.error(plain(why), icon=":material/error:")


def say(message: str) -> None:
    """Have a short message appear; it survives the rerun that usually follows."""
    st.session_state.setdefault(_SAID, []).append(message)


def show_said() -> None:
    """Let the waiting messages appear."""
    for message in st.session_state.pop(_SAID, []):
        st.toast(plain(message), icon=":material/check_circle:")


def on_script_error(error: Exception) -> bool:
    """Show a sentence instead of a traceback; the log has the traceback."""
    if isinstance(error, DashboardError):
        _log(error)
        _draw(str(error))
        return True
    log.error("A page failed", exc_info=error)
    st.error(
        _("Something unexpected went wrong on this page. Reload it; if it happens again, look in"
          " the log of Capista."),
        icon=":material/error:",
    )  # fmt: skip
    return True
