"""Notes: writing, changing, pinning, deleting and bringing back."""

from datetime import UTC, datetime

import streamlit as st

from core import notes
from core.access import Role
from core.app import App
from core.database import reading, transaction
from core.language import _
from core.models import Product, ProductNote
from core.trash import Kind
from pages.components import opened, undo, wiring
from pages.components.feedback import keep_errors, say, show_errors, show_kept_error
from pages.components.formats import moment, person, plain

_EDITED = "edited_note"


def draw(app: App, product: Product) -> None:
    """Draw the notes of one offer, with the field for a new one."""
    can_edit = wiring.current_actor().may(Role.EDITOR)
    if can_edit:
        draw_new(app, product.id or 0)
        undo.draw(app, Kind.NOTE, product_id=product.id)
    with reading(app.engine) as session:
        found = notes.list_notes(session, product_id=product.id)
    if can_edit:
        draw_lost_edit(app, product_id=product.id)
    if not found.items:
        st.caption(
            _("No notes yet. Write down what works for this offer.")
            if can_edit
            else _("No notes yet.")
        )
    for note, _product in found.items:
        draw_note(app, note, can_edit=can_edit)


def draw_new(app: App, product_id: int) -> None:
    """Draw the field for a new note."""
    turn = st.session_state.setdefault(f"notes-written-{product_id}", 0)
    st.text_area(
        _("New note"),
        key=f"new-note-{product_id}-{turn}",
        height=100,
        max_chars=notes.LONGEST_NOTE,
    )
    # A callback, because it is called although the dialog was closed in the same moment.
    st.button(
        _("Add note"),
        key=f"add-note-{product_id}",
        icon=":material/add:",
        on_click=_add,
        args=[app, product_id, turn],
    )
    show_kept_error(f"new-note-{product_id}")


def _add(app: App, product_id: int, turn: int) -> None:
    with keep_errors(f"new-note-{product_id}"):
        text = st.session_state.get(f"new-note-{product_id}-{turn}", "")
        by = wiring.current_actor()
        with transaction(app.engine) as session:
            notes.add_note(session, product_id, text=text, by=by, now=_now())
        st.session_state[f"notes-written-{product_id}"] = turn + 1  # a fresh, empty field
        say(_("The note was added."))


def draw_lost_edit(app: App, *, product_id: int | None = None) -> None:
    """Keep what is being written about a note that was deleted elsewhere meanwhile."""
    note_id, about, _last_seen = st.session_state.get(_EDITED, (None, None, None))
    if note_id is None or product_id not in (None, about):
        return
    with reading(app.engine) as session:
        if not notes.is_deleted(session, note_id):
            return
    text = st.session_state.get(f"text-{note_id}", "")
    with st.container(border=True):
        st.warning(_("The note you are editing was deleted elsewhere. Your text is still here."))
        kept = st.text_area(_("Note"), text, key=f"kept-{note_id}", height=160)
        st.session_state[f"text-{note_id}"] = kept  # for the editor, if the note comes back
        with st.container(horizontal=True, gap="xsmall"):
            if st.button(_("Bring it back with this text"), key=f"revive-{note_id}"):
                with show_errors():
                    by, now = wiring.current_actor(), _now()
                    with transaction(app.engine) as session:
                        notes.restore_note(session, note_id, by=by, now=now)
                        notes.edit_note(session, note_id, text=kept, by=by, now=now)
                    del st.session_state[_EDITED]
                    opened.rerun_here()
            if st.button(_("Cancel"), key=f"let-go-{note_id}"):
                del st.session_state[_EDITED]
                opened.rerun_here()


def draw_note(app: App, note: ProductNote, *, can_edit: bool) -> None:
    """Draw one note, with its buttons for those who may use them."""
    with st.container(border=True, key=f"note-{note.id}", gap="xsmall"):
        if can_edit and st.session_state.get(_EDITED, (None,))[0] == note.id:
            _draw_editor(app, note)
            return
        st.text(note.note)
        changed = _(" · changed {when}").format(when=moment(note.updated_at))
        st.caption(
            plain(
                f"{person(note.author)} · {moment(note.created_at)}"
                + (changed if note.updated_at != note.created_at else "")
            )
        )
        if not can_edit:
            return
        with st.container(horizontal=True, gap="xsmall"):
            if st.button(_("Edit"), key=f"edit-{note.id}", type="tertiary"):
                st.session_state[_EDITED] = (note.id, note.product_id, note.updated_at)
                opened.rerun_here()
            label = _("Unpin") if note.pinned else _("Pin")
            if st.button(label, key=f"pin-{note.id}", type="tertiary", icon=":material/push_pin:"):
                with show_errors():
                    with transaction(app.engine) as session:
                        notes.pin_note(
                            session,
                            note.id or 0,
                            pinned=not note.pinned,
                            by=wiring.current_actor(),
                            now=_now(),
                        )
                    opened.rerun_here()
            if st.button(_("Delete"), key=f"delete-{note.id}", type="tertiary"):
                with show_errors():
                    with transaction(app.engine) as session:
                        notes.delete_note(
                            session, note.id or 0, by=wiring.current_actor(), now=_now()
                        )
                    undo.remember(Kind.NOTE, note.id or 0, note.product_id)
                    opened.rerun_here()


def _draw_editor(app: App, note: ProductNote) -> None:
    st.text_area(
        _("Note"), note.note, key=f"text-{note.id}", height=160, max_chars=notes.LONGEST_NOTE
    )
    show_kept_error(f"text-{note.id}")
    with st.container(horizontal=True, gap="xsmall"):
        st.button(
            _("Save note"),
            key=f"save-{note.id}",
            type="primary",
            on_click=_save,
            args=[app, note.id],
        )
        if st.button(_("Cancel"), key=f"cancel-{note.id}"):
            del st.session_state[_EDITED]
            opened.rerun_here()


def _save(app: App, note_id: int) -> None:
    edited, text = st.session_state.get(_EDITED), st.session_state.get(f"text-{note_id}")
    if edited is None or edited[0] != note_id or text is None:
        return  # a second click: the first has saved it
    with keep_errors(f"text-{note_id}"):
        by, last_seen = wiring.current_actor(), edited[2]
        with transaction(app.engine) as session:
            notes.edit_note(session, note_id, text=text, by=by, now=_now(), last_seen=last_seen)
        del st.session_state[_EDITED]


def _now() -> datetime:
    return datetime.now(UTC)
