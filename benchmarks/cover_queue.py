"""Covers from a painter who takes a second each: what the queue adds."""

import json
import urllib.request

from benchmarks.catalogue import fill
from benchmarks.harness import NotMeasuredError, Row, folder, run_module, simulator, tell

_COVERS, _LATENCY_S, _AT_ONCE = 40, 1, 4
_LIMIT_S = 1.15 * _COVERS * _LATENCY_S / _AT_ONCE + 3
_PATIENCE_S = 600.0


def measure() -> list[Row]:
    """Order covers for offers without a picture; from the order to the last one attached."""
    tell(f"{_COVERS} covers, {_LATENCY_S} s each, {_AT_ONCE} at once")
    flags = ("--port", "0", "--latency", str(_LATENCY_S))
    with simulator("openai", *flags) as line, folder() as data:
        settings = dict(word.split("=", 1) for word in line.split())
        fill(data, _COVERS)
        output = run_module(
            "benchmarks.jobs_process",
            "covers",
            data=data,
            limit_s=_PATIENCE_S,
            IMAGES_PER_MINUTE="0",
            IMAGES_AT_ONCE=str(_AT_ONCE),
            **settings,
        )
        control = settings["OPENAI_BASE_URL"].removesuffix("/v1") + "/_control"
        with urllib.request.urlopen(control, timeout=10) as answer:
            most_at_once = json.load(answer)["most_at_once"]
    figures = json.loads(output)
    if figures["made"] != _COVERS or figures["ordered"] != _COVERS:
        raise NotMeasuredError(f"{figures['made']} of {_COVERS} covers were made")
    seconds = figures["seconds"]
    return [
        Row(
            f"{_COVERS} covers, painter latency {_LATENCY_S} s, {_AT_ONCE} at once, no rate limit",
            f"≤ {_LIMIT_S:.1f} s (1.15 × N·L/C + 3 s)",
            f"{seconds:.1f} s ({most_at_once} at once were seen by the service)",
            seconds <= _LIMIT_S and most_at_once <= _AT_ONCE,
        )
    ]
