"""Words on a picture: which characters can be set, where lines break, how large they get.

Nothing that no shipped font has is ever set, so there are no empty boxes, and whatever the text,
its block stays inside the area it was given.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from core.built_in_covers.palettes import Colour

_FONTS = Path(__file__).resolve().parents[2] / "data" / "fonts"
_MISSING = "\U0010ffff"
"""A code point that by definition is no character: every font draws its empty box for it."""
_JOINER = "\u200d"
_READ_AT_MOST = 400
_LONGEST = 120
_UNIT = 100
"""Words are measured once, at this size; widths grow in proportion."""


@dataclass(frozen=True)
class Face:
    """One font file, and how its lines like to be set."""

    file: str
    leading: float
    """From baseline to baseline, as a share of the size."""
    capitals: bool = False

    def at(self, size: int) -> ImageFont.FreeTypeFont:
        """Open the font at a size in pixels."""
        # Opening a font costs 30 µs. Sharing one between threads would not be safe.
        return ImageFont.truetype(_FONTS / self.file, size)


GROTESK = Face("BricolageGrotesque-ExtraBold.ttf", leading=1.04)
SERIF = Face("Fraunces-Bold.ttf", leading=1.04)
POSTER = Face("Anton-Regular.ttf", leading=1.16, capitals=True)
TEXT = Face("BricolageGrotesque-SemiBold.ttf", leading=1.16)
SIGNS = Face("NotoEmoji-Bold-subset.ttf", leading=1.0)

TITLE_FACES = (GROTESK, SERIF, POSTER)


@dataclass(frozen=True)
class Words:
    """What is left of a text once everything that can't be set is gone."""

    text: str
    signs: tuple[str, ...] = ()
    """The emoji that stood before and after the text."""


@dataclass(frozen=True)
class Paragraph:
    """Lines broken and sized to fit."""

    face: Face
    size: int
    lines: tuple[str, ...]

    @property
    def height(self) -> float:
        """From the top of the first line's ink to the bottom of the last one's."""
        between = (len(self.lines) - 1) * self.face.leading
        rise, fall = _rise(self.lines[0], self.face), _fall(self.lines[-1], self.face)
        return (rise + between + fall) * self.size

    def draw(
        self,
        image: Image.Image,
        left: float,
        top: float,
        width: float,
        colour: Colour,
        *,
        centred: bool,
    ) -> tuple[int, int, int, int]:
        """Draw the lines and return the box they fill."""
        pen = ImageDraw.Draw(image)
        baseline = top + _rise(self.lines[0], self.face) * self.size
        edges = []
        for line in self.lines:
            x = left
            if centred:
                x += (width - _width(line, self.face, self.size)) / 2
            edges.append(x)
            for face, part in _runs(line, self.face):
                font = face.at(_size_of(face, self.size))
                pen.text((x, baseline), part, font=font, fill=colour, anchor="ls")
                x += font.getlength(part)
            edges.append(x)
            baseline += self.face.leading * self.size
        return round(min(edges)), round(top), round(max(edges)), round(top + self.height)


def readable(text: str, face: Face) -> Words:
    """Return what of ``text`` the face and the emoji font can set, at most 120 characters."""
    kept: list[str] = []
    joined = False
    for char in unicodedata.normalize("NFC", text[:_READ_AT_MOST]):
        after_joiner, joined = joined, char == _JOINER
        if after_joiner and _is_sign(char, face):
            continue  # a family or a profession: its first sign stands for the whole
        kept.append(_settable(char, face))
    words = " ".join("".join(kept).split())

    signs = [char for char in words if _is_sign(char, face)]
    is_edge = "".join(map(re.escape, signs)) + r"\s"
    lifted = re.match(f"[{is_edge}]*", words), re.search(f"[{is_edge}]*$", words)
    outside = tuple(char for part in lifted if part for char in part[0] if char.strip())
    words = words.strip("".join(signs) + " ")
    if not any(char.isalnum() for char in words):
        return Words("", outside or tuple(signs))
    return Words(_shortened(words, _LONGEST), outside)


