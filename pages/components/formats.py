"""How values look on the screen."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from math import ceil

from babel.dates import format_date, format_time, format_timedelta
from babel.numbers import format_currency, format_decimal

from core.access import Role
from core.activity import Action
from core.language import _
from core.ledger import CallState
from core.models import Method, Origin

LOCALE = "en"
"""The languages of the screen come with their catalogues."""


def money(amount: Decimal | None, currency: str | None) -> str:
    """Return a price as people write it; empty when there is none."""
    if amount is None:
        return ""
    if currency is None:
        return str(format_decimal(amount, locale=LOCALE))
    return str(format_currency(amount, currency, locale=LOCALE))


def dollars(amount: Decimal) -> str:
    """Return what pictures cost; small amounts keep the digits that matter."""
    digits = "0.00" if amount >= 1 or amount == 0 else "0.000"
    return f"US$ {format_decimal(amount, format=digits, locale=LOCALE)}"


def moment(time: datetime) -> str:
    """Return a date and time."""
    return (
        f"{format_date(time, 'medium', locale=LOCALE)}, {format_time(time, 'short', locale=LOCALE)}"
    )


def ago(time: datetime) -> str:
    """Return how long ago something was."""
    return str(format_timedelta(time - datetime.now(UTC), add_direction=True, locale=LOCALE))


def seconds_until(time: datetime | None) -> int:
    """Return the seconds that are left until a moment; 0 when it is past or there is none."""
    return max(0, ceil((time - datetime.now(UTC)).total_seconds())) if time else 0


def busy(waits_until: datetime | None) -> str:
    """Return what a cover waits for; nothing while it doesn't wait."""
    if not (left := seconds_until(waits_until)):
        return ""
    return _("The image service is busy; trying again in {seconds} s").format(seconds=left)


def method(name: str) -> str:
    """Return how a picture came to be, in words."""
    return {
        Method.AI_GENERATED: _("AI cover"),
        Method.AI_EDITED: _("AI edit"),
        Method.MANUAL_UPLOAD: _("Upload"),
        Method.TEMPLATE: _("Built-in cover"),
        Method.REVERTED: _("Restored"),
    }.get(Method(name), name)


def origin(name: str) -> str:
    """Return where an offer came from, in words."""
    return {
        Origin.CREATED: _("Created by me"),
        Origin.PROMOTED: _("Promoted"),
        Origin.IMPORTED: _("Imported"),
        Origin.MANUAL: _("Typed in"),
        Origin.SAMPLE: _("Sample"),
    }.get(Origin(name), name)


def status(name: str) -> str:
    """Return Hotmart's status of a product in words; one that we don't know as it is."""
    known = {
        "ACTIVE": _("Active"),
        "PAUSED": _("Paused"),
        "DRAFT": _("Draft"),
        "NOT_APPROVED": _("Not approved"),
        "IN_REVIEW": _("In review"),
        "DELETED": _("Deleted"),
        "CHANGES_PENDING_ON_PRODUCT": _("Changes pending"),
        "ARCHIVED": _("No longer listed"),
    }
    return known.get(name, name.replace("_", " ").capitalize())


def person(name: str | None) -> str:
    """Return who did something."""
    known = {
        "local": _("You"),
        "sync": _("Automatic"),
        "upkeep": _("Automatic"),
        "command": _("Command line"),
    }
    return known.get(name or "local", str(name))


def role(name: str) -> str:
    """Return what somebody may do, in words."""
    known = {
        Role.VIEWER: _("Viewer: looks and downloads"),
        Role.EDITOR: _("Editor: changes pictures and notes, syncs"),
        Role.ADMIN: _("Admin: settings, tokens, people"),
    }
    return known[Role(name)] if name in set(Role) else _("No access")


def call_state(name: str) -> str:
    """Return what became of a paid call, in words."""
    return {
        CallState.ASKED: _("under way"),
        CallState.CHARGED: _("charged"),
        CallState.UNKNOWN: _("maybe billed"),
        CallState.FREE: _("refused, free"),
    }.get(CallState(name), name)


def action(name: str) -> str:
    """Return what somebody did, in words."""
    return {
        Action.SYNC_STARTED: _("started a sync"),
        Action.COVER_ORDERED: _("ordered a cover"),
        Action.COVERS_ORDERED: _("ordered first covers"),
        Action.IMAGE_REPLACED: _("replaced a picture"),
        Action.IMAGE_REVERTED: _("went back to a picture"),
        Action.IMAGE_DELETED: _("deleted a picture"),
        Action.IMAGE_RESTORED: _("brought a picture back"),
        Action.PICTURES_CHECKED: _("had all pictures checked"),
        Action.ORPHANS_REMOVED: _("removed picture files that nothing uses"),
        Action.PRODUCT_ADDED: _("added an offer"),
        Action.PRODUCT_CHANGED: _("changed an offer"),
        Action.PRODUCT_DELETED: _("deleted an offer"),
        Action.PRODUCT_RESTORED: _("brought an offer back"),
        Action.SAMPLES_ARCHIVED: _("put the samples away"),
        Action.NOTE_ADDED: _("wrote a note"),
        Action.NOTE_CHANGED: _("changed a note"),
        Action.NOTE_PINNED: _("pinned a note"),
        Action.NOTE_UNPINNED: _("unpinned a note"),
        Action.NOTE_DELETED: _("deleted a note"),
        Action.NOTE_RESTORED: _("brought a note back"),
        Action.TRASH_EMPTIED: _("emptied the trash"),
        Action.TOKEN_CREATED: _("created a token"),
        Action.TOKEN_REVOKED: _("revoked a token"),
        Action.PERSON_ADDED: _("let somebody in"),
        Action.PERSON_CHANGED: _("changed a role"),
        Action.PERSON_REMOVED: _("took somebody off the list"),
        Action.SIGNED_OUT_EVERYWHERE: _("signed somebody out everywhere"),
    }.get(Action(name), name)


_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_INDENT = re.compile(r"^[^\S\n]+", re.MULTILINE)
_JOINTS = re.compile(
    r"(?<=:)(?=[\w+/-]+[:\[])"  # :smile: :red[…] :material/home:
    r"|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=@)"  # addresses
    r"|(?<=[<>~=-])(?=[<>~=-])",  # arrows
    re.IGNORECASE,
)
_WORD_JOINER = "\u2060"


def plain(text: str) -> str:
    """Return ``text`` so that a Markdown label or message shows it as it is.

    Backslashes keep Markdown off. Streamlit makes icons, colours, links and arrows of what is
    left after those are taken away, so an invisible joiner stands where one could begin. Blanks
    at the beginning of a line, which nobody would see, go: four of them would make code of it.
    """
    joined = _JOINTS.sub(_WORD_JOINER, _INDENT.sub("", text))
    return _PUNCTUATION.sub(r"\\\1", joined).replace("\n", "  \n")
