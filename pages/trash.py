"""The Trash page: what was deleted, to bring it back or to let it go for good."""

from datetime import UTC, datetime

import streamlit as st

from core import images, trash
from core.access import Actor, Role
from core.app import App
from core.database import reading
from core.language import _, plural
from core.trash import Deleted, Kind
from pages.components import undo, url_state, wiring
from pages.components.dialogs import EMPTY_TRASH, TRASH_SEEN_AT, open_dialog
from pages.components.feedback import say, show_errors
from pages.components.formats import ago, method, plain

_KINDS = {Kind.OFFER: _("Offer"), Kind.PICTURE: _("Picture"), Kind.NOTE: _("Note")}


def draw_page(app: App, actor: Actor) -> None:
    """Draw one page of the trash, and the way to empty it."""
    now = datetime.now(UTC)
    with reading(app.engine) as session:
        amounts = trash.count_trash(session)
        staying = amounts.offers - trash.count_leaving(session, app.settings, until=now).offers
    if not amounts.total:
        st.info(_("The trash is empty. Offers, pictures and notes that you delete go here."))
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        count = plural("{count} thing in the trash", "{count} things in the trash", amounts.total)
        st.caption(count.format(count=amounts.total), width="stretch")
        can_empty = actor.may(Role.ADMIN) and amounts.total > staying
        if can_empty and st.button(
            _("Empty trash"), key="empty-trash", icon=":material/delete_forever:"
        ):
            st.session_state[TRASH_SEEN_AT] = now
            open_dialog(EMPTY_TRASH, 0)
    if staying:
        st.caption(
            plural(
                "{count} offer stays here when the trash is emptied: it is still listed, so the"
                " next sync would bring it in as new with a new cover; or its cover is being made.",
                "{count} offers stay here when the trash is emptied: they are still listed, so the"
                " next sync would bring them in as new with new covers; or covers are being made.",
                staying,
            ).format(count=staying)
        )
    area = st.container()
    page = url_state.page_number(amounts.pages, key="trash_page")
    with area:
        with reading(app.engine) as session:
            found = trash.list_trash(session, by=actor, page=page)
        for deleted in found:
            draw_deleted(app, deleted)


def draw_deleted(app: App, deleted: Deleted) -> None:
    """Draw one thing with what tells it from others."""
    kind, row, product = deleted.kind, deleted.row, deleted.product
    with (
        st.container(border=True, key=f"trash-{kind}-{row.id}"),
        st.container(horizontal=True, vertical_alignment="center"),
    ):
        if kind != Kind.NOTE and row.image_url:
            st.image(
                images.thumbnail_url(row.image_url),
                alt=_("Picture of {name}").format(name=product.name),
                width=72,
            )
        with st.container(gap="xxsmall"):
            st.text(product.name)
            facts = [_KINDS[kind]]
            if kind == Kind.PICTURE:
                facts.append(method(row.generation_method))
            facts.append(_("deleted {when}").format(when=ago(row.deleted_at)))
            st.caption(plain(" · ".join(facts)))
            if kind == Kind.NOTE:
                st.text(row.note)
        if deleted.waits_for_its_offer:
            st.caption(_("Its offer is in the trash too. Bring that back first."), width="content")
        elif st.button(_("Bring back"), key=f"restore-{kind}-{row.id}", icon=":material/undo:"):
            with show_errors():
                undo.restore(app, kind, row.id)
                say(_("It is back where it was."))
                st.rerun()


app = wiring.current_app()
st.title(_("Trash"))
with show_errors():
    actor = wiring.current_actor()
    actor.require(Role.EDITOR)
    draw_page(app, actor)
