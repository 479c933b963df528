"""Thirteen ways to fill a square, each of which leaves a quiet place for the title.

A composition paints with a palette and a dice, and answers with a ``Stage``: where the words go and
where a sign of the topic may stand. Inside the words' box it paints nothing but the palette's
grounds, on which the ink reads.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from core.built_in_covers.canvas import SIZE, Canvas, Pen, blob, wave
from core.built_in_covers.palettes import Colour, Palette, mix

MARGIN = 108
"""Words keep this far from every edge, so that a crop to a circle or a banner spares them."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Spot:
    """Where a sign stands, how large, and the colour it stands on."""

    x: float
    y: float
    size: float
    on: Colour


@dataclass(frozen=True)
class Stage:
    """A painted background and the places it leaves."""

    canvas: Canvas
    words: Box
    spot: Spot
    centred: bool = False
    vertical: Literal["top", "middle", "bottom"] = "top"

    def mirrored(self) -> "Stage":
        """Swap left and right."""
        self.canvas.mirror()
        left, top, right, bottom = self.words
        return replace(
            self,
            words=(SIZE - right, top, SIZE - left, bottom),
            spot=replace(self.spot, x=SIZE - self.spot.x),
        )


Composition = Callable[[Palette, Random], Stage]


def waves(palette: Palette, dice: Random) -> Stage:
    """A sun sinking into five swells of paper."""
    deep, middle, light = palette.grounds
    first, second, third, fourth = palette.accents
    canvas = Canvas(light, deep)
    x = dice.uniform(820, 900)
    with canvas.layer(mix(light, second, 0.35)) as pen:
        pen.circle(x, 830, 235)
    with canvas.layer((mix(second, fourth, 0.25), second), shadow=True) as pen:
        pen.circle(x, 830, 190)
    colours = (mix(middle, third, 0.45), third, mix(third, first, 0.5), first)
    for step, colour in enumerate(colours):
        with canvas.layer((mix(colour, fourth, 0.18), colour), shadow=True) as pen:
            pen.polygon(
                wave(
                    925 + 74 * step,
                    dice.uniform(20, 34),
                    dice.uniform(700, 1000),
                    dice.uniform(0, math.tau),
                    tilt=dice.uniform(-40, 40),
                )
            )
    return Stage(canvas, _top(480), Spot(x, 785, 185, second))


def sunburst(palette: Palette, dice: Random) -> Stage:
    """Rays from a rising sun."""
    _, middle, light = palette.grounds
    first, second, third, fourth = palette.accents
    canvas = Canvas(middle, middle)
    rays = dice.choice((14, 18, 22))
    turn = dice.uniform(0, math.tau)
    with canvas.layer(light) as pen:
        for ray in range(rays):
            start = turn + ray * math.tau / rays
            end = start + math.pi / rays
            far = [(600 + 1700 * math.cos(a), 1130 + 1700 * math.sin(a)) for a in (start, end)]
            pen.polygon([(600, 1130), *far])
    for radius, colour in ((440, third), (375, first), (310, second)):
        with canvas.layer((mix(colour, fourth, 0.2), colour), shadow=True) as pen:
            pen.circle(600, 1130, radius)
    with canvas.layer(fourth) as pen:
        for step in range(13):
            angle = math.pi * (1 + step / 12)
            pen.circle(600 + 407 * math.cos(angle), 1130 + 407 * math.sin(angle), 11)
    return Stage(canvas, _top(545), Spot(600, 985, 240, second), True, "middle")


def arcs(palette: Palette, dice: Random) -> Stage:
    """A rainbow growing out of the corner."""
    deep, middle, light = palette.grounds
    first, second, third, fourth = palette.accents
    canvas = Canvas(middle, deep)
    colours = [first, fourth, second, third]
    dice.shuffle(colours)
    with canvas.layer(mix(deep, light, 0.9)) as pen:
        pen.circle(SIZE, SIZE, 655)
    for radius, colour in zip((575, 490, 405, 320), colours, strict=True):
        with canvas.layer((mix(colour, fourth, 0.15), colour), shadow=True) as pen:
            pen.circle(SIZE, SIZE, radius)
    with canvas.layer(deep, shadow=True) as pen:
        pen.circle(SIZE, SIZE, 235)
    with canvas.layer(colours[0]) as pen:
        for step in range(4):
            pen.circle(MARGIN + 26 + 76 * step, SIZE - MARGIN - 26, 20 - 4 * step)
    return Stage(canvas, _top(485), Spot(1088, 1092, 150, deep))


