"""How values look on the screen."""

import re
from datetime import UTC, datetime
from decimal import Decimal

from babel.dates import format_date, format_time, format_timedelta
from babel.numbers import format_currency, format_decimal

from core.language import _
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
    if name == "sync":
        return _("Automatic")
    return _("You") if name in (None, "local") else str(name)


_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_DIRECTIVE = re.compile(r":(?=[\w+/-]+[:\[])")
_WORD_JOINER = "\u2060"


def plain(text: str) -> str:
    """Return ``text`` so that a Markdown label or message shows it as it is.

    Backslashes keep Markdown off. Streamlit reads ``:name:`` and ``:red[…]`` after those are
    taken away, so an invisible joiner follows the colon where one could begin.
    """
    joined = _DIRECTIVE.sub(f":{_WORD_JOINER}", text)
    return _PUNCTUATION.sub(r"\\\1", joined).replace("\n", "  \n")


def without_pictures(markdown: str) -> str:
    """Return a note's Markdown with its picture marks defused, so that it calls no other host."""
    return markdown.replace("![", "!\\[")
