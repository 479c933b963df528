"""What a picture costs, before it is painted and after.

Amounts are US dollars. What is not known is None, never a guess that looks like a price.

Rates: https://developers.openai.com/api/docs/pricing and the models' own pages under
https://developers.openai.com/api/docs/models; which models end, and when:
https://developers.openai.com/api/docs/deprecations.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import product
from math import ceil
from typing import Any


@dataclass(frozen=True)
class Estimate:
    """What one picture will cost, in US dollars: between ``low`` and ``high``."""

    low: Decimal
    high: Decimal

    @property
    def is_range(self) -> bool:
        """Whether the price is known only as a range."""
        return self.low != self.high


@dataclass(frozen=True)
class _Rates:
    """US dollars per million tokens."""

    text_in: Decimal
    image_in: Decimal
    image_out: Decimal
    text_out: Decimal | None = None
    """None where text and picture are billed alike."""


_MILLION = 1_000_000

_TOKEN_MODEL = _Rates(text_in=Decimal(5), image_in=Decimal(8), image_out=Decimal(30))

_RATES = {
    "gpt-image-2": _TOKEN_MODEL,
    "gpt-image-2.5": _TOKEN_MODEL,
    "gpt-image-2.6": _TOKEN_MODEL,
    "gpt-image-1.5": _Rates(Decimal(5), Decimal(8), Decimal(32), text_out=Decimal(10)),
    "gpt-image-1-mini": _Rates(Decimal(2), Decimal("2.50"), Decimal(8)),
    "gpt-image-1": _Rates(Decimal(5), Decimal(10), Decimal(40)),
}

_FAMILY_2_5_FACTORS = {"low": 16, "medium": 24, "high": 48, "xhigh": 64, "max": 96}

_QUALITY_FACTORS = {
    "gpt-image-2": {"low": 16, "medium": 48, "high": 96},
    "gpt-image-2.5": _FAMILY_2_5_FACTORS,
    "gpt-image-2.6": _FAMILY_2_5_FACTORS,
}

_FIXED_SIZES = ("1024x1024", "1024x1536", "1536x1024")

# Dollars per picture, in the order of _FIXED_SIZES.
_FIXED_PRICES = {
    "gpt-image-1.5": {
        "low": ("0.009", "0.013", "0.013"),
        "medium": ("0.034", "0.05", "0.05"),
        "high": ("0.133", "0.2", "0.2"),
    },
    "gpt-image-1-mini": {
        "low": ("0.005", "0.006", "0.006"),
        "medium": ("0.011", "0.015", "0.015"),
        "high": ("0.036", "0.052", "0.052"),
    },
    "gpt-image-1": {
        "low": ("0.011", "0.016", "0.016"),
        "medium": ("0.042", "0.063", "0.063"),
        "high": ("0.167", "0.25", "0.25"),
    },
}

_AUTO_SIZES = (*_FIXED_SIZES, "1254x1254")
"""What size ``auto`` has been seen to become."""

_UNDOCUMENTED_2_6_FACTOR = 4
"""OpenAI publishes no token count for 2.6. Resellers report three to four times the tokens of 2.5
for ``low`` and ``medium``, and the same for the rest:
https://docs.laozhang.ai (gpt-image-2-6), https://docs.apiyi.com (5 November 2026)."""


def family(model: str) -> str | None:
    """Return the models that ``model`` is priced with, as in ``gpt-image-2.5``; None if unknown.

    Snapshots (``…-2026-09-08``) and the speeds of one generation (flare, sunburst) cost the same.
    """
    undated = re.sub(r"-\d{4}-\d{2}-\d{2}$", "", model)
    if undated == "chatgpt-image-latest":
        return "gpt-image-1.5"
    name = re.sub(r"^(gpt-image-2\.[56])-(?:flare|sunburst)$", r"\1", undated)
    return name if name in _RATES else None


