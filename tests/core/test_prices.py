"""What a picture costs."""

from decimal import Decimal

import pytest

from core import prices

FLARE = "gpt-image-2.5-flare"

# size: tokens of (2 low, 2 medium, 2 high, 2.5 medium, 2.5 xhigh) and their prices.
# From OpenAI's calculator and the published prices per picture.
TABLE = {
    "1024x1024": ((196, 1756, 7024, 439, 3122), "0.0059 0.0527 0.2107 0.0132 0.0937"),
    "1024x1536": ((158, 1372, 5488, 343, 2459), "0.0047 0.0412 0.1646 0.0103 0.0738"),
    "1536x1024": ((158, 1372, 5488, 343, 2459), "0.0047 0.0412 0.1646 0.0103 0.0738"),
    "1088x1088": ((204, 1834, 7336, 459, 3261), "0.0061 0.0550 0.2201 0.0138 0.0978"),
    "1200x1200": ((221, 1982, 7926, 496, 3523), "0.0066 0.0595 0.2378 0.0149 0.1057"),
    "960x1200": ((164, 1438, 5825, 360, 2573), "0.0049 0.0431 0.1747 0.0108 0.0772"),
    "1088x1360": ((181, 1587, 6431, 397, 2840), "0.0054 0.0476 0.1929 0.0119 0.0852"),
    "1152x2048": ((157, 1413, 5650, 367, 2511), "0.0047 0.0424 0.1695 0.0110 0.0753"),
    "1216x640": ((89, 834, 3401, 217, 1512), "0.0027 0.0250 0.1020 0.0065 0.0454"),
    "1280x720": ((106, 947, 3787, 246, 1683), "0.0032 0.0284 0.1136 0.0074 0.0505"),
    "1536x864": ((120, 1078, 4312, 280, 1917), "0.0036 0.0323 0.1294 0.0084 0.0575"),
    "2048x2048": ((397, 3568, 14272, 892, 6343), "0.0119 0.1070 0.4282 0.0268 0.1903"),
    "2560x1440": ((205, 1843, 7370, 478, 3276), "0.0062 0.0553 0.2211 0.0143 0.0983"),
    "3840x2160": ((371, 3336, 13342, 865, 5930), "0.0111 0.1001 0.4003 0.0260 0.1779"),
}
COLUMNS = [
    [("gpt-image-2", "low"), (FLARE, "low"), ("gpt-image-2.5-sunburst", "low")],
    [("gpt-image-2", "medium"), (FLARE, "high")],
    [("gpt-image-2", "high"), (FLARE, "max")],
    [(FLARE, "medium")],
    [(FLARE, "xhigh")],
]
ROWS = [
    (model, size, quality, tokens[column], Decimal(dollars.split()[column]))
    for size, (tokens, dollars) in TABLE.items()
    for column, twins in enumerate(COLUMNS)
    for model, quality in twins
]
FIXED = {
    "gpt-image-1.5": ("0.009 0.013 0.013", "0.034 0.05 0.05", "0.133 0.2 0.2"),
    "chatgpt-image-latest": ("0.009 0.013 0.013", "0.034 0.05 0.05", "0.133 0.2 0.2"),
    "gpt-image-1-mini": ("0.005 0.006 0.006", "0.011 0.015 0.015", "0.036 0.052 0.052"),
}
WORDLESS = Decimal(6 * 5) / 1_000_000  # an empty prompt still takes about six tokens


