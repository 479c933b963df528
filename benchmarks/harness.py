"""What the measurements share: processes of their own, waiting, and rows of the table.

The server is started as a marketer starts it, in a temporary folder, with no setting of the
machine and no ``.env`` in reach. Every process ends, and every folder goes, with its block.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import IO, TypeVar

from playwright.sync_api import Error as PlaywrightError

from core.settings import Settings, read_settings

ROOT = Path(__file__).parents[1]
_START_LIMIT_S = 60.0
_END_LIMIT_S = 15.0
_T = TypeVar("_T")


class NotMeasuredError(Exception):
    """A figure could not be taken. That something is slow is no reason."""


@dataclass(frozen=True)
class Row:
    """One line of the table. ``is_reached`` is None where there is nothing to reach."""

    figure: str
    target: str
    measured: str
    is_reached: bool | None = None


@dataclass(frozen=True)
class Server:
    """A dashboard that runs in a process of its own."""

    url: str
    pid: int


def tell(text: str) -> None:
    """Say on stderr what goes on; stdout is the table's."""
    print(f"  {text}", file=sys.stderr, flush=True)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that ``percent`` of the values do not exceed."""
    return sorted(values)[max(0, ceil(len(values) * percent / 100) - 1)]


def wait_for(
    condition: Callable[[], _T], what: str, *, limit_s: float, every_s: float = 0.02
) -> _T:
    """Return the condition's answer as soon as there is one.

    :raises NotMeasuredError: if it takes longer than ``limit_s``
    """
    end = time.monotonic() + limit_s
    while not (answer := condition()):
        if time.monotonic() > end:
            raise NotMeasuredError(f"{what} did not happen within {limit_s:.0f} s")
        time.sleep(every_s)
    return answer


@contextmanager
def folder() -> Iterator[Path]:
    """Yield a new folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="capista-bench-", ignore_cleanup_errors=True) as path:
        yield Path(path)


def settings_in(data: Path) -> Settings:
    """Return the settings of a dashboard whose data is in this folder, for filling it."""
    return read_settings(_env_file=None, data_dir=data)


def environment(data: Path, **settings: str) -> dict[str, str]:
    """Return the variables of a process whose data is in this folder, with these settings only."""
    names = {name.upper() for name in Settings.model_fields}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper() not in names and not name.startswith("STREAMLIT_")
    }
    return kept | {"DATA_DIR": str(data), "PYTHONPATH": str(ROOT)} | settings


@contextmanager
def server(data: Path, *, times: Path | None = None) -> Iterator[Server]:
    """Yield a dashboard as ``make run`` starts it, once it answers.

    With ``times`` a stopwatch writes there how long each run of a page's script took.
    """
    port = _free_port()
    url = f"http://localhost:{port}"
    start = ["benchmarks.timed_server"] if times else ["streamlit", "run"]
    command = [sys.executable, "-m", *start, str(ROOT / "dashboard.py")]
    command += ["--server.port", str(port), "--server.headless", "true"]
    settings = {"SCRIPT_TIMES": str(times)} if times else {}
    log = data / "server.log"
    with log.open("w") as output, _running(command, data, output, settings) as process:

        def answers() -> bool:
            if process.poll() is not None:
                raise NotMeasuredError(f"the server ended: {log.read_text()[-500:]}")
            try:
                with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        wait_for(answers, "the start of the server", limit_s=_START_LIMIT_S, every_s=0.005)
        try:
            yield Server(url, process.pid)
        except PlaywrightError as error:
            log_end = log.read_text()[-2000:]
            raise NotMeasuredError(f"{error.message}; the server's log: {log_end}") from error


@contextmanager
def simulator(module: str, *flags: str) -> Iterator[str]:
    """Yield the first line that a simulator prints, which is where it listens."""
    command = [sys.executable, "-m", f"tests.simulators.{module}", *flags]
    with folder() as data, _running(command, data, subprocess.PIPE, {}) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise NotMeasuredError(f"the simulator {module} did not start")
        yield line.strip()


def run_module(module: str, *arguments: str, data: Path, limit_s: float, **settings: str) -> str:
    """Run a module in a process of its own and return what it printed.

    :raises NotMeasuredError: if it fails, or has not ended after ``limit_s``
    """
    command = [sys.executable, "-m", module, *arguments]
    log = data / "process.log"
    with (
        log.open("w") as errors,
        _running(command, data, subprocess.PIPE, settings, errors=errors) as process,
    ):
        try:
            output, _errors = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise NotMeasuredError(f"{module} did not end within {limit_s:.0f} s") from None
    if process.returncode:
        raise NotMeasuredError(f"{module} failed: {log.read_text()[-500:]}")
    return str(output)


def cpu_seconds(pid: int) -> float | None:
    """Return the CPU that a process has used, ended threads included; None off Linux."""
    if not sys.platform.startswith("linux"):
        return None
    # What clock_getcpuclockid(3) returns: to the nanosecond, where /proc/PID/stat counts in
    # hundredths of a second.
    return time.clock_gettime((~pid << 3) | 2)


def peak_memory(pid: int | str = "self") -> int | None:
    """Return the most memory, in bytes, that a process ever had; None where /proc is missing."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), None)


@contextmanager
def _running(
    command: list[str],
    data: Path,
    output: int | IO[str],
    settings: dict[str, str],
    *,
    errors: int | IO[str] = subprocess.STDOUT,
) -> Iterator["subprocess.Popen[str]"]:
    # In the temporary folder, where no .env of the project is read; in a session of its own, so
    # that what it may start itself ends with it.
    process = subprocess.Popen(
        command,
        cwd=data,
        env=environment(data, **settings),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_END_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdout is not None:
            process.stdout.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
