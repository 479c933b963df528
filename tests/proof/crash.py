"""Kill a process, or refuse its call, at each call that changes a file; see that nothing is lost.

``python -m tests.proof.crash`` needs Linux and strace. It prints a table, and each finding; it ends
with 1 if there is one, or if a deed in the wrong order goes unnoticed.
"""

import argparse
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from sqlmodel import select

from core.database import reading
from core.ledger import CallState
from core.models import PaidCall
from tests.proof import deeds
from tests.proof.deeds import DEEDS, WRONG, Deed, Findings, examine, open_app, prepare
from tests.simulators.openai import OpenAISimulator

CALLS = (
    "openat", "write", "pwrite64", "writev", "pwritev", "fsync", "fdatasync", "ftruncate",
    "fallocate", "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat",
    "mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "utimensat", "copy_file_range", "sendfile",
)  # fmt: skip
KILL = "signal=KILL"
FAULTS = {"kill": KILL, "EIO": "error=EIO", "ENOSPC": "error=ENOSPC"}
_FAULTY = {
    "kill": CALLS,
    "EIO": ("fsync", "fdatasync"),
    "ENOSPC": ("openat", "write", "pwrite64", "ftruncate", "fallocate", "mkdir", "rename"),
}
"""Which calls meet which fault."""
_LONGEST_S = 60.0
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.proof.deeds", "core.jobs", "core.clients.openai_images"])


@dataclass(frozen=True)
class Point:
    """The ``number``-th time that a call of this name is made."""

    call: str
    number: int
    place: str


@dataclass
class Life:
    """How a process fared: what it said in the end, if it came to that."""

    word: str = ""
    second: str = ""
    """What it said when it tried again after a refusal."""


@dataclass
class Row:
    """What came of one deed under one fault."""

    deed: str
    fault: str
    points: int = 0
    done: int = 0
    """How often it was done all the same."""
    findings: Findings = field(default_factory=list)


def points_of(deed: Deed, start: Path) -> list[Point]:
    """Return the calls with which a deed changes files, in order, as strace sees them."""
    with _site(start) as (folder, _openai, settings):
        log = folder / "calls.txt"
        trace = ["-y", "-o", str(log), "-e", f"trace={','.join(CALLS)}"]
        life = _live(deed, folder, settings, trace)
        if life.word != "done":
            raise RuntimeError(f"{deed.name} does not even work undisturbed: {life.word}")
        return list(_changing(log.read_text(), folder))


def try_all(deed: Deed, fault: str, *, every: int = 1) -> Row:
    """Meet a deed with a fault at each of its points, or at every so many."""
    row = Row(deed.name, fault)
    with TemporaryDirectory(prefix="capista-crash-") as name:
        start = Path(name) / "start"
        prepare(deed, start)
        points = [point for point in points_of(deed, start) if point.call in _FAULTY[fault]]
        for point in points[::every]:
            row.points += 1
            with _site(start) as (folder, openai, settings):
                inject = f"inject={point.call}:{FAULTS[fault]}:when={point.number}"
                trace = ["-o", os.devnull, "-e", f"trace={point.call}", "-e", inject]
                life = _live(deed, folder, settings, trace)
                row.done += life.word == "done"
                found = _judge(deed, folder, life, openai, settings)
                row.findings += [f"{deed.name}, {fault} at {point}: {line}" for line in found]
    return row


def _judge(
    deed: Deed, folder: Path, life: Life, openai: OpenAISimulator, settings: dict[str, Any]
) -> Findings:
    found = []
    if life.word.startswith("broke") or (life.second and life.second != "done"):
        found.append(f"it said {life.word!r}, and then {life.second!r}")
    try:
        found += examine(deed, folder, done="done" in (life.word, life.second), **settings)
        found += _overpaid(folder, openai, settings)
    except Exception as error:
        found.append(f"it does not start again: {error!r} {error.__cause__!r}")
    return found


def _overpaid(folder: Path, openai: OpenAISimulator, settings: dict[str, Any]) -> Findings:
    """Return what is wrong if the service charged for more than the ledger knows of."""
    app = open_app(folder, **settings)
    with reading(app.engine) as session:
        calls = session.exec(select(PaidCall)).all()
    app.engine.dispose()
    known = sum(call.state in (CallState.CHARGED, CallState.UNKNOWN) for call in calls)
    return [] if openai.bill <= known else [f"{openai.bill} pictures billed, {known} known of"]


