"""Waiting for what happens elsewhere, and no longer than needed."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(condition: Callable[[], T], timeout: float = 20.0) -> T:
    """Return what ``condition`` returns as soon as it is true; fail if it never is."""
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Waited {timeout} s for it, and it is still {result!r}")
        time.sleep(0.02)
    return result