def output_tokens(model: str, size: str, quality: str) -> int | None:
    """Return how many tokens one picture takes, where a formula is known.

    The formula is that of the calculator on OpenAI's guide to image generation,
    https://developers.openai.com/api/docs/guides/image-generation#cost-and-latency. For 2.6 this
    is the count of 2.5; see ``estimate``.
    """
    factor = _QUALITY_FACTORS.get(family(model) or "", {}).get(quality)
    sides = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size)
    if factor is None or sides is None:
        return None
    width, height = int(sides[1]), int(sides[2])
    if not width or not height:
        return None
    short = round(Fraction(factor * min(width, height), max(width, height)))  # half to even
    return ceil(Fraction(factor * short * (2_000_000 + width * height), 4_000_000))


def estimate(model: str, size: str, quality: str, prompt: str) -> Estimate | None:
    """Return what one picture will cost, or None where nobody can say.

    ``auto`` as size or quality, and the small qualities of 2.6, give a range.
    """
    kind = family(model)
    if kind is None:
        return None
    known_qualities = _QUALITY_FACTORS.get(kind) or _FIXED_PRICES[kind]
    qualities = list(known_qualities) if quality == "auto" else [quality]
    auto_sizes = _AUTO_SIZES if kind in _QUALITY_FACTORS else _FIXED_SIZES
    sizes = auto_sizes if size == "auto" else (size,)

    prices: list[Decimal] = []
    for one_size, one_quality in product(sizes, qualities):
        found = _picture_prices(model, kind, one_size, one_quality)
        if not found:
            return None
        prices.extend(found)
    words = _price_of_words(kind, prompt)
    return Estimate(low=min(prices) + words, high=max(prices) + words)


def cost(model: str, usage: Mapping[str, Any] | None) -> Decimal | None:
    """Return what a picture did cost, from the ``usage`` that came with it.

    None when that can't be told: another server's model, no usage, or the zeros that relays put
    where they know nothing. No picture takes zero tokens.
    """
    rates = _RATES.get(family(model) or "")
    if rates is None or usage is None:
        return None
    total_in = _count(usage, "input_tokens") or 0
    total_out = _count(usage, "output_tokens")
    if not total_out:
        return None
    image_in = min(_count(usage.get("input_tokens_details"), "image_tokens") or 0, total_in)
    text_out = 0
    if rates.text_out is not None:
        text_out = _count(usage.get("output_tokens_details"), "text_tokens") or 0
    text_out = min(text_out, total_out)
    dollars = (
        (total_in - image_in) * rates.text_in
        + image_in * rates.image_in
        + (total_out - text_out) * rates.image_out
        + text_out * (rates.text_out or rates.image_out)
    )
    return dollars / _MILLION


def _picture_prices(model: str, kind: str, size: str, quality: str) -> list[Decimal]:
    """Return the lowest and highest price of a picture without its prompt; empty if unknown."""
    if kind in _FIXED_PRICES:
        row = _FIXED_PRICES[kind].get(quality)
        if row is None or size not in _FIXED_SIZES:
            return []
        return [Decimal(row[_FIXED_SIZES.index(size)])]
    tokens = output_tokens(model, size, quality)
    if tokens is None:
        return []
    price = tokens * _RATES[kind].image_out / _MILLION
    if kind == "gpt-image-2.6" and quality in ("low", "medium"):
        return [price, price * _UNDOCUMENTED_2_6_FACTOR]
    return [price]


def _price_of_words(kind: str, prompt: str) -> Decimal:
    # Four characters make about one token in English; the request itself adds some six. Rough,
    # and small beside the picture: a prompt of 1,000 characters is a tenth of a cent.
    tokens = ceil(len(prompt) / 4) + 6
    return tokens * _RATES[kind].text_in / _MILLION


def _count(numbers: Any, name: str) -> int | None:
    """Return a token count, or None when the service sent anything but a count."""
    value = numbers.get(name) if isinstance(numbers, Mapping) else None
    return value if type(value) is int and value >= 0 else None
