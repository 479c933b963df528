"""The Notes page: the notes of all offers."""

import streamlit as st

from core import notes, products
from core.access import Role
from core.app import App
from core.database import reading
from core.language import _, plural
from core.trash import Kind
from pages.components import notes_section, undo, url_state, wiring
from pages.components.formats import plain


def draw_new(app: App) -> None:
    """Draw the choice of an offer and the field for a note about it."""
    with st.expander(_("Write a note"), icon=":material/edit:"):
        search = st.text_input(
            _("Find the offer"), key="note-offer-search", placeholder=_("Name or producer")
        )
        with reading(app.engine) as session:
            found = {p.id: p.name for p in products.find_products(session, search)}
        product_id = st.selectbox(
            _("Offer"),
            list(found),
            index=0 if search and found else None,
            format_func=found.__getitem__,
            placeholder=_("Choose an offer"),
            key=f"note-offer-{search}",
        )
        if product_id is not None:
            notes_section.draw_new(app, product_id)


app = wiring.current_app()
st.title(_("Notes"))
with reading(app.engine) as session:
    with_notes = {str(p.id): p.name for p in notes.products_with_notes(session)}
with st.container(horizontal=True, vertical_alignment="bottom"):
    search = url_state.search_box(
        _("Search"),
        key="note_search",
        placeholder=_("Words of the note, or the offer"),
        on_change=lambda: url_state.first_page("note_page"),
    )
    about = url_state.choice(
        _("About"),
        {"": _("All offers")} | with_notes,
        key="note_offer",
        on_change=lambda: url_state.first_page("note_page"),
    )
product_id = int(about) if about else None
can_edit = wiring.current_actor().may(Role.EDITOR)
if can_edit:
    draw_new(app)
    undo.draw(app, Kind.NOTE)
    notes_section.draw_lost_edit(app)
with reading(app.engine) as session:
    total = notes.list_notes(session, product_id=product_id, search=search).total
st.caption(plain(plural("{count} note", "{count} notes", total).format(count=total)))
area = st.container()
page = url_state.page_number(products.page_count(total, notes.PAGE_SIZE), key="note_page")
with area:
    with reading(app.engine) as session:
        found = notes.list_notes(session, product_id=product_id, search=search, page=page)
    if not found.items:
        st.info(
            _("No note matches. Search for other words.")
            if search or about
            else _("No notes yet. Write the first one here, or in an offer's *Manage* dialog.")
        )
    for note, product in found.items:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text(product.name)
            st.page_link(
                "image_manager.py",
                label=_("Pictures"),
                icon=":material/image:",
                query_params={"product": str(product.id)},
            )
        notes_section.draw_note(app, note, can_edit=can_edit)
