"""The dialogs that open over a page.

Which one is open is kept in the session and drawn at the end of each run, so that a rerun of the
page (progress, a fragment) neither closes a dialog nor loses what is being typed in it.
"""

import streamlit as st

from core import products
from core.app import App
from core.database import reading
from core.language import _
from core.models import Product
from pages.components import (
    generate_form,
    guarded,
    image_panel,
    notes_section,
    offer_name,
    opened,
    upload_form,
)
from pages.components.feedback import show_errors, show_said


def open_dialog(kind: str, product_id: int) -> None:
    """Open the dialog ``regenerate``, ``replace`` or ``manage`` of an offer."""
    opened.remember(kind, product_id)
    st.rerun()


def close() -> None:
    """Close the dialog that is open."""
    opened.forget()


def draw_open_dialog(app: App) -> None:
    """Draw the dialog that is open, if one is."""
    found = opened.current()
    if found is None:
        return
    kind, product_id = found
    {"regenerate": _regenerate, "replace": _replace, "manage": _manage}[kind](app, product_id)


def _regenerate(app: App, product_id: int) -> None:
    @st.dialog(_("Regenerate the cover"), on_dismiss=close)
    def draw() -> None:
        product = _product(app, product_id)
        if product and generate_form.draw(app, product):
            close()
            st.rerun()

    draw()


def _replace(app: App, product_id: int) -> None:
    @st.dialog(_("Replace the image"), on_dismiss=close)
    def draw() -> None:
        product = _product(app, product_id)
        if product and upload_form.draw(app, product):
            close()
            st.rerun()

    draw()


def _manage(app: App, product_id: int) -> None:
    @st.dialog(_("Manage the offer"), width="large", on_dismiss=close)
    def draw() -> None:
        product = _product(app, product_id)
        if product is None:
            return
        image_panel.draw(app, product)
        st.subheader(_("Notes"))
        notes_section.draw(app, product)
        show_said()

    draw()


def _product(app: App, product_id: int) -> Product | None:
    guarded.leave_if_shut_out()  # a dialog runs alone, as a fragment does
    with show_errors():
        with reading(app.engine) as session:
            product = products.get_product(session, product_id)
        offer_name.draw(product)
        return product
    return None