def headline_and_rest(text: str) -> tuple[str, str]:
    """Split "Name: what it is about" where a title is built like that."""
    parts = re.match(r"([^:|]{3,44}?)(?:\s*[:|]\s+|\s+[-\u2013\u2014•]\s+)(.{3,})$", text)
    return (parts[1], parts[2]) if parts else (text, "")


def set_paragraph(
    text: str, face: Face, width: float, height: float, *, largest: int, readable_from: int = 72
) -> Paragraph:
    """Break ``text`` into even lines, as large as fits the area.

    A word is only cut where the type would otherwise fall below ``readable_from``.
    """
    words = (_in_capitals(text, face) if face.capitals else text).split()
    found = _fitted(words, face, width, height, largest)
    floor = readable_from
    while found.size < floor and floor >= 30:
        cut = [piece for word in words for piece in _pieces(word, face, width * _UNIT / floor)]
        found = _fitted(cut, face, width, height, largest)
        floor = floor * 4 // 5
    return found


def set_line(text: str, face: Face, width: float, size: int) -> Paragraph:
    """Set one line, shortened where it is too long."""
    while _width(text, face, size) > width and len(text) > 1:
        text = _shortened(text, max(1, len(text) - 2))
    return Paragraph(face, size, (text,))


def draw_sign(
    image: Image.Image, sign: str, x: float, y: float, size: float, colour: Colour
) -> None:
    """Draw one sign of the emoji font around a point, ``size`` being its longer side."""
    trial = SIGNS.at(200).getbbox(sign)
    longer = max(trial[2] - trial[0], trial[3] - trial[1], 1)
    font = SIGNS.at(max(1, round(200 * size / longer)))
    left, top, right, bottom = font.getbbox(sign)
    place = (x - (left + right) / 2, y - (top + bottom) / 2)
    ImageDraw.Draw(image).text(place, sign, font=font, fill=colour)


@lru_cache(maxsize=8192)
def has_glyph(face: Face, char: str) -> bool:
    """Say whether the font has this character, by whether it draws it as its empty box."""
    return _drawn(face, char) != _drawn(face, _MISSING)


def _drawn(face: Face, char: str) -> bytes:
    font = ImageFont.truetype(_FONTS / face.file, 24, layout_engine=ImageFont.Layout.BASIC)
    image = Image.new("L", (64, 64))
    ImageDraw.Draw(image).text((20, 44), char, font=font, fill=255, anchor="ls")
    return image.tobytes()


def _settable(char: str, face: Face) -> str:
    """Return the character, a plain equivalent that can be set, a space, or nothing."""
    kind = unicodedata.category(char)
    if char.isspace() or kind == "Cc":
        return " "
    if kind in ("Cf", "Cs", "Co", "Cn", "Mn", "Me"):
        return ""  # invisible, undefined, or a mark that would stack on its neighbour
    if has_glyph(face, char) or _is_sign(char, face):
        return char
    parts = unicodedata.normalize("NFKD", char)  # bold letters of the mathematical block, ǵ
    plain = "".join(part for part in parts if not unicodedata.combining(part))
    return plain if all(has_glyph(face, part) for part in plain) else ""


def _in_capitals(text: str, face: Face) -> str:
    """Return the text in capitals; a letter whose capital the font lacks stays as it is."""
    raised = ((char, char.upper()) for char in text)
    return "".join(
        big if all(has_glyph(face, part) for part in big) else char for char, big in raised
    )


def _is_sign(char: str, face: Face) -> bool:
    return ord(char) > 0xFF and not has_glyph(face, char) and has_glyph(SIGNS, char)


