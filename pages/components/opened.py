"""Which dialog is open; kept in the session, so that a rerun of the page draws it again."""

import streamlit as st

_KEY = "open_dialog"


def remember(kind: str, product_id: int) -> None:
    """Have this dialog of an offer drawn from the next run on."""
    st.session_state[_KEY] = (kind, product_id)


def forget() -> None:
    """Have no dialog drawn any more."""
    st.session_state.pop(_KEY, None)


def current() -> tuple[str, int] | None:
    """Return which dialog is open, and of which offer."""
    found: tuple[str, int] | None = st.session_state.get(_KEY)
    return found


def rerun_page() -> None:
    """Run the page again, but never under an open dialog: closing it runs the page anyway.

    A run that a fragment starts by itself makes Streamlit 1.67 build an open dialog anew now and
    then, and what is being typed in it would be lost.
    """
    if current() is None:
        st.rerun()


def rerun_here() -> None:
    """Run the open dialog again, or else the page. The dialog stays where it is scrolled to."""
    st.rerun(scope="app" if current() is None else "fragment")
