"""What surrounds every page: navigation, the sidebar, dialogs and messages."""

from pathlib import Path

import streamlit as st

from core.access import Actor, Role
from core.errors import DashboardError
from core.language import _
from pages.components import dialogs, feedback, sign_in, sync_panel, url_state, wiring

BRAND = "/app/static/brand"


def declare_pages(actor: Actor | None) -> st.Page:
    """Tell Streamlit which pages there are and, to who is in, which to choose from."""
    can_edit = actor is not None and actor.may(Role.EDITOR)
    is_admin = actor is not None and actor.may(Role.ADMIN)
    pages = [
        st.Page("offers.py", title=_("Offers"), icon=":material/grid_view:", default=True),
        st.Page("image_manager.py", title=_("Image Manager"), icon=":material/image:"),
        st.Page("notes.py", title=_("Notes"), icon=":material/edit_note:"),
        st.Page(
            "trash.py",
            title=_("Trash"),
            icon=":material/delete:",
            visibility="visible" if can_edit else "hidden",
        ),
        st.Page(
            "settings.py",
            title=_("Settings"),
            icon=":material/settings:",
            visibility="visible" if is_admin else "hidden",
        ),
    ]
    return st.navigation(pages, position="sidebar" if actor else "hidden")


app = wiring.current_app()
st.set_page_config(page_title="Capista", page_icon=f"{BRAND}/icon.png", layout="wide")
st.logo(f"{BRAND}/logo.svg", size="large")
st.html(Path(__file__).parent / "components" / "style.css")

try:
    actor = wiring.current_actor()
except DashboardError as why:
    declare_pages(None)
    sign_in.draw_gate(why)
    st.stop()
page = declare_pages(actor)
st.session_state[url_state.ARRIVED] = st.session_state.get("shown_page") != page.url_path
st.session_state["shown_page"] = page.url_path
if st.session_state[url_state.ARRIVED]:
    dialogs.close()  # a dialog belongs to the page that opened it

with st.sidebar:
    sync_panel.draw(app)
    if app.site.requires_sign_in:
        sign_in.draw_person(actor)
page.run()
dialogs.draw_open_dialog(app)
feedback.show_said()
url_state.forget_choice()
