"""Parts of a page that run alone, and so have to ask by themselves who is looking."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.errors import DashboardError
from pages.components import wiring
from pages.components.feedback import show_errors


def fragment(draw: Callable[..., None], *, run_every: float | None = None) -> Callable[..., None]:
    """Return ``draw`` as ``st.fragment`` does, for people who may still come in."""

    @st.fragment(run_every=run_every)
    def guarded(*given: Any) -> None:
        leave_if_shut_out()
        with show_errors():  # an offer may go into the trash while somebody looks at it
            draw(*given)

    return guarded


def leave_if_shut_out() -> None:
    """Run the whole page anew if whoever looks may no longer; its frame says why."""
    try:
        wiring.current_actor()
    except DashboardError:
        st.rerun()
