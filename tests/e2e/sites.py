"""A whole Capista in a process of its own, as ``make run`` starts it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_START_LIMIT_S = 60.0
_SETTINGS = (
    "DATA_DIR", "DATABASE_URL", "JOBS_DATABASE_URL", "PICTURES_URL", "HOTMART_", "OPENAI_", "IMAGE",
    "COVERS_PER_SYNC", "MONTHLY_BUDGET_USD", "SYNC_SCHEDULE", "ADMIN_EMAILS", "ALLOWED_HOSTS",
    "LISTEN_WITHOUT_SIGN_IN", "STREAMLIT_",
)  # fmt: skip


def start(
    folder: Path, port: int, *, secrets: str = "", options: Sequence[str] = (), **settings: str
) -> subprocess.Popen[str]:
    """Start a server whose data and working directory are in ``folder``.

    ``secrets`` is what its ``secrets.toml`` says; ``options`` are Streamlit's own.
    Nothing of the machine reaches it: neither its environment's settings nor its ``.env``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / ".streamlit"
    if not config.exists():
        config.mkdir()
        (config / "config.toml").symlink_to(ROOT / ".streamlit" / "config.toml")
    if secrets:
        (config / "secrets.toml").write_text(secrets)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_SETTINGS)}
    environment |= {"DATA_DIR": str(folder / "data"), "PYTHONPATH": str(ROOT)} | settings
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard.py")]
    command += ["--server.port", str(port), "--server.headless", "true"]
    command += ["--server.fileWatcherType", "none", *options]
    with (folder / "errors.txt").open("a") as errors:
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=errors, stderr=errors, text=True
        )


def end(process: subprocess.Popen[str]) -> None:
    """End a server as Ctrl-C does."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def log_of(folder: Path) -> str:
    """Return what a server wrote."""
    return (folder / "errors.txt").read_text(errors="replace")


@dataclass(frozen=True)
class Started:
    """A server that runs in a process of its own."""

    url: str
    pid: int


@contextmanager
def started(folder: Path, **given: Any) -> Iterator[Started]:
    """Run a server, as ``start`` does."""
    port = free_port()
    process = start(folder, port, **given)
    url = f"http://localhost:{port}"
    try:
        _wait_until_ready(process, url, folder)
        yield Started(url, process.pid)
    finally:
        end(process)


@contextmanager
def running(folder: Path, **given: Any) -> Iterator[str]:
    """Run a server, as ``start`` does; yield its address."""
    with started(folder, **given) as server:
        yield server.url


def answers(url: str) -> bool:
    """Whether a server is up."""
    try:
        urllib.request.urlopen(f"{url}/_stcore/health", timeout=5)
        return True
    except (urllib.error.URLError, OSError):
        return False


def _wait_until_ready(process: subprocess.Popen[str], url: str, folder: Path) -> None:
    stop_at = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < stop_at and process.poll() is None:
        if answers(url):
            return
        time.sleep(0.05)
    raise RuntimeError(f"The server did not start:\n{log_of(folder)}")