class TestEstimate:
    @pytest.mark.parametrize(("model", "size", "quality", "tokens", "dollars"), ROWS)
    def test_matches_openai_s_calculator(self, model, size, quality, tokens, dollars):
        found = prices.estimate(model, size, quality, "")

        assert prices.output_tokens(model, size, quality) == tokens
        assert found is not None
        assert not found.is_range
        assert found.high - WORDLESS == tokens * Decimal(30) / 1_000_000
        assert abs(found.high - WORDLESS - dollars) <= Decimal("0.00005")

    @pytest.mark.parametrize("model", FIXED)
    def test_takes_the_dying_models_from_their_own_tables(self, model):
        words = WORDLESS if model != "gpt-image-1-mini" else Decimal(6 * 2) / 1_000_000
        for quality, row in zip(("low", "medium", "high"), FIXED[model], strict=True):
            for size, dollars in zip(
                ("1024x1024", "1024x1536", "1536x1024"), row.split(), strict=True
            ):
                found = prices.estimate(model, size, quality, "")

                assert found is not None
                assert found.high - words == Decimal(dollars)

    @pytest.mark.parametrize("quality", ["low", "medium"])
    def test_is_a_range_where_2_6_is_undocumented(self, quality):
        cheap = prices.estimate(FLARE, "1024x1024", quality, "")
        found = prices.estimate("gpt-image-2.6-flare", "1024x1024", quality, "")

        assert cheap is not None
        assert found is not None
        assert found.is_range
        assert found.low == cheap.low
        assert found.high - WORDLESS == 4 * (cheap.high - WORDLESS)

    @pytest.mark.parametrize("quality", ["high", "xhigh", "max"])
    def test_of_the_large_qualities_of_2_6_is_that_of_2_5(self, quality):
        found = prices.estimate("gpt-image-2.6-sunburst", "1024x1024", quality, "x")

        assert found == prices.estimate(FLARE, "1024x1024", quality, "x")

    def test_adds_the_words_of_the_prompt(self):
        short = prices.estimate(FLARE, "1024x1024", "medium", "")
        long = prices.estimate(FLARE, "1024x1024", "medium", "x" * 1000)

        assert short is not None
        assert long is not None
        assert long.low - short.low == Decimal("0.00125")

    @pytest.mark.parametrize(
        ("model", "size", "quality"),
        [
            (FLARE, "1024x1024", "auto"),
            (FLARE, "auto", "medium"),
            ("gpt-image-1.5", "auto", "auto"),
        ],
    )
    def test_spans_what_auto_may_become(self, model, size, quality):
        found = prices.estimate(model, size, quality, "")

        assert found is not None
        assert found.is_range
        assert found.low < found.high

    @pytest.mark.parametrize(
        ("model", "size", "quality"),
        [
            ("dall-e-3", "1024x1024", "standard"),
            ("flux-1-dev", "1024x1024", "medium"),
            ("gpt-image-3", "1024x1024", "medium"),
            (FLARE, "1024x1024", "hd"),
            ("gpt-image-2", "1024x1024", "max"),
            (FLARE, "0x1024", "low"),
            (FLARE, "large", "low"),
            ("gpt-image-1.5", "2048x2048", "low"),
        ],
    )
    def test_is_none_where_nobody_can_say(self, model, size, quality):
        assert prices.estimate(model, size, quality, "a cat") is None

    def test_knows_a_snapshot_by_its_model(self):
        found = prices.estimate("gpt-image-2.5-flare-2026-09-08", "1024x1024", "medium", "")

        assert found == prices.estimate(FLARE, "1024x1024", "medium", "")


def make_usage(text=61, image=0, out=397, **changes):
    """The usage of one picture; a test names only what it is about."""
    usage = {
        "input_tokens": text + image,
        "output_tokens": out,
        "total_tokens": text + image + out,
        "input_tokens_details": {"text_tokens": text, "image_tokens": image},
        "output_tokens_details": {"image_tokens": out, "text_tokens": 0},
    }
    return usage | changes


class TestCost:
    def test_adds_up_words_and_picture(self):
        found = prices.cost(FLARE, make_usage(text=61, out=397))

        assert found == Decimal("0.012215")  # 61 x $5 + 397 x $30, per million

    def test_bills_pictures_that_went_in_at_their_own_rate(self):
        found = prices.cost("gpt-image-2", make_usage(text=10, image=512, out=196))

        assert found == Decimal("0.010026")  # 10 x $5 + 512 x $8 + 196 x $30

    def test_bills_words_that_came_out_apart_where_openai_does(self):
        usage = make_usage(
            text=0, out=1100, output_tokens_details={"image_tokens": 1000, "text_tokens": 100}
        )

        assert prices.cost("gpt-image-1.5", usage) == Decimal("0.033")  # 1000 x $32 + 100 x $10

    def test_takes_all_input_for_words_where_no_details_came(self):
        usage = {"input_tokens": 100, "output_tokens": 100, "total_tokens": 200}

        assert prices.cost("gpt-image-1-mini", usage) == Decimal("0.001")

    @pytest.mark.parametrize(
        "usage",
        [
            None,
            {},
            make_usage(text=0, out=0),
            make_usage(out=0),
            make_usage(output_tokens="397"),
            make_usage(output_tokens=-1),
            make_usage(output_tokens=True),
            make_usage(output_tokens=None),
        ],
    )
    def test_is_unknown_when_the_usage_says_nothing(self, usage):
        assert prices.cost(FLARE, usage) is None

    def test_is_unknown_for_another_server_s_model(self):
        assert prices.cost("dall-e-3", make_usage()) is None

    @pytest.mark.parametrize("details", [None, [], "many", {"image_tokens": "1"}])
    def test_survives_details_of_another_shape(self, details):
        usage = make_usage(input_tokens_details=details, output_tokens_details=details)

        assert prices.cost("gpt-image-1.5", usage) is not None
