"""Checking 10,000 pictures, and backing them up while five people work."""

import io
import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import overload

from PIL import Image
from playwright.sync_api import Browser, Page

from benchmarks.catalogue import fill
from benchmarks.harness import Row, Server, folder, percentile, run_module, server, tell
from benchmarks.screen import Websocket, flip, new_page, wait_until_painted
from benchmarks.uploads import photograph
from core.pictures import Picture, accept_painting
from core.products import PAGE_SIZE
from tests.browser import launched

_PICTURES = 10_000
_DIFFERENT = 40
_PEOPLE = 5
_VERIFY_S, _RATIO = 60, 1.5
_BEFORE_S = 45.0
_BETWEEN_CLICKS_MS = 400
_LIMIT_S = 1800.0


class Photographs(Sequence[Picture]):
    """Pictures of 1024 × 1024, of 300 kB about, each made anew from a few when it is asked for."""

    def __init__(self, count: int) -> None:
        self._count = count
        whole = photograph().resize((1600, 1200))
        self._few = [self._cut(whole, number) for number in range(_DIFFERENT)]

    def _cut(self, whole: Image.Image, number: int) -> Picture:
        left, top = 14 * number, 4 * number
        output = io.BytesIO()
        whole.crop((left, top, left + 1024, top + 1024)).save(output, "JPEG", quality=88)
        return accept_painting(output.getvalue())

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, number: int) -> Picture: ...

    @overload
    def __getitem__(self, number: slice) -> "Sequence[Picture]": ...

    def __getitem__(self, number: "int | slice") -> "Picture | Sequence[Picture]":
        """Return one picture: what follows the end of a JPEG changes its digest, not its pixels."""
        if isinstance(number, slice):
            return [self[index] for index in range(*number.indices(self._count))]
        if not 0 <= number < self._count:
            raise IndexError
        like = self._few[number % _DIFFERENT]
        data = like.data + number.to_bytes(4, "big")
        return Picture(data, like.media_type, like.width, like.height, like.thumbnail)


def measure() -> list[Row]:
    """Check 10,000 pictures; back them up beside five people, restore and check the backup."""
    with folder() as data, folder() as elsewhere:
        tell(f"writing {_PICTURES:,} pictures with thumbnails")
        fill(data, _PICTURES, Photographs(_PICTURES))
        tell("checking them")
        used = _cpu_of_ended_processes()
        checked, check_s = _timed("verify", data=data)
        used = _cpu_of_ended_processes() - used
        with server(data) as dashboard, launched() as browser:
            before, during, backup_s = _work_during_a_backup(dashboard, browser, data)
        tell("restoring the backup elsewhere, and checking it")
        run_module("core", "restore", str(data / "all.zip"), data=elsewhere, limit_s=_LIMIT_S)
        restored, _seconds = _timed("verify", data=elsewhere)
    p95_before, p95_during = percentile(before, 95), percentile(during, 95)
    ratio = p95_during / p95_before
    return [
        Row(
            f"verify of {_PICTURES:,} pictures with thumbnails, the whole command",
            f"≤ {_VERIFY_S} s",
            f"{check_s:.0f} s, {used:.0f} s of CPU ({checked})",
            check_s <= _VERIFY_S,
        ),
        Row(
            f"backup of {_PICTURES:,} pictures while {_PEOPLE} people flip pages: theirs, click to"
            " the last message back",
            f"p95 ≤ {_RATIO} × that before",
            f"p95 {p95_during:.0f} ms, before {p95_before:.0f} ms; {ratio:.2f} ×"
            f" ({len(during)} and {len(before)} flips; the backup took {backup_s:.0f} s)",
            ratio <= _RATIO,
        ),
        Row(
            "that backup, restored elsewhere and checked",
            f"checked={_PICTURES} lost=0 mended=0",
            restored,
            restored.startswith(f"checked={_PICTURES} lost=0 mended=0"),
        ),
    ]


def _cpu_of_ended_processes() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _timed(command: str, *arguments: str, data: Path) -> tuple[str, float]:
    start = time.monotonic()
    output = run_module("core", command, *arguments, data=data, limit_s=_LIMIT_S)
    return output.strip(), time.monotonic() - start


def _work_during_a_backup(
    dashboard: Server, browser: Browser, data: Path
) -> tuple[list[float], list[float], float]:
    """Return what page flips took before and during a backup, in milliseconds, and its seconds."""
    with ExitStack() as stack, ThreadPoolExecutor(1) as beside:
        people = []
        for number in range(_PEOPLE):
            page = stack.enter_context(new_page(browser))
            websocket = Websocket(page)
            page.goto(f"{dashboard.url}/?page={2 + 50 * number}")
            wait_until_painted(page, PAGE_SIZE)
            people.append((page, websocket))
        tell(f"{_PEOPLE} people work")
        _flip_once_each(people)
        end = time.monotonic() + _BEFORE_S
        before: list[float] = []
        while time.monotonic() < end:
            before += _flip_once_each(people)
        tell("backing up meanwhile")
        backup: Future[tuple[str, float]] = beside.submit(
            _timed, "backup", str(data / "all.zip"), data=data
        )
        during: list[float] = []
        while not backup.done():
            during += _flip_once_each(people)
        _output, seconds = backup.result()
    return before, during, seconds


def _flip_once_each(people: Sequence[tuple[Page, Websocket]]) -> list[float]:
    """Have one after the other click, without waiting for the others' pages."""
    done = [len(websocket.runs) for _page, websocket in people]
    for page, _websocket in people:
        flip(page, "Next page")
        page.wait_for_timeout(_BETWEEN_CLICKS_MS)
    for _page, websocket in people:
        websocket.settle()
    return [
        (websocket.runs[-1].finished - websocket.runs[first].asked) * 1000
        for first, (_page, websocket) in zip(done, people, strict=True)
        if len(websocket.runs) > first
    ]