def _shortened(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    head = text[: longest - 1]
    at_word = head.rsplit(" ", 1)[0] if text[longest - 1] != " " else head
    head = at_word if len(at_word) > longest // 2 else head
    return head.rstrip(" ,;:.-\u2013\u2014…|") + "…"


def _runs(line: str, face: Face) -> list[tuple[Face, str]]:
    runs: list[tuple[Face, str]] = []
    for char in line:
        needed = SIGNS if _is_sign(char, face) else face
        if runs and runs[-1][0] == needed:
            runs[-1] = (needed, runs[-1][1] + char)
        else:
            runs.append((needed, char))
    return runs


def _size_of(face: Face, size: int) -> int:
    return max(1, round(size * 0.68)) if face is SIGNS else size


@lru_cache(maxsize=1024)
def _width(line: str, face: Face, size: int) -> float:
    return sum(part.at(_size_of(part, size)).getlength(text) for part, text in _runs(line, face))


def _rise(line: str, face: Face) -> float:
    """Return how far a line reaches above its baseline, accents included, as a share of size."""
    return max(-top for top, _ in _reaches(line, face)) / _UNIT


def _fall(line: str, face: Face) -> float:
    """Return how far a line reaches below its baseline, as a share of size."""
    return max(bottom for _, bottom in _reaches(line, face)) / _UNIT


@lru_cache(maxsize=1024)
def _reaches(line: str, face: Face) -> tuple[tuple[float, float], ...]:
    parts = ((part.at(_size_of(part, _UNIT)), text) for part, text in _runs(line, face))
    boxes = (font.getbbox(text, anchor="ls") for font, text in parts)
    return tuple((top, bottom) for _, top, _, bottom in boxes)


def _fitted(
    words: Sequence[str], face: Face, width: float, height: float, largest: int
) -> Paragraph:
    """Try every number of lines and keep the one that allows the largest type."""
    best = Paragraph(face, 0, ())
    for lines in _evenly_broken(words, [_width(word, face, _UNIT) for word in words], face):
        widest = max(_width(line, face, _UNIT) for line in lines)
        tallest = Paragraph(face, 1, lines).height
        size = int(min(largest, width / widest * _UNIT, height / tallest))
        if size > best.size * 1.04:  # another line must be worth it
            best = Paragraph(face, size, lines)
    while best.size > 1 and max(_width(line, face, best.size) for line in best.lines) > width:
        best = Paragraph(face, best.size - 1, best.lines)
    return best


def _evenly_broken(
    words: Sequence[str], widths: Sequence[float], face: Face
) -> list[tuple[str, ...]]:
    """Return the most even break into one line, into two, and so on up to ten.

    A line's cost is its width squared: for a given number of lines the sum is least where all are
    equally wide. Lines that end in a small word cost a little more, after a comma a little less.
    """
    space = _width(" ", face, _UNIT)
    count = len(words)
    costs = [[0.0] * (count + 1) for _ in range(count)]
    for start in range(count):
        line = -space
        for end in range(start + 1, count + 1):
            line += widths[end - 1] + space
            costs[start][end] = line * line * (1.0 if end == count else _ending(words[end - 1]))

    breaks: list[tuple[str, ...]] = []
    best = [costs[0][end] if end else 0.0 for end in range(count + 1)]
    paths: list[tuple[int, ...]] = [()] * (count + 1)
    for lines in range(1, min(count, 10) + 1):
        cuts = (0, *paths[count], count)
        breaks.append(tuple(" ".join(words[a:b]) for a, b in pairwise(cuts)))
        longer, routes = best[:], paths[:]
        for end in range(lines + 1, count + 1):
            cut = min(range(lines, end), key=lambda at: best[at] + costs[at][end])
            longer[end], routes[end] = best[cut] + costs[cut][end], (*paths[cut], cut)
        best, paths = longer, routes
    return breaks


def _ending(word: str) -> float:
    if word[-1] in ",:;.!?":
        return 0.94
    return 1.12 if len(word) <= 3 else 1.0


def _pieces(word: str, face: Face, limit: float) -> list[str]:
    """Cut a word that is wider than ``limit`` into even pieces, with hyphens between letters."""
    width = _width(word, face, _UNIT)
    if width <= limit:
        return [word]
    step = max(1, int(len(word) * limit * 0.88 / width))
    step = -(-len(word) // -(-len(word) // step))
    pieces = [word[start : start + step] for start in range(0, len(word), step)]
    return [
        piece + "-" if piece[-1].isalpha() and following[0].isalpha() else piece
        for piece, following in zip(pieces, [*pieces[1:], " "], strict=True)
    ]
