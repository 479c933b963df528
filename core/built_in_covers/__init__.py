"""The painter that needs no service: it sets the title as a typographic cover.

The same order always gives the same bytes, whatever the title says it never fails, and several
threads may paint at once.
"""

import hashlib
import io
from dataclasses import dataclass
from random import Random

from PIL import ImageDraw

from core.built_in_covers import typesetting
from core.built_in_covers.canvas import SIZE
from core.built_in_covers.compositions import COMPOSITIONS, Box, Composition, Stage
from core.built_in_covers.motifs import motif_for
from core.built_in_covers.palettes import PALETTES, Palette
from core.built_in_covers.typesetting import Face, Paragraph
from core.painting import Painting, PaintOrder

__all__ = ["BuiltInPainter"]

_LARGEST_TITLE = 270
_BYLINE_SIZE = 42
_GAP_BEFORE_SUBTITLE = 62
_GAP_BEFORE_BYLINE = 94
_SALT = 4630
"""Any number would do; with this one the sample catalogue shows its neighbours in other colours."""
_SIGN_OF_NOTHING = "✨"
"""Stands on the cover of an offer whose title has nothing that can be set."""


class BuiltInPainter:
    """Paints covers on this machine, free of charge."""

    is_paid = False

    def paint(self, order: PaintOrder) -> Painting:
        """Set the order's words (its prompt, else its title) on a cover of 1200 by 1200 pixels."""
        design = design_for(order)
        stage = design.stage()
        set_words(stage, design, order)
        data = io.BytesIO()
        stage.canvas.image.save(data, "JPEG", quality=92, subsampling=0)
        return Painting(data.getvalue(), size=f"{SIZE}x{SIZE}")


@dataclass(frozen=True)
class Design:
    """Everything that was chosen for one cover."""

    palette: Palette
    composition: Composition
    face: Face
    is_mirrored: bool
    seed: int

    def stage(self) -> Stage:
        """Paint the background."""
        stage = self.composition(self.palette, Random(self.seed))
        return stage.mirrored() if self.is_mirrored else stage


def design_for(order: PaintOrder) -> Design:
    """Choose by the title, so an offer keeps its look; each next variant takes another one."""
    title = f"{_SALT} {order.title}".encode("utf-8", "surrogatepass")
    dice = Random(hashlib.sha256(title).digest())
    palette = dice.randrange(len(PALETTES)) + order.variant
    composition = dice.randrange(len(COMPOSITIONS)) + order.variant
    face = dice.randrange(len(typesetting.TITLE_FACES)) + order.variant
    return Design(
        PALETTES[palette % len(PALETTES)],
        COMPOSITIONS[composition % len(COMPOSITIONS)],
        typesetting.TITLE_FACES[face % len(typesetting.TITLE_FACES)],
        (dice.randrange(2) + order.variant) % 2 == 1,
        dice.randrange(2**32) + order.variant,
    )


def set_words(stage: Stage, design: Design, order: PaintOrder) -> Box | None:
    """Set words and sign; return the box the words fill, if there are any."""
    palette, image = design.palette, stage.canvas.image
    words = typesetting.readable(order.prompt or order.title, design.face)
    sign = next(iter(words.signs), None) or motif_for(words.text) or motif_for(order.title)
    spot = stage.spot
    if not words.text:
        left, top, right, bottom = stage.words
        size = min(right - left, bottom - top) * 0.8
        middle = ((left + right) / 2, (top + bottom) / 2)
        typesetting.draw_sign(image, sign or _SIGN_OF_NOTHING, *middle, size, palette.ink)
        return None
    if sign:
        colour = palette.legible_on(spot.on)
        typesetting.draw_sign(image, sign, spot.x, spot.y, spot.size, colour)
    return _set_block(stage, design, words.text, order.producer)


def _set_block(stage: Stage, design: Design, title: str, producer: str | None) -> Box:
    """Set headline, subtitle and producer as one block, with a short rule between."""
    left, top, right, bottom = stage.words
    width, height = right - left, bottom - top
    head, rest = typesetting.headline_and_rest(title)
    rest = typesetting.readable(rest, typesetting.TEXT).text  # a font of its own
    byline = typesetting.readable(producer or "", typesetting.TEXT).text

    by = typesetting.set_line(byline, typesetting.TEXT, width, _BYLINE_SIZE) if byline else None
    free = height - (by.height + _GAP_BEFORE_BYLINE if by else 0)
    headline = typesetting.set_paragraph(
        head, design.face, width, free * (0.66 if rest else 1), largest=_LARGEST_TITLE
    )
    parts: list[tuple[float, Paragraph]] = [(0, headline)]
    if rest:
        subtitle = typesetting.set_paragraph(
            rest,
            typesetting.TEXT,
            width,
            free - headline.height - _GAP_BEFORE_SUBTITLE,
            largest=max(46, round(headline.size * 0.42)),
            readable_from=40,
        )
        parts.append((_GAP_BEFORE_SUBTITLE, subtitle))
    if by:
        parts.append((_GAP_BEFORE_BYLINE, by))

    unused = height - sum(gap + part.height for gap, part in parts)
    y = top + unused * {"top": 0, "middle": 0.5, "bottom": 1}[stage.vertical]
    boxes = []
    for gap, part in parts:
        if part is by:
            _rule(stage, design.palette, y + 42)
        y += gap
        boxes.append(
            part.draw(stage.canvas.image, left, y, width, design.palette.ink, centred=stage.centred)
        )
        y += part.height
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )


def _rule(stage: Stage, palette: Palette, y: float) -> None:
    left, _, right, _ = stage.words
    x = (left + right) / 2 - 48 if stage.centred else left
    pen = ImageDraw.Draw(stage.canvas.image)
    pen.rectangle((x, y, x + 96, y + 7), fill=palette.accents[0])
