"""Runs all measurements, or those named, and prints one Markdown table."""

import argparse
import os
import platform
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

from benchmarks import cover_queue, first_sync, reruns, safekeeping, syncs, thumbnails, uploads
from benchmarks.harness import Row
from core.database import sqlite_module

MEASUREMENTS: dict[str, Callable[[], list[Row]]] = {
    "reruns": reruns.measure,
    "thumbnails": thumbnails.measure,
    "first_sync": first_sync.measure,
    "syncs": syncs.measure,
    "cover_queue": cover_queue.measure,
    "uploads": uploads.measure,
    "safekeeping": safekeeping.measure,
}


def machine() -> str:
    """Return what the figures were taken on."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = models[0].partition(":")[2].strip() if models else processor
    parts = [f"{processor}, {os.cpu_count()} cores"]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        parts.append(f"{memory / 2**30:.0f} GB memory")
    if hasattr(os, "getloadavg"):
        parts.append(f"load before {os.getloadavg()[0]:.1f}")
    parts += [
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite_module().sqlite_version}",
        f"Streamlit {version('streamlit')}",
        date.today().isoformat(),
    ]
    return "; ".join(parts)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    verdicts = {True: "yes", False: "no", None: "–"}
    lines = ["| figure | target | measured | verdict |", "|---|---|---|---|"]
    for row in rows:
        cells = (row.figure, row.target or "–", row.measured, verdicts[row.is_reached])
        lines.append(
            "| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in cells) + " |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure; exit with 1 only if something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(MEASUREMENTS)}; all by default")
    chosen = parser.parse_args().names or list(MEASUREMENTS)
    if unknown := set(chosen) - set(MEASUREMENTS):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every block is left properly
    described = machine()
    rows: list[Row] = []
    failed = False
    for name in chosen:
        print(name, file=sys.stderr, flush=True)
        try:
            rows += MEASUREMENTS[name]()
        except Exception as error:
            traceback.print_exc()
            rows.append(Row(name, "", f"not measured: {error}"))
            failed = True
    print(f"{described}\n\n{table(rows)}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
