"""Text that comes from outside: what may be stored of it, and how it is searched."""

import unicodedata


def storable(text: str) -> str:
    """Return ``text`` as given, but for what no database can hold: NUL and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def fold(text: str) -> str:
    """Return ``text`` without accents and case, for searching."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def like_pattern(search: str) -> str:
    r"""Return the ``LIKE`` pattern (escape ``\``) that finds ``search`` inside a folded text."""
    escaped = fold(search).replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"
