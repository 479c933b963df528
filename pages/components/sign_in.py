"""Signing in with OpenID Connect, by Streamlit's own ``st.login``. Off until it is set up."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.web.server.starlette.starlette_auth_routes import _get_cookie_value_from_request
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from core import people
from core.access import Actor, Role
from core.database import transaction
from core.errors import DashboardError, ForbiddenError, SettingsError
from core.language import _
from core.site import Site
from pages.components import wiring
from pages.components.formats import plain

_SHARED = ("redirect_uri", "cookie_secret")
_OWN = ("client_id", "client_secret", "server_metadata_url")
_SHORTEST_SECRET = 32
_DEFAULT = ""
_checked: dict[str, Any] | None = None
"""The section [auth] that was found sound at the start. Streamlit reads the file anew while it
runs; another secret, a bad one above all, must not come into force unchecked."""


def read_site() -> Site:
    """Return how this server is reached, by Streamlit's configuration and secrets.

    :raises SettingsError: if sign-in is set up but would not work
    """
    names = set(st.get_option("server.allowedHosts"))
    address = str(st.get_option("server.address") or "")
    auth = _auth_section()
    if address:
        names.add(address)
    if auth is None:
        return Site(address, frozenset(names))
    global _checked
    redirect, _checked = _check(auth), auth
    names.add(redirect.hostname or "")
    return Site(
        address, frozenset(names), requires_sign_in=True, is_https=redirect.scheme == "https"
    )


def identify() -> Actor:
    """Return who is signed in, with the role they have at this moment.

    :raises DashboardError: as ``people.identify``
    """
    return _identify(st.user.to_dict())


def _identify(claims: Mapping[str, Any]) -> Actor:
    if _auth_section() != _checked:
        raise SettingsError(
            _("The sign-in was set up anew. Whoever administers Capista has to start it again.")
        )
    app = wiring.current_app()
    return people.identify(app.engine, app.settings, claims, now=datetime.now(UTC))


class Doors:
    """Asks who is there at Streamlit's own doors beside the pages, which ask nobody.

    An upload needs somebody who may upload: what is sent is kept in memory. Whoever leaves by
    Streamlit's address for signing out has left in every tab.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] == "http" and wiring.current_app().site.requires_sign_in:
            path, request = scope["path"], Request(scope)
            if "/_stcore/upload_file" in path and scope["method"] not in ("GET", "OPTIONS"):
                try:
                    actor = await run_in_threadpool(lambda: _identify(_claims_of(request)))
                    actor.require(Role.EDITOR)
                except DashboardError as error:
                    await PlainTextResponse(str(error), 403)(scope, receive, send)
                    return
            elif path.endswith("/auth/logout"):
                await run_in_threadpool(lambda: _end(_claims_of(request)))
        await self._app(scope, receive, send)


def _claims_of(request: Request) -> dict[str, Any]:
    """Return what the sign-in cookie of a request says, as Streamlit reads it for a page."""
    value = _get_cookie_value_from_request(request, USER_COOKIE_NAME)
    try:
        claims = json.loads(value or b"{}")
    except ValueError:
        claims = {}
    return claims if isinstance(claims, dict) else {}


def draw_gate(why: DashboardError) -> None:
    """Draw all that somebody sees who is not in: why, and how to get in."""
    st.space("large")
    with st.container(horizontal_alignment="center"), st.container(width=420, border=True):
        if isinstance(why, ForbiddenError):
            st.warning(plain(str(why)), icon=":material/lock:")
            st.button(_("Use another account"), key="leave", on_click=_leave, width="stretch")
            return
        st.text(str(why))
        if isinstance(why, SettingsError):
            return
        for name in _providers():
            st.button(
                _("Sign in with {provider}").format(provider=plain(name.capitalize()))
                if name
                else _("Sign in"),
                key=f"sign-in-{name}",
                type="primary",
                width="stretch",
                on_click=st.login,
                args=[name or None],
            )


def draw_person(actor: Actor) -> None:
    """Draw who is signed in, and the ways out."""
    with st.popover(plain(actor.name), icon=":material/account_circle:", width="stretch"):
        st.caption(_("Role: {role}").format(role=actor.role.value))
        st.button(_("Sign out"), key="sign-out", on_click=_leave, width="stretch")
        st.button(
            _("Sign out everywhere"),
            key="sign-out-everywhere",
            on_click=_leave_everywhere,
            width="stretch",
            help=_("On every device and in every browser where you are signed in."),
        )


def _leave() -> None:
    """Sign out here: the cookie goes, and other tabs that came with it are shut as well."""
    _end(st.user.to_dict())
    st.logout()


def _end(claims: Mapping[str, Any]) -> None:
    with suppress(DashboardError), transaction(wiring.current_app().engine) as session:
        people.sign_out(session, claims, now=datetime.now(UTC))


def _leave_everywhere() -> None:
    with suppress(DashboardError):
        actor = wiring.current_actor()
        with transaction(wiring.current_app().engine) as session:
            people.sign_out_everywhere(session, actor.name, by=actor, now=datetime.now(UTC))
    st.logout()


def _auth_section() -> dict[str, Any] | None:
    files = [path for path in st.get_option("secrets.files") if Path(path).exists()]
    if files and not _can_be_read():
        # Streamlit would go on as if there were none, and let everyone in.
        raise SettingsError(
            _(
                "{files} can't be read. Correct it: a text file (UTF-8), each value in quotes."
            ).format(files=", ".join(files))
        )
    if not files or "auth" not in st.secrets:
        return None
    section = st.secrets["auth"]
    return dict(section) if hasattr(section, "keys") else {}


def _can_be_read() -> bool:
    try:
        return bool(st.secrets.load_if_toml_exists())
    except (OSError, UnicodeError):
        return False


def _providers(auth: dict[str, Any] | None = None) -> list[str]:
    """Return the names of the sign-in services; an empty one is the service without a name."""
    auth = auth if auth is not None else _auth_section() or {}
    named = [name for name, value in auth.items() if hasattr(value, "keys")]
    return [*([_DEFAULT] if "client_id" in auth else []), *filter("client_kwargs".__ne__, named)]


def _check(auth: dict[str, Any]) -> SplitResult:
    """Return the address that sign-in services send people back to."""
    sections = [(name, auth[name] if name else auth) for name in _providers(auth)]
    missing = [name for name in _SHARED if not auth.get(name)] + [
        f"{name}.{key}" if name else key
        for name, section in sections or [(_DEFAULT, auth)]
        for key in _OWN
        if not section.get(key)
    ]
    if missing:
        raise SettingsError(
            _(
                "The section [auth] of .streamlit/secrets.toml lacks {missing}. Add it, or take the"
                " section out to work without sign-in."
            ).format(missing=", ".join(missing))
        )
    if len(str(auth["cookie_secret"])) < _SHORTEST_SECRET:
        raise SettingsError(
            _(
                "cookie_secret in .streamlit/secrets.toml is too short to be safe: give it at least"
                " {least} random characters. The README has a command that makes them."
            ).format(least=_SHORTEST_SECRET)
        )
    try:
        redirect = urlsplit(str(auth["redirect_uri"]).replace("{port}", "8501"))
        is_whole = redirect.scheme in ("http", "https") and redirect.hostname and redirect.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or not redirect.path.endswith("/oauth2callback"):
        raise SettingsError(
            _(
                "redirect_uri in .streamlit/secrets.toml must be a whole address that ends in"
                " /oauth2callback, as in https://capista.example.com/oauth2callback."
            )
        )
    return redirect
