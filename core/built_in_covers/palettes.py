"""Colours that go together, and the arithmetic of reading one on another.

In every palette the ink reads on each ground at a contrast of 4.5 : 1 or better, so words may stand
wherever only grounds were painted. Accents are for shapes.
"""

from dataclasses import dataclass

Colour = tuple[int, int, int]

READABLE = 4.5
"""The contrast that WCAG asks of text (level AA)."""


@dataclass(frozen=True)
class Palette:
    """Grounds carry words in ``ink``; accents carry shapes."""

    name: str
    grounds: tuple[Colour, Colour, Colour]
    ink: Colour
    accents: tuple[Colour, Colour, Colour, Colour]

    def legible_on(self, colour: Colour) -> Colour:
        """Return the palette's colour that stands out most on ``colour``."""
        return max((self.ink, *self.grounds), key=lambda own: contrast(own, colour))


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Return ``first`` with ``share`` (0 to 1) of ``second`` in it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def contrast(first: Colour, second: Colour) -> float:
    """Return WCAG's contrast ratio of two colours, 1 to 21."""
    dark, light = sorted((_luminance(first), _luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Colour) -> float:
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (channel / 255 for channel in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _colour(code: str) -> Colour:
    return int(code[0:2], 16), int(code[2:4], 16), int(code[4:6], 16)


def _palette(name: str, grounds: str, ink: str, accents: str) -> Palette:
    deep, middle, light = (_colour(code) for code in grounds.split())
    first, second, third, fourth = (_colour(code) for code in accents.split())
    return Palette(name, (deep, middle, light), _colour(ink), (first, second, third, fourth))


# Followed by one of another hue and another lightness: variants step through this list.
PALETTES = (
    _palette("midnight", "0f1a33 14213d 1d2f58", "fff4e0", "fca311 ef476f 2ec4b6 f1e3c6"),
    _palette("sunny", "ffc21c ffd23f ffdd66", "2a1a4a", "ee4266 540d6e 1fa88f fff8e1"),
    _palette("wine", "460a20 5c0f2c 74163a", "ffe9dc", "ff8a5b ffcb77 d64b74 f2b5c7"),
    _palette("mint", "b3e8cd c9f2dc dbf8e8", "0c3b2e", "f26a4b ffba49 20a39e 0c5a47"),
    _palette("cobalt", "1733b0 1f3fd0 2b4bdc", "ffffff", "ffd60a ff7f51 8ecae6 f8f4e3"),
    _palette("clay", "f6dcb8 f9e6c8 fdf0dc", "5a1f12", "e2725b c8452d f4a259 2a6f6b"),
    _palette("violet", "2d0c4b 3c1361 52207f", "ffffff", "ff9e00 ff5d8f 9d4edd c8b6ff"),
    _palette("coral", "ff7a66 ff8b78 ff9f8d", "3b0d1f", "fff1e6 ffd166 b81d3a 5b1a3a"),
    _palette("emerald", "083c33 0b4f43 0e6354", "fdf6d8", "f2c14e f78154 8ed081 e8f1d4"),
    _palette("blush", "ffc8d4 ffd9e1 ffe6eb", "6b0f3a", "e63973 ff8c61 8c1c5c fffaf5"),
    _palette("carbon", "0e1113 161a1d 242b30", "f4ffe6", "c6f135 3ddc97 7c8b95 e9f5db"),
    _palette("orange", "ff961a ffa630 ffb550", "2a1302", "fff3d6 d7263d 1b4965 ffdf8a"),
    _palette("teal", "034c55 056571 08727e", "fff6e0", "ffb703 fb7a2d 8fe3d0 fff1d0"),
    _palette("lilac", "d5bff2 e3d4f7 ede3fb", "3a1466", "7b2cbf ff7ab6 ffb84c 4b1f8c"),
    _palette("crimson", "930d22 b5122b c41c36", "fff3e4", "ffb627 ff7a59 ffd9c0 5c0616"),
    _palette("sky", "a5d8fb bfe6ff d6f0ff", "0a2e52", "ff6b6b ffd166 1b6ca8 ffffff"),
    _palette("slate", "243147 2f3e55 3b4c66", "fdf3ee", "f4acb7 ffd7ba e0697c 9ad1d4"),
    _palette("olive", "e2d5b0 ebe0c4 f5efdd", "2f3416", "6a7b2c c2602d d9a441 3e4a1c"),
)
