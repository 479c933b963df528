"""Who may come in, and as what."""

from datetime import UTC, datetime

import streamlit as st

from core import people
from core.access import Actor, Role
from core.app import App
from core.database import reading, transaction
from core.language import _
from core.models import Person
from pages.components import wiring
from pages.components.feedback import say, show_errors
from pages.components.formats import ago, role

_ROLES = [*(role.value for role in Role), people.NO_ACCESS]


def draw(app: App, actor: Actor) -> None:
    """Draw the list of people, and how to change it."""
    if not app.site.requires_sign_in:
        st.info(
            _(
                "Nobody has to sign in: whoever sits at this machine may do everything. To let"
                " others in, each with their own e-mail address, see *Sign-in* in the README."
            )
        )
        return
    with reading(app.engine) as session:
        listed = people.list_people(session, by=actor)
        visitors = [
            (email, last_seen, people.role_of(session, app.settings, email))
            for email, last_seen in people.list_visitors(session, by=actor)
        ]
    _draw_new(app)
    for email in sorted(app.settings.admins):
        st.text(_("{email}: always admin (ADMIN_EMAILS)").format(email=email))
    for person in listed:
        _draw_person(app, person)
    st.subheader(_("Who has signed in"))
    if not visitors:
        st.caption(_("Nobody yet."))
    for email, last_seen, their_role in visitors:
        _draw_visitor(app, email, last_seen, their_role)


def _draw_new(app: App) -> None:
    turn = st.session_state.setdefault("people-added", 0)
    with st.form("new-person"):
        pattern = st.text_input(
            _("E-mail address or domain"),
            key=f"person-pattern-{turn}",
            placeholder=_("ana@example.com, or @example.com for everyone there"),
        )
        wanted = st.selectbox(_("Role"), _ROLES, format_func=role, key="person-role")
        if st.form_submit_button(_("Let in"), key="person-add"):
            with show_errors():
                _set(app, pattern, wanted)
                st.session_state["people-added"] = turn + 1  # a fresh, empty field
                say(_("Done. It holds from the next click on."))
                st.rerun()


def _draw_person(app: App, person: Person) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(person.pattern, width=320)
        key = f"role-of-{person.id}-{person.role}"
        wanted = st.selectbox(
            _("Role of {who}").format(who=person.pattern),  # collapsed: never read as Markdown
            _ROLES,
            index=_ROLES.index(person.role) if person.role in _ROLES else None,
            format_func=role,
            key=key,
            label_visibility="collapsed",
            width=340,
        )
        if wanted is not None and wanted != person.role:
            with show_errors():
                _set(app, person.pattern, wanted)
                say(_("Role changed. It holds from the next click on."))
                st.rerun()
        if st.button(_("Remove"), key=f"remove-person-{person.id}", type="tertiary"):
            with show_errors():
                with transaction(app.engine) as session:
                    people.remove_person(
                        session, person.id or 0, by=wiring.current_actor(), now=_now()
                    )
                st.rerun()


def _draw_visitor(app: App, email: str, last_seen: datetime, their_role: Role | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(email, width=320)
        st.text(f"{role(their_role or people.NO_ACCESS)} · {ago(last_seen)}", width=340)
        if st.button(_("Sign out everywhere"), key=f"sign-out-{email}", type="tertiary"):
            with show_errors():
                with transaction(app.engine) as session:
                    people.sign_out_everywhere(
                        session, email, by=wiring.current_actor(), now=_now()
                    )
                say(_("Signed out on every device."))
                st.rerun()


def _set(app: App, pattern: str, wanted: str) -> None:
    with transaction(app.engine) as session:
        people.set_person(
            session, app.settings, pattern, wanted, by=wiring.current_actor(), now=_now()
        )


def _now() -> datetime:
    return datetime.now(UTC)
