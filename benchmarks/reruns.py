"""One rerun of the Offers page: how long its script takes, and what it costs the server."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser

from benchmarks.catalogue import fill, paint_covers
from benchmarks.harness import (
    NotMeasuredError,
    Row,
    Server,
    cpu_seconds,
    folder,
    percentile,
    server,
    tell,
)
from benchmarks.screen import Websocket, flip, new_page, wait_until_painted
from core.products import PAGE_SIZE
from tests.browser import launched

SMALL, LARGE = 100, 100_000
_SCRIPT_MS, _CPU_MS, _RATIO = 60, 120, 1.5
_ROUND = ("Next page",) * 3 + ("Previous page",) * 3
_ROUNDS = 3
_COVERS = 6
_IDLE_S = 10.0


@dataclass
class Costs:
    """Of each page flip, in milliseconds."""

    script: list[float] = field(default_factory=list)
    """What the script runs of one flip took, by a stopwatch in the server."""
    answer: list[float] = field(default_factory=list)
    """From the browser's request to the arrival of the message that the script has finished."""
    cpu: list[float] = field(default_factory=list)
    runs: int = 0


def measure() -> list[Row]:
    """Flip pages of 24 cards, at the beginning and at the end of a short and of a long list."""
    covers = paint_covers(_COVERS)
    costs = {}
    for products in (SMALL, LARGE):
        with folder() as data:
            tell(f"filling a database with {products:,} offers")
            fill(data, products, covers)
            tell("flipping pages")
            times = data / "script_times"
            with server(data, times=times) as dashboard, launched() as browser:
                costs[products] = _flip_pages(dashboard, browser, products, times)
    small, large = costs[SMALL], costs[LARGE]
    return [
        _row("script time", SMALL, small.script, limit=_SCRIPT_MS),
        _row("script time", LARGE, large.script, base=small.script),
        _row("CPU of the whole server process", SMALL, small.cpu, limit=_CPU_MS),
        _row("CPU of the whole server process", LARGE, large.cpu, base=small.cpu),
        _row("the browser's request to the last message back", SMALL, small.answer),
        _row("the browser's request to the last message back", LARGE, large.answer),
        Row(
            "runs of the script for one flip",
            "",
            f"{small.runs / len(small.script):.2f} and {large.runs / len(large.script):.2f}",
        ),
    ]


def _flip_pages(dashboard: Server, browser: Browser, products: int, times: Path) -> Costs:
    costs = Costs()
    last_full_page = products // PAGE_SIZE
    for first in (1, last_full_page - len(_ROUND) // 2):
        with new_page(browser) as page:
            websocket = Websocket(page)
            page.goto(f"{dashboard.url}/?page={first}")
            wait_until_painted(page, PAGE_SIZE)
            for button in _ROUND:  # these pages' pictures are in the browser's cache from here on
                flip(page, button)
                websocket.settle()
            idle = _idle_cpu(dashboard)
            for button in _ROUND * _ROUNDS:
                done, timed = len(websocket.runs), len(_read(times))
                before, start = _cpu(dashboard), time.monotonic()
                flip(page, button)
                websocket.settle()
                used = _cpu(dashboard) - before - idle * (time.monotonic() - start)
                runs, script = websocket.runs[done:], _read(times)[timed:]
                if not runs or not script:
                    raise NotMeasuredError("a page flip did not run the page's script")
                costs.script.append(sum(script) * 1000)
                costs.answer.append((runs[-1].finished - runs[0].asked) * 1000)
                costs.cpu.append(used * 1000)
                costs.runs += len(script)
    return costs


def _read(times: Path) -> list[float]:
    return [float(line) for line in times.read_text().split()] if times.exists() else []


def _idle_cpu(dashboard: Server) -> float:
    """Return the share of a core that the server uses while nobody does anything."""
    before, start = _cpu(dashboard), time.monotonic()
    time.sleep(_IDLE_S)
    return (_cpu(dashboard) - before) / (time.monotonic() - start)


def _cpu(dashboard: Server) -> float:
    return cpu_seconds(dashboard.pid) or 0.0


def _row(
    what: str,
    products: int,
    values: Sequence[float],
    *,
    limit: float | None = None,
    base: Sequence[float] = (),
) -> Row:
    p50 = percentile(values, 50)
    figure = f"one Offers rerun, 24 cards, {products:,} products: {what}"
    measured = f"p50 {p50:.0f} ms, p95 {percentile(values, 95):.0f} ms"
    if limit:
        target, is_reached = f"p50 ≤ {limit:.0f} ms", p50 <= limit
    elif base:
        ratio = p50 / percentile(base, 50) if any(base) else 0.0
        target, is_reached = f"p50 ≤ {_RATIO} × that at {SMALL}", ratio <= _RATIO
        measured += f"; {ratio:.2f} ×"
    else:
        return Row(figure, "", measured)
    if not any(values):
        return Row(figure, target, "can be read on Linux only")
    return Row(figure, target, measured, is_reached)
