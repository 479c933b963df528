"""Ten thousand products from a Hotmart that never waits, and the same once more."""

import json
import urllib.request
import uuid
from typing import Any

from benchmarks.harness import NotMeasuredError, Row, folder, run_module, simulator, tell
from core.models import JobState
from tests.simulators.hotmart import CLIENT_ID, CLIENT_SECRET

_PRODUCTS = 10_000
_LIMIT_S, _LIMIT_MB = 15.0, 400
_PATIENCE_S = 600.0
_MIXES = ((_PRODUCTS, 0), (2_000, 8_000))


def measure() -> list[Row]:
    """Sync created products, each with a price of its own to read, then a mix with promoted."""
    return [row for created, promoted in _MIXES for row in _rows(created, promoted)]


def _rows(created: int, promoted: int) -> list[Row]:
    what = f"sync of {created:,} created products with a price each"
    if promoted:
        what = f"sync of {created:,} created and {promoted:,} promoted products"
    tell(what)
    figures = _sync_twice(created, promoted)
    first, again = figures["first"], figures["again"]
    rows = [
        Row(
            what,
            f"≤ {_LIMIT_S:.0f} s",
            f"{first['seconds']:.1f} s",
            first["seconds"] <= _LIMIT_S,
        ),
        _memory_row(what, figures),
    ]
    written = figures["product_rows_written"]
    rows.append(
        Row(
            f"{what}: again, nothing changed",
            "0 product rows written",
            f"{written} product rows and {figures['offer_rows_written']} price rows written,"
            f" {again['unchanged']:,} unchanged, {again['seconds']:.1f} s",
            written == 0,
        )
    )
    return rows


def _memory_row(what: str, figures: dict[str, Any]) -> Row:
    figure, target = f"{what}: peak memory of the process", f"≤ {_LIMIT_MB} MB"
    if figures["peak"] is None:
        return Row(figure, target, "can be read on Linux only")
    peak, both = figures["peak"] / 1e6, figures["peak_after_both"] / 1e6
    return Row(figure, target, f"{peak:.0f} MB ({both:.0f} MB after both syncs)", both <= _LIMIT_MB)


def _create_products(url: str, count: int) -> None:
    """Let the simulator have products, each with a ``ucode`` of its own and a main offer."""
    orders = [
        {
            "do": "add_product",
            "with": {"price": 19 + number % 400 + 0.9, "ucode": str(uuid.UUID(int=number << 80))},
        }
        for number in range(1, count + 1)
    ]
    request = urllib.request.Request(f"{url}/_control", json.dumps(orders).encode())
    urllib.request.urlopen(request, timeout=60).close()


def _sync_twice(created: int, promoted: int) -> dict[str, Any]:
    with simulator("hotmart", "--sales", str(promoted)) as url, folder() as data:
        _create_products(url, created)
        output = run_module(
            "benchmarks.jobs_process",
            "sync",
            data=data,
            limit_s=_PATIENCE_S,
            HOTMART_CLIENT_ID=CLIENT_ID,
            HOTMART_CLIENT_SECRET=CLIENT_SECRET,
            HOTMART_API_URL=url,
            HOTMART_AUTH_URL=url,
            COVERS_PER_SYNC="0",
        )
    figures: dict[str, Any] = json.loads(output)
    for run in (figures["first"], figures["again"]):
        if run["state"] != JobState.SUCCEEDED or run["seen"] != created + promoted:
            raise NotMeasuredError(f"the sync ended as {run}")
    if figures["products"] != created + promoted or figures["offers"] < created:
        raise NotMeasuredError(f"the sync brought in {figures}")
    return figures
