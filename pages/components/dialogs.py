"""The dialogs that open over a page.

Which one is open is kept in the session and drawn at the end of each run, so that a rerun of the
page (progress, a fragment) neither closes a dialog nor loses what is being typed in it.
"""

from datetime import UTC, datetime

import streamlit as st

from core import products, trash
from core.app import App
from core.database import reading, transaction
from core.language import _, plural
from core.models import Product
from pages.components import (
    generate_form,
    guarded,
    image_panel,
    notes_section,
    offer_name,
    opened,
    upload_form,
    wiring,
)
from pages.components.feedback import say, show_errors, show_said

EMPTY_TRASH = "empty_trash"
TRASH_SEEN_AT = "trash_seen_at"
"""When the person saw what is in the trash: what others delete meanwhile stays in it."""


def open_dialog(kind: str, product_id: int) -> None:
    """Open the dialog ``regenerate``, ``replace`` or ``manage`` of an offer, or ``EMPTY_TRASH``."""
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
    {
        "regenerate": _regenerate,
        "replace": _replace,
        "manage": _manage,
        EMPTY_TRASH: _empty_trash,
    }[kind](app, product_id)


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


def _empty_trash(app: App, _nothing: int) -> None:
    @st.dialog(_("Empty the trash"), on_dismiss=close)
    def draw() -> None:
        guarded.leave_if_shut_out()
        seen_at = st.session_state[TRASH_SEEN_AT]
        with reading(app.engine) as session:
            leaving = trash.count_leaving(session, app.settings, until=seen_at)
        st.text(_("Deleted for good, and nobody can bring them back:"))
        st.text(_amounts(leaving))
        if leaving.offers:
            st.text(_("With the offers go all their pictures and notes."))
        st.caption(_("What pictures have cost, and who did what, stays on record."))
        with st.container(horizontal=True, gap="xsmall"):
            if st.button(_("Delete for good"), key="empty-trash-now", type="primary"):
                with show_errors():
                    with transaction(app.engine) as session:
                        gone = trash.empty_trash(
                            session,
                            app.settings,
                            until=seen_at,
                            by=wiring.current_actor(),
                            now=datetime.now(UTC),
                        )
                    say(_("Deleted for good: {what}.").format(what=_amounts(gone)))
                    close()
                    st.rerun()
            if st.button(_("Cancel"), key="empty-trash-cancel"):
                close()
                st.rerun()

    draw()


def _amounts(amounts: trash.Amounts) -> str:
    counted = (
        (plural("{count} offer", "{count} offers", amounts.offers), amounts.offers),
        (plural("{count} picture", "{count} pictures", amounts.pictures), amounts.pictures),
        (plural("{count} note", "{count} notes", amounts.notes), amounts.notes),
    )
    return ", ".join(words.format(count=count) for words, count in counted if count)


def _product(app: App, product_id: int) -> Product | None:
    guarded.leave_if_shut_out()  # a dialog runs alone, as a fragment does
    with show_errors():
        with reading(app.engine) as session:
            product = products.get_product(session, product_id)
        offer_name.draw(product)
        return product
    return None