def diagonal(palette: Palette, dice: Random) -> Stage:
    """A bold slope with bands running along its edge."""
    _, middle, light = palette.grounds
    first, second, third, fourth = palette.accents
    canvas = Canvas(light, middle)
    rise = dice.uniform(260, 370)
    level = 1045.0

    def slope(down: float) -> list[tuple[float, float]]:
        return [(0, level + down), (SIZE, level + down - rise), (SIZE, 1700), (0, 1700)]

    for down, colour in ((-70, fourth), (-35, third), (0, second), (70, first)):
        with canvas.layer((mix(colour, fourth, 0.15), colour), shadow=True) as pen:
            pen.polygon(slope(down))
    return Stage(canvas, _top(475), Spot(950, 1025, 215, first))


def paper_cut(palette: Palette, dice: Random) -> Stage:
    """Looking down through sheets of cut paper."""
    _, middle, light = palette.grounds
    first, second, _, _ = palette.accents
    canvas = Canvas(light, middle)
    sheets = [mix(middle, first, 0.55), first, mix(first, second, 0.6), second]
    for step, colour in enumerate(sheets):
        with canvas.layer(colour, shadow=True) as pen:
            pen.rectangle(-5, -5, SIZE + 5, SIZE + 5)
            hole = blob(
                600 + dice.uniform(-8, 8),
                600 + dice.uniform(-8, 8),
                492 + 38 * step,
                478 + 38 * step,
                0.03,
                dice.uniform(0, math.tau),
                square=3.4,
            )
            pen.polygon(hole, cut=True)
    return Stage(canvas, (195, 440, 1005, 950), Spot(600, 322, 190, light), True, "middle")


def hills(palette: Palette, dice: Random) -> Stage:
    """A landscape whose foreground carries the title."""
    deep, middle, _ = palette.grounds
    first, second, third, fourth = palette.accents
    canvas = Canvas(mix(first, fourth, 0.15), mix(first, fourth, 0.7))
    x = dice.uniform(760, 900)
    with canvas.layer(mix(first, fourth, 0.75)) as pen:
        pen.circle(x, 275, 215)
    with canvas.layer(fourth) as pen:
        pen.circle(x, 275, 165)
    peaks = [(-10.0, 560.0)]
    while peaks[-1][0] < SIZE:
        across = dice.uniform(110, 190)
        is_peak = len(peaks) % 2 == 1
        height = dice.uniform(270, 380) if is_peak else dice.uniform(450, 500)
        peaks.append((peaks[-1][0] + across, height))
    with canvas.layer((mix(second, fourth, 0.35), second), shadow=True) as pen:
        pen.polygon([*peaks, (SIZE + 10, SIZE), (-10, SIZE)])
    for level, colour in ((470, third), (540, mix(third, deep, 0.5)), (585, deep)):
        fill = (colour, middle) if colour == deep else (mix(colour, fourth, 0.15), colour)
        with canvas.layer(fill, shadow=True) as pen:
            pen.polygon(
                wave(level, 22, 1050, dice.uniform(0, math.tau), tilt=dice.choice((-50, 50)))
            )
    return Stage(
        canvas, (MARGIN, 665, SIZE - MARGIN, 1092), Spot(x, 262, 175, fourth), vertical="middle"
    )


def halftone(palette: Palette, dice: Random) -> Stage:
    """Printed dots fading away from a medallion."""
    deep, middle, _ = palette.grounds
    first, second, third, fourth = palette.accents
    canvas = Canvas(middle, deep)
    x, y = dice.uniform(850, 930), 275.0
    with canvas.layer((second, first)) as pen:
        pitch = 46
        for row in range(14):
            for column in range(-1, 28):
                at_x = column * pitch + (row % 2) * pitch / 2
                at_y = row * pitch * 0.87
                fade = 1 - math.hypot((at_x - x) * 0.62, at_y - y + 60) / 500
                if fade > 0.06 and at_y < 545:
                    pen.circle(at_x, at_y, 23 * min(1, fade * 1.15))
    with canvas.layer(fourth, shadow=True) as pen:
        pen.circle(x, y, 190)
    with canvas.layer(third) as pen:
        pen.ring(x, y, 168, 9)
    return Stage(
        canvas, (MARGIN, 590, SIZE - MARGIN, 1092), Spot(x, y, 200, fourth), vertical="bottom"
    )


