"""Scrolling, which no native element can do."""

import streamlit as st

TO_THE_TOP = (
    """<script>document.querySelector('[data-testid="stMain"]').scrollTo({top: 0})</script>"""
)
"""The content policy lets just this script run; ``dashboard.py`` tells it so."""


def begin_at_the_top(page: int) -> None:
    """Scroll up after a change of a list's page."""
    if st.session_state.get("drawn_page", page) != page:
        # The number makes it another element each time, so that the browser runs it again.
        st.html(f"<i hidden>{page}</i>{TO_THE_TOP}", unsafe_allow_javascript=True)
    st.session_state["drawn_page"] = page
