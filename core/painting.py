"""What every painter takes and gives, be it a paid service or our own typesetting."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True)
class PaintOrder:
    """One cover to paint.

    ``prompt`` is what the marketer wrote, or the built prompt of the offer. ``variant`` differs
    from order to order, so that painting again gives another picture.
    """

    title: str
    producer: str | None
    prompt: str
    variant: int = 0


@dataclass(frozen=True)
class Painting:
    """A painter's answer: the file as it came, unchecked, and what is known of its making."""

    data: bytes
    model: str | None = None
    quality: str | None = None
    size: str | None = None
    cost_usd: Decimal | None = None


class Painter(Protocol):
    """Paints covers. ``is_paid`` says whether each one costs money."""

    is_paid: bool

    def paint(self, order: PaintOrder) -> Painting:
        """Paint one cover.

        :raises ServiceError: if the service failed; its ``permanent`` says not to try again
        """
        ...