def tiles(palette: Palette, dice: Random) -> Stage:
    """Two rows of Bauhaus tiles."""
    _, middle, _ = palette.grounds
    canvas = Canvas(middle, middle)
    side = SIZE // 4
    at_bottom = dice.random() < 0.5
    first_row = SIZE - 2 * side if at_bottom else 0
    cells = [(column * side, first_row + row * side) for row in range(2) for column in range(4)]
    medallion = cells[dice.choice((1, 2, 5, 6))]
    shapes: dict[Colour, list[Callable[[Pen], None]]] = {}
    colours = _shuffled_accents(palette, dice, len(cells))
    for (x, y), (back, front) in zip(cells, colours, strict=True):
        with canvas.layer(back) as pen:
            pen.rectangle(x, y, x + side, y + side)
        if (x, y) == medallion:
            on = back
            continue
        shapes.setdefault(front, []).append(_tile(x, y, side, dice))
    for colour, drawers in shapes.items():
        with canvas.layer(colour) as pen:
            for draw in drawers:
                draw(pen)
    words = (
        (MARGIN, MARGIN, SIZE - MARGIN, 545) if at_bottom else (MARGIN, 655, SIZE - MARGIN, 1092)
    )
    spot = Spot(medallion[0] + side / 2, medallion[1] + side / 2, 195, on)
    return Stage(canvas, words, spot, vertical="middle")


def spheres(palette: Palette, dice: Random) -> Stage:
    """Shaded balls of very different sizes."""
    deep, _, light = palette.grounds
    first, second, third, fourth = palette.accents
    canvas = Canvas(light, deep)
    x, y = dice.uniform(820, 900), dice.uniform(930, 960)
    balls = (
        (dice.uniform(250, 330), 1010, 165, third),
        (dice.uniform(510, 560), 870, 62, fourth),
        (x, y, 315, first),
        (x - 320, y + 190, 120, second),
        (1122, 672, 42, second),
    )
    for at_x, at_y, radius, colour in balls:
        with canvas.layer(
            (mix(colour, (255, 255, 255), 0.3), mix(colour, deep, 0.18)), shadow=True
        ) as pen:
            pen.circle(at_x, at_y, radius)
    return Stage(canvas, _top(470), Spot(x + 10, y - 20, 290, first))


def label(palette: Palette, dice: Random) -> Stage:
    """A card on wallpaper, with a seal."""
    _, middle, light = palette.grounds
    first, second, _, fourth = palette.accents
    canvas = Canvas(first, mix(first, second, 0.3))
    pattern = dice.choice(("stripes", "scales", "diamonds"))
    with canvas.layer(mix(first, fourth, 0.42)) as pen:
        if pattern == "stripes":
            for x in range(-SIZE, SIZE, 120):
                pen.polygon([(x, SIZE), (x + SIZE, 0), (x + SIZE + 60, 0), (x + 60, SIZE)])
        for row in range(13):
            for column in range(13):
                x, y = column * 100 + (row % 2) * 50, row * 100
                if pattern == "scales":
                    pen.ring(x, y, 62, 15)
                elif pattern == "diamonds":
                    pen.polygon([(x, y - 34), (x + 34, y), (x, y + 34), (x - 34, y)])
    with canvas.layer((light, middle), shadow=True) as pen:
        pen.rectangle(MARGIN, 190, SIZE - MARGIN, SIZE - MARGIN, radius=44)
    with canvas.layer(second) as pen:
        pen.rectangle(MARGIN + 24, 214, SIZE - MARGIN - 24, SIZE - MARGIN - 24, radius=28)
    with canvas.layer((light, middle)) as pen:
        pen.rectangle(MARGIN + 30, 220, SIZE - MARGIN - 30, SIZE - MARGIN - 30, radius=23)
    with canvas.layer((mix(second, fourth, 0.15), second), shadow=True) as pen:
        pen.circle(600, 225, 140)
    return Stage(canvas, (185, 400, 1015, 1030), Spot(600, 225, 165, second), True, "middle")


def ribbon(palette: Palette, dice: Random) -> Stage:
    """A column of half circles beside the title."""
    _, middle, light = palette.grounds
    canvas = Canvas(light, middle)
    side = 300
    colours = _shuffled_accents(palette, dice, 4)
    medallion = dice.choice((0, 3))
    for step, (back, front) in enumerate(colours):
        y = step * side
        with canvas.layer(back) as pen:
            pen.rectangle(0, y, side, y + side)
        if step == medallion:
            on = back
            continue
        with canvas.layer(front) as pen:
            _tile(0, y, side, dice)(pen)
    return Stage(
        canvas,
        (side + 72, MARGIN, SIZE - 84, SIZE - MARGIN),
        Spot(side / 2, medallion * side + side / 2, 195, on),
        vertical="middle",
    )


