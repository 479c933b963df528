import pytest

from core.text import LONGEST_SEARCH, fold, like_patterns, storable


class TestStorable:
    @pytest.mark.parametrize(
        "text", ["", "Violão 🎸", "e\u0301", "<b>", "a\r\nb\tc", "\u202e", "\ufeff"]
    )
    def test_keeps_a_text_as_given(self, text):
        assert storable(text) == text

    def test_drops_what_no_database_holds(self):
        assert storable("a\0b\ud800c") == "ab?c"


class TestFold:
    @pytest.mark.parametrize(
        ("text", "folded"),
        [
            ("Violão", "violao"),
            ("PIÑATA", "pinata"),
            ("cafe\u0301", "cafe"),
            ("İstanbul", "istanbul"),
            ("Straße", "strasse"),
            ("ﬁnanças", "financas"),
            ("Horta 🌱", "horta 🌱"),
        ],
    )
    def test_forgets_accents_and_case(self, text, folded):
        assert fold(text) == folded


class TestLikePatterns:
    def test_are_one_for_each_word(self):
        assert like_patterns("  Violão  do zero ") == ["%violao%", "%do%", "%zero%"]

    def test_take_wildcards_literally(self):
        assert like_patterns(r"100%_\x") == [r"%100\%\_\\x%"]

    def test_of_nothing_are_none(self):
        assert like_patterns(" \t") == []

    def test_have_an_end(self):
        assert sum(map(len, like_patterns("a" * 100_000))) <= LONGEST_SEARCH + 2
