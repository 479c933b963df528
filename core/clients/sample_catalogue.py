"""Sample offers for a Capista that is connected to nothing, in Hotmart's own wire shapes."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from core.clients.hotmart import RemoteProduct, merge, parse_offers, parse_products, parse_sales

SAMPLE_FILE = Path(__file__).parents[2] / "data" / "sample_catalogue.json"


class SampleCatalogue:
    """Reads the shipped catalogue through the parser that reads Hotmart's answers."""

    def __init__(self, file: Path = SAMPLE_FILE) -> None:
        self._file = file

    def read_catalogue(
        self, *, now: datetime, report: Callable[[str, int, int | None], None]
    ) -> list[RemoteProduct]:
        """Return all sample offers; ``report`` is told each step as it is done."""
        with self._file.open(encoding="utf-8") as file:
            sample = json.load(file, parse_float=Decimal)
        created, _next = parse_products(sample["products"])
        report("products", len(created), len(created))
        with_offers = []
        for product in created:
            offers, _next = parse_offers(sample["offers"].get(product.ucode) or {})
            with_offers.append(replace(product, offers=tuple(offers)))
        report("offers", len(created), len(created))
        sales, _next = parse_sales(sample["sales"])
        report("sales", len(sales), len(sales))
        return merge(with_offers, sales)
