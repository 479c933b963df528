"""Tokens with which other programs call the API."""

from datetime import UTC, datetime, timedelta

import streamlit as st

from core import tokens
from core.access import Actor, Role
from core.app import App
from core.database import reading, transaction
from core.language import _
from core.models import ApiToken
from pages.components import url_state, wiring
from pages.components.feedback import show_errors
from pages.components.formats import ago, moment, person, role

_SECRET = "token_just_created"


def draw(app: App, actor: Actor) -> None:
    """Draw the form for a new token, and the list of all."""
    if st.session_state.get(url_state.ARRIVED):
        st.session_state.pop(_SECRET, None)
    _draw_new(app)
    _draw_secret()
    with reading(app.engine) as session:
        found = tokens.list_tokens(session, by=actor)
    if not found:
        st.caption(_("No tokens yet. A program that calls the API needs one."))
    for token in found:
        _draw_token(app, token)


def _draw_new(app: App) -> None:
    with st.form("new-token", clear_on_submit=True):
        name = st.text_input(
            _("What it is for"),
            key="token-name",
            max_chars=tokens.LONGEST_NAME,
            placeholder=_("The program's name"),
        )
        left, right = st.columns(2)
        wanted = left.selectbox(
            _("Role"), [r.value for r in Role], format_func=role, key="token-role"
        )
        ends = {
            0: _("Never"),
            30: _("After 30 days"),
            90: _("After 90 days"),
            365: _("After a year"),
        }
        days = right.selectbox(
            _("Ends"), list(ends), format_func=ends.__getitem__, key="token-days"
        )
        if st.form_submit_button(_("Create token"), key="token-create"):
            with show_errors():
                now = datetime.now(UTC)
                with transaction(app.engine) as session:
                    _token, secret = tokens.create_token(
                        session,
                        name=name,
                        role=Role(wanted),
                        by=wiring.current_actor(),
                        now=now,
                        expires_at=now + timedelta(days=days) if days else None,
                    )
                st.session_state[_SECRET] = secret


def _draw_secret() -> None:
    secret = st.session_state.get(_SECRET)
    if secret is None:
        return
    with st.container(border=True):
        st.warning(_("This is the token. Copy it now: it is not kept and can't be shown again."))
        st.code(secret, language=None)
        if st.button(_("I have copied it"), key="token-copied"):
            del st.session_state[_SECRET]
            st.rerun()


def _draw_token(app: App, token: ApiToken) -> None:
    now = datetime.now(UTC)
    if token.revoked_at:
        state = _("revoked")
    elif token.expires_at:
        is_over = token.expires_at <= now
        state = (_("ended {when}") if is_over else _("ends {when}")).format(
            when=moment(token.expires_at)
        )
    else:
        state = _("has no end")
    used = (
        _("last used {when}").format(when=ago(token.last_used_at))
        if token.last_used_at
        else _("never used")
    )
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.text(f"{token.id}. {token.name}\n{role(token.role)}", width=340)
        st.text(f"{used}, {state}\n{_('by')} {person(token.created_by)}", width="stretch")
        if token.revoked_at:
            return
        with st.popover(_("Revoke"), key=f"revoking-{token.id}"):
            st.text(_("The program that uses it gets in no longer. This can't be undone."))
            if st.button(_("Revoke it"), key=f"revoke-token-{token.id}", type="primary"):
                with show_errors():
                    with transaction(app.engine) as session:
                        tokens.revoke_token(
                            session, token.id or 0, by=wiring.current_actor(), now=now
                        )
                    st.rerun()
