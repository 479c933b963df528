"""A square to paint on in layers, with smooth edges and soft shadows.

Each layer is drawn at double size and halved, which is what makes its edges smooth.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from PIL import Image, ImageDraw, ImageFilter

from core.built_in_covers.palettes import Colour

SIZE = 1200
OVERSAMPLING = 2

_SHADE = [round(value * 0.34) for value in range(256)]

Point = tuple[float, float]
Fill = Colour | tuple[Colour, Colour]
"""One colour, or two that run into each other from the top left to the bottom right."""


class Pen:
    """Draws into one layer, in the canvas's own coordinates."""

    def __init__(self, mask: Image.Image) -> None:
        self._draw = ImageDraw.Draw(mask)

    def circle(self, x: float, y: float, radius: float, *, cut: bool = False) -> None:
        """Fill a circle, or with ``cut`` take it out of what was drawn before."""
        box = _enlarged((x - radius, y - radius, x + radius, y + radius))
        self._draw.ellipse(box, fill=0 if cut else 255)

    def ring(self, x: float, y: float, radius: float, width: float) -> None:
        """Draw a circle's line, ``width`` of it inside the radius."""
        box = _enlarged((x - radius, y - radius, x + radius, y + radius))
        self._draw.ellipse(box, outline=255, width=round(width * OVERSAMPLING))

    def polygon(self, points: Iterable[Point], *, cut: bool = False) -> None:
        """Fill a polygon, or with ``cut`` take it out of what was drawn before."""
        self._draw.polygon(_enlarged(part for point in points for part in point), 0 if cut else 255)

    def rectangle(
        self, left: float, top: float, right: float, bottom: float, *, radius: float = 0
    ) -> None:
        """Fill a rectangle, with round corners if asked."""
        box = _enlarged((left, top, right - 0.5, bottom - 0.5))
        self._draw.rounded_rectangle(box, radius * OVERSAMPLING, fill=255)

    def slice(self, x: float, y: float, radius: float, start: float, end: float) -> None:
        """Fill a slice of a circle between two angles (degrees, clockwise from the right)."""
        box = _enlarged((x - radius, y - radius, x + radius, y + radius))
        self._draw.pieslice(box, start, end, fill=255)

    def line(self, points: Sequence[Point], width: float) -> None:
        """Draw a line with round corners and ends."""
        self._draw.line(
            _enlarged(part for point in points for part in point),
            fill=255,
            width=round(width * OVERSAMPLING),
            joint="curve",
        )
        for x, y in (points[0], points[-1]):
            self.circle(x, y, width / 2)


class Canvas:
    """The picture so far."""

    def __init__(self, top: Colour, bottom: Colour) -> None:
        """Start from one colour running down into another."""
        self.image = _vertical(top, bottom)

    @contextmanager
    def layer(self, fill: Fill, *, shadow: bool = False) -> Iterator[Pen]:
        """Collect shapes and lay them on the picture in one fill, with a shadow under them."""
        side = SIZE * OVERSAMPLING
        mask = Image.new("L", (side, side))
        yield Pen(mask)
        mask = mask.reduce(OVERSAMPLING)
        box = mask.getbbox()
        if box is None:
            return
        if shadow:
            soft = mask.reduce(8).filter(ImageFilter.GaussianBlur(3)).point(_SHADE)
            soft = soft.resize(mask.size, Image.Resampling.BILINEAR)
            reach = soft.getbbox() or box
            soft = soft.crop(reach)
            # Pasting a black picture is twice as fast as pasting the colour black.
            self.image.paste(Image.new("RGB", soft.size), (reach[0], reach[1] + 10), soft)
        shape = mask.crop(box)
        self.image.paste(_filled(fill, shape.size), box[:2], shape)

    def mirror(self) -> None:
        """Swap left and right."""
        self.image = self.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def wave(
    level: float, height: float, length: float, phase: float, *, tilt: float = 0
) -> list[Point]:
    """Return a swell around ``level`` from edge to edge, filled down to the bottom."""
    crest = [
        (
            x,
            level
            + tilt * (x / SIZE - 0.5)
            + height * math.sin(x / length * math.tau + phase)
            + height * 0.35 * math.sin(x / length * math.tau * 2.3 + phase * 1.7),
        )
        for x in range(-10, SIZE + 20, 10)
    ]
    return [*crest, (SIZE + 10, SIZE + 10), (-10, SIZE + 10)]


def blob(
    x: float,
    y: float,
    across: float,
    down: float,
    wobble: float,
    phase: float,
    *,
    square: float = 2,
) -> list[Point]:
    """Return a soft closed shape; ``square`` above 2 fills its corners more than an ellipse."""
    points = []
    for step in range(180):
        angle = step / 180 * math.tau
        reach = 1 + wobble * (
            0.6 * math.sin(3 * angle + phase) + 0.4 * math.sin(5 * angle - 1.3 * phase)
        )
        cos, sin = math.cos(angle), math.sin(angle)
        points.append(
            (
                x + across * reach * math.copysign(abs(cos) ** (2 / square), cos),
                y + down * reach * math.copysign(abs(sin) ** (2 / square), sin),
            )
        )
    return points


def _enlarged(numbers: Iterable[float]) -> list[float]:
    return [number * OVERSAMPLING for number in numbers]


def _vertical(top: Colour, bottom: Colour) -> Image.Image:
    ends = Image.new("RGB", (1, 2), top)
    ends.putpixel((0, 1), bottom)
    column = ends.resize((1, SIZE), Image.Resampling.BILINEAR, box=(0, 0.5, 1, 1.5))
    return column.resize((SIZE, SIZE), Image.Resampling.NEAREST)


def _filled(fill: Fill, size: tuple[int, int]) -> Image.Image:
    if len(fill) == 3:
        return Image.new("RGB", size, fill)
    first, last = fill
    corners = Image.new("RGB", (2, 2), first)
    corners.putpixel((1, 1), last)
    middle = tuple((a + b) // 2 for a, b in zip(first, last, strict=True))
    corners.putpixel((0, 1), middle)
    corners.putpixel((1, 0), middle)
    return corners.resize(size, Image.Resampling.BILINEAR, box=(0.5, 0.5, 1.5, 1.5))
