"""Any words at all, for property tests: what people paste, and what nobody would."""

from hypothesis import settings
from hypothesis import strategies as st

from tests.pages.hostile import ALL, STRINGS

few = settings(max_examples=60, derandomize=True, deadline=None, database=None)
"""The same few examples each time, however slow the machine."""

_ANY = st.text(st.characters(exclude_categories=()), max_size=60)
_ODD = st.sampled_from([*STRINGS, ALL, "\0", "\ud800", "a\0b\udfffc", " ", "\u200b", "\u3000x"])

words = st.one_of(_ANY, _ODD, st.builds(str.__add__, _ODD, _ANY))
"""Texts with NUL and lone surrogates among them."""