def orbits(palette: Palette, dice: Random) -> Stage:
    """A planet and its moons on fine rings."""
    deep, middle, light = palette.grounds
    first, second, third, fourth = palette.accents
    canvas = Canvas(middle, deep)
    x, y = dice.uniform(800, 880), dice.uniform(310, 350)
    with canvas.layer(light) as pen:
        for radius in range(290, 1300, 92):
            pen.ring(x, y, radius, 7)
    with canvas.layer((mix(first, fourth, 0.4), first), shadow=True) as pen:
        pen.circle(x, y, 235)
    moons = ((290, 34, second), (382, 52, third), (474, 26, fourth), (382, 20, second))
    for number, (orbit, radius, colour) in enumerate(moons):
        angle = math.radians((160, 205, 186, 140)[number] + dice.uniform(-14, 14))
        with canvas.layer((mix(colour, fourth, 0.3), colour), shadow=True) as pen:
            pen.circle(x + orbit * math.cos(angle), y + orbit * math.sin(angle) * 0.9, radius)
    return Stage(
        canvas, (MARGIN, 640, SIZE - MARGIN, 1092), Spot(x, y, 270, first), vertical="bottom"
    )


def confetti(palette: Palette, dice: Random) -> Stage:
    """Memphis shapes dancing around the title."""
    _, middle, light = palette.grounds
    canvas = Canvas(light, middle)
    places = [
        (
            x + dice.uniform(-28, 28),
            y + dice.uniform(-28, 28),
            dice.randrange(5),
            dice.randrange(360),
        )
        for x in range(70, SIZE, 151)
        for y in range(70, SIZE, 151)
        if not (140 < x < 1060 and 330 < y < 1010) and not (380 < x < 820 and y < 420)
    ]
    dice.shuffle(places)
    for number, colour in enumerate(palette.accents):
        with canvas.layer(colour) as pen:
            for x, y, kind, turn in places[number::4]:
                _confetto(pen, x, y, kind, math.radians(turn))
    accent = palette.accents[0]
    with canvas.layer((mix(accent, palette.accents[3], 0.2), accent), shadow=True) as pen:
        pen.polygon(blob(600, 230, 160, 160, 0.06, dice.uniform(0, 6)))
    return Stage(canvas, (195, 425, 1005, 960), Spot(600, 230, 180, accent), True, "middle")


COMPOSITIONS: tuple[Composition, ...] = (
    waves,
    tiles,
    paper_cut,
    halftone,
    spheres,
    label,
    hills,
    arcs,
    ribbon,
    sunburst,
    orbits,
    diagonal,
    confetti,
)


def _top(bottom: int) -> Box:
    return MARGIN, MARGIN, SIZE - MARGIN, MARGIN + bottom


def _shuffled_accents(palette: Palette, dice: Random, count: int) -> list[tuple[Colour, Colour]]:
    """Return pairs of different accents, no two neighbours with the same back."""
    pairs: list[tuple[Colour, Colour]] = []
    for number in range(count):
        taken = {pairs[at][0] for at in (number - 1, number - 4) if at >= 0}
        back = dice.choice([accent for accent in palette.accents if accent not in taken])
        front = dice.choice([accent for accent in palette.accents if accent != back])
        pairs.append((back, front))
    return pairs


def _tile(x: float, y: float, side: float, dice: Random) -> Callable[[Pen], None]:
    """Return a drawer of one tile's shape, chosen by the dice."""
    right, bottom, half = x + side, y + side, side / 2
    corner = dice.choice(((x, y, 0), (right, y, 90), (right, bottom, 180), (x, bottom, 270)))
    kind = dice.choice(("quarter", "quarter", "circle", "leaf", "triangle", "halves", "rings"))

    def draw(pen: Pen) -> None:
        at_x, at_y, start = corner
        if kind == "quarter":
            pen.slice(at_x, at_y, side, start, start + 90)
        elif kind == "circle":
            pen.circle(x + half, y + half, half * 0.78)
        elif kind == "leaf":
            pen.slice(x, y, half, 0, 90)
        elif kind == "triangle":
            pen.polygon([(x, y), (right, y), (x, bottom)])
        elif kind == "halves":
            pen.slice(x + half, y, half, 0, 180)
            pen.slice(x + half, y + half, half, 0, 180)
        else:
            for radius in (0.8, 0.5, 0.2):
                pen.ring(x + half, y + half, half * radius, side * 0.07)

    return draw


def _confetto(pen: Pen, x: float, y: float, kind: int, turn: float) -> None:
    cos, sin = math.cos(turn), math.sin(turn)

    def at(across: float, down: float) -> tuple[float, float]:
        return x + across * cos - down * sin, y + across * sin + down * cos

    if kind == 0:
        pen.circle(x, y, 34)
    elif kind == 1:
        pen.ring(x, y, 40, 14)
    elif kind == 2:
        pen.polygon([at(0, -46), at(42, 30), at(-42, 30)])
    elif kind == 3:
        pen.line([at(-52 + 4 * step, 16 * math.sin(step * 0.8)) for step in range(27)], 15)
    else:
        pen.line([at(-40, 0), at(40, 0)], 17)
        pen.line([at(0, -40), at(0, 40)], 17)
