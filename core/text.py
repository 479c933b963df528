"""Text that comes from outside: what may be stored of it, and how it is searched."""

import unicodedata

LONGEST_SEARCH = 200
"""Characters; what follows is not searched for. SQLite refuses patterns without end."""


def storable(text: str) -> str:
    """Return ``text`` as given, but for what no database can hold: NUL and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def fold(text: str) -> str:
    """Return ``text`` without accents and case, for searching."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def like_patterns(search: str) -> list[str]:
    r"""Return a ``LIKE`` pattern (escape ``\``) for each word of ``search``, for a folded text."""
    return [_like_pattern(word) for word in storable(search[:LONGEST_SEARCH]).split()]


def _like_pattern(word: str) -> str:
    escaped = fold(word).replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"
