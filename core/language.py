"""Words for the screen, in the reader's language.

Every text that a person sees passes through ``_``. The language belongs to whoever is being
answered (a browser session, a request), so it is kept in a context variable.
"""

import gettext as _gettext
from contextvars import ContextVar

_english = _gettext.NullTranslations()
_current: ContextVar[_gettext.NullTranslations] = ContextVar("language")


def _(message: str) -> str:
    """Return ``message`` in the reader's language. Insert values with ``.format`` afterwards."""
    return _current.get(_english).gettext(message)


def plural(one: str, many: str, count: int) -> str:
    """Return the form of a sentence that fits ``count``."""
    return _current.get(_english).ngettext(one, many, count)
