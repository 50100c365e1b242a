"""Waiting for what happens in another thread, with a limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def until(true: Callable[[], bool], *, limit: float = 10.0) -> None:
    """Return as soon as ``true()``; fail after ``limit`` seconds."""
    pause = threading.Event()
    end = time.monotonic() + limit
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        pause.wait(0.01)
