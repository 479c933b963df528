"""The Settings page, for admins: connections, people, tokens, money, what was done."""

import platform
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from urllib.parse import urlsplit

import streamlit as st

from core import activity, ledger
from core.access import Actor, Role
from core.activity import Action
from core.app import App
from core.database import describe, reading
from core.language import _
from pages.components import check_section, people_section, tokens_section, wiring
from pages.components.feedback import show_errors
from pages.components.formats import action, call_state, dollars, moment, person, plain

_TELLING = {
    Action.COVERS_ORDERED,
    Action.PRODUCT_DELETED,
    Action.TRASH_EMPTIED,
    Action.TOKEN_CREATED,
    Action.TOKEN_REVOKED,
    Action.PERSON_ADDED,
    Action.PERSON_CHANGED,
    Action.PERSON_REMOVED,
    Action.SIGNED_OUT_EVERYWHERE,
}
"""Whose detail says something to people."""


def draw_connections(app: App) -> None:
    """Draw what is connected, and the tests of it. Secrets are shown as set or not set."""
    settings = app.settings
    st.caption(_("Settings are changed in the file `.env`; start Capista again afterwards."))
    left, right = st.columns(2)
    with left, st.container(border=True, height="stretch"):
        st.subheader(_("Hotmart"))
        draw_facts(
            {
                "HOTMART_CLIENT_ID": is_set(settings.hotmart_client_id),
                "HOTMART_CLIENT_SECRET": is_set(settings.hotmart_client_secret),
                "HOTMART_BASIC": (
                    _("made from the other two")
                    if settings.hotmart_is_connected and not settings.hotmart_basic
                    else is_set(settings.hotmart_basic)
                ),
                "HOTMART_HOTTOK": is_set(settings.hotmart_hottok),
                _("Schedule"): settings.sync_schedule or _("none"),
            }
        )
        draw_test("hotmart", _("Test Hotmart"), app.check_hotmart)
    with right, st.container(border=True, height="stretch"):
        st.subheader(_("Image service"))
        budget = settings.monthly_budget_usd
        host = urlsplit(settings.openai_base_url or "https://api.openai.com").hostname
        draw_facts(
            {
                "OPENAI_API_KEY": is_set(settings.openai_api_key),
                _("Server"): host or "",
                _("Model"): settings.image_model,
                _("Quality and size"): f"{settings.image_quality}, {settings.image_size}",
                _("Budget a month"): _("no limit") if budget is None else dollars(budget),
            }
        )
        draw_test("images", _("Test the image service"), app.check_images)


def draw_facts(facts: dict[str, str]) -> None:
    """Draw names with their values."""
    st.text("\n".join(f"{name}: {value}" for name, value in facts.items()))


def draw_test(key: str, label: str, check: Callable[..., str]) -> None:
    """Draw the button that asks a service whether it can be used. It costs nothing."""
    told = f"tested-{key}"
    if st.button(label, key=f"test-{key}", icon=":material/network_check:"):
        st.session_state.pop(told, None)
        with show_errors(), st.spinner(_("Asking …")):
            st.session_state[told] = check(by=wiring.current_actor())
    if told in st.session_state:
        st.success(plain(st.session_state[told]))


def is_set(value: object) -> str:
    """Return whether there is a value, and never the value."""
    return _("set") if value else _("not set")


def draw_spend(app: App, actor: Actor) -> None:
    """Draw what this month's pictures cost, and the newest paid calls."""
    month = ledger.month_start(datetime.now(UTC))
    with reading(app.engine) as session:
        spending = ledger.spending_since(session, month)
        calls = ledger.list_calls(session, by=actor)
    draw_facts(
        {
            _("Charged this month"): dollars(spending.charged),
            _("Maybe billed (no picture came back)"): dollars(spending.unknown),
            _("Under way"): dollars(spending.under_way),
        }
    )
    if not calls:
        st.info(_("No picture was paid for yet."))
        return
    lines = []
    for call in calls:
        amount = call.cost_usd if call.cost_usd is not None else call.estimated_usd
        price = dollars(amount) if amount is not None else _("price not known")
        lines.append(
            f"{moment(call.asked_at)} · {call_state(call.state)} · {price} · {call.model} · "
            + _("offer {id}").format(id=call.product_id)
            + f" · {person(call.asked_by)}"
        )
    st.text("\n".join(lines))


def draw_activity(app: App, actor: Actor) -> None:
    """Draw what was done last."""
    with reading(app.engine) as session:
        found = activity.list_activity(session, by=actor)
    if not found:
        st.info(_("Nothing was done yet. What people and programs change is listed here."))
        return
    lines = []
    for row, offer in found:
        detail = offer or (row.detail if row.action in _TELLING else "")
        about = f": {detail}" if detail else ""
        lines.append(f"{moment(row.at)} · {person(row.actor)} {action(row.action)}{about}")
    st.text("\n".join(lines))


def draw_installation(app: App, actor: Actor) -> None:
    """Draw where data lies, whether it is whole, and what Capista is built on."""
    st.subheader(_("Where data lies"))
    draw_facts(
        {
            _("Folder"): str(app.settings.data_dir.resolve()),
            _("Database"): describe(app.engine),
            _("Pictures"): app.settings.pictures,
        }
    )
    check_section.draw(app, actor)
    st.subheader(_("Versions"))
    parts = ("streamlit", "sqlmodel", "dbos", "openai", "pillow", "fastapi")
    draw_facts({"python": platform.python_version()} | {name: version(name) for name in parts})


app = wiring.current_app()
st.title(_("Settings"))
with show_errors():
    actor = wiring.current_actor()
    actor.require(Role.ADMIN)
    connections, people, tokens, spend, done, installation = st.tabs(
        [
            _("Connections"),
            _("People"),
            _("Tokens"),
            _("Spend"),
            _("Activity"),
            _("Installation"),
        ]
    )
    with connections:
        draw_connections(app)
    with people:
        people_section.draw(app, actor)
    with tokens:
        tokens_section.draw(app, actor)
    with spend:
        draw_spend(app, actor)
    with done:
        draw_activity(app, actor)
    with installation:
        draw_installation(app, actor)
