"""The Image Manager page: all pictures of one offer, chosen by search or by link."""

import streamlit as st

from core import products
from core.access import Role
from core.app import App
from core.database import reading
from core.language import _
from core.models import Product
from core.trash import Kind
from pages.components import image_panel, offer_name, undo, url_state, wiring
from pages.components.feedback import show_errors

_MOST_FOUND = 50


def chosen_product(app: App) -> Product | None:
    """Return the offer named in the address."""
    given = st.query_params.get("product", "")
    if not given:
        return None
    with show_errors(), reading(app.engine) as session:
        return products.get_product(session, url_state.as_number(given) or 0)
    return None


def draw_chooser(app: App, chosen: Product | None) -> None:
    """Draw the search and what it finds; choosing an offer puts it into the address."""
    left, right = st.columns(2)
    with left:
        search = url_state.search_box(
            _("Search"), key="find", placeholder=_("Name or producer"), on_change=lambda: None
        )
    with reading(app.engine) as session:
        found = products.find_products(session, search, limit=_MOST_FOUND)
    by_id = {product.id: product for product in found}
    if chosen:
        by_id.setdefault(chosen.id, chosen)
    ids = list(by_id)
    with right:
        picked = st.selectbox(
            _("Offer"),
            ids,
            index=ids.index(chosen.id) if chosen else None,
            format_func=lambda id_: by_id[id_].name,
            placeholder=_("Choose an offer") if ids else _("No offer matches"),
            key=f"pick-{chosen.id if chosen else 0}-{search}",
        )
    if picked is not None and (chosen is None or picked != chosen.id):
        st.query_params["product"] = str(picked)
        st.rerun()


app = wiring.current_app()
st.title(_("Image Manager"))
product = chosen_product(app)
if wiring.current_actor().may(Role.EDITOR):
    undo.draw(app, Kind.OFFER)
draw_chooser(app, product)
if product is None:
    with reading(app.engine) as session:
        is_empty = not products.find_products(session, "", limit=1)
    st.info(
        _("No offers yet. Press *Sync with Hotmart* in the sidebar to bring them in.")
        if is_empty
        else _("Choose an offer to see its pictures, or press *Manage* on its card.")
    )
else:
    offer_name.draw(product)
    image_panel.draw(app, product)
