"""Bringing things back from the trash: at once, or from its page."""

from datetime import UTC, datetime

import streamlit as st

from core import images, notes, products
from core.app import App
from core.database import transaction
from core.language import _
from core.trash import Kind
from pages.components import opened, wiring
from pages.components.feedback import show_errors

_LAST = "deleted_last"
_RESTORE = {
    Kind.OFFER: products.restore_product,
    Kind.PICTURE: images.restore_image,
    Kind.NOTE: notes.restore_note,
}


def remember(kind: Kind, id_: int, product_id: int) -> None:
    """Have the next run offer to bring back what was deleted just now."""
    st.session_state[_LAST] = (kind, id_, product_id)


def draw(app: App, kind: Kind, *, product_id: int | None = None) -> None:
    """Offer to bring back what was deleted last, if it was of this kind and of this offer."""
    place = st.container()  # always: what follows keeps its place, and nothing of it shines through
    last, id_, about = st.session_state.get(_LAST, (None, 0, 0))
    if last != kind or product_id not in (None, about):
        return
    said = {
        Kind.OFFER: _("The offer is in the trash."),
        Kind.PICTURE: _("The picture is in the trash."),
        Kind.NOTE: _("The note is in the trash."),
    }
    with place.container(horizontal=True, vertical_alignment="center", border=True):
        st.text(said[kind])
        if st.button(_("Undo"), key="undo-delete", icon=":material/undo:"):
            with show_errors():
                restore(app, kind, id_)
                opened.rerun_here()


def restore(app: App, kind: Kind, id_: int) -> None:
    """Bring a thing back.

    :raises DashboardError: if it can't be, or not by whoever looks
    """
    if st.session_state.get(_LAST, (None, 0))[:2] == (kind, id_):
        del st.session_state[_LAST]
    with transaction(app.engine) as session:
        _RESTORE[kind](session, id_, by=wiring.current_actor(), now=datetime.now(UTC))