@contextmanager
def _site(start: Path) -> Iterator[tuple[Path, OpenAISimulator, dict[str, Any]]]:
    """Yield a copy of the folder to start from, an image service, and the settings for it."""
    with TemporaryDirectory(prefix="capista-crash-") as name, OpenAISimulator() as openai:
        folder = Path(name) / "site"
        shutil.copytree(start, folder)
        settings = {
            "openai_api_key": openai.key,
            "openai_base_url": openai.url,
            "images_per_minute": 0,
        }
        yield folder, openai, settings


def _live(deed: Deed, folder: Path, settings: dict[str, Any], options: Sequence[str]) -> Life:
    """Have a process do the deed under strace."""
    ours, theirs = _forks.Pipe()
    process = _forks.Process(target=deeds.live, args=(deed.name, folder, settings, theirs))
    with _no_main():
        process.start()
    theirs.close()
    life = Life()
    tracer = None
    try:
        ours.recv()
        tracer = subprocess.Popen(
            ["strace", "-p", str(process.pid), *options], stderr=subprocess.PIPE, text=True
        )
        assert tracer.stderr is not None
        if "attached" not in (line := tracer.stderr.readline()):
            raise RuntimeError(f"strace: {line}")
        ours.send("go")
        if not ours.poll(_LONGEST_S):
            raise RuntimeError(f"{deed.name} hangs")
        life = Life(*ours.recv())
    except EOFError:
        pass  # it was killed
    finally:
        process.join(_LONGEST_S)
        process.kill()
        if tracer:
            tracer.wait()
            tracer.stderr.close()  # type: ignore[union-attr]
    return life


def _changing(log: str, folder: Path) -> Iterator[Point]:
    """Yield the calls of a log that change a file in the folder."""
    numbers: Counter[str] = Counter()
    for line in log.splitlines():
        match = re.match(r"(\w+)\((.*)", line)
        if not match or match[1] not in CALLS:
            continue
        call, given = match[1], match[2]
        numbers[call] += 1
        places = re.findall(re.escape(str(folder)) + r"/([^\"<>]*)", given.split(" = ")[0])
        if places and (call != "openat" or "O_CREAT" in given):
            yield Point(call, numbers[call], re.sub("[0-9a-f]{16,}", "…", places[-1]))


@contextmanager
def _no_main() -> Iterator[None]:
    """Keep the new process from running what this one was started with, or what was put there."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def is_possible() -> str | None:
    """Return why crashes can't be tried on this machine; nothing if they can."""
    if not sys.platform.startswith("linux"):
        return "needs Linux"
    if not shutil.which("strace"):
        return "needs strace (on Debian and Ubuntu: apt-get install strace)"
    if subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True).returncode:
        return "needs the right to trace processes"
    return None


def main() -> None:
    """Try what was asked for and print what came of it."""
    parser = argparse.ArgumentParser(description="Kills and faults at each file-changing call.")
    parser.add_argument("deeds", nargs="*", help=", ".join(DEEDS), default=list(DEEDS))
    parser.add_argument("--fault", choices=FAULTS, action="append", help="default: all")
    parser.add_argument("--every", type=int, default=1, help="try only every so many-th call")
    given = parser.parse_args()
    if why := is_possible():
        sys.exit(why)
    print("| deed | fault | calls tried | done all the same | lost or wrong |")
    print("|---|---|---|---|---|")
    findings: Findings = []
    for name in given.deeds:
        for fault in given.fault or FAULTS:
            row = try_all(DEEDS[name], fault, every=given.every)
            findings += row.findings
            print(
                f"| {name} | {fault} | {row.points} | {row.done} | {len(row.findings)} |",
                flush=True,
            )
    caught = try_all(WRONG, "kill").findings
    print(f"| {WRONG.name} (on purpose) | kill | | | {len(caught)} caught |")
    print("\n".join(findings))
    sys.exit(bool(findings) or not caught)


if __name__ == "__main__":
    main()
