"""Waiting for another process: ask again until it is so, or fail at a limit."""

from __future__ import annotations

import time
from collections.abc import Callable

STEP = 0.05
"""Seconds between two looks."""


def wait_until(true: Callable[[], object], what: str, *, limit: float) -> None:
    """Return as soon as ``true()`` holds; fail naming ``what`` after ``limit`` seconds."""
    end = time.monotonic() + limit
    while not true():
        assert time.monotonic() < end, f"waited {limit:g} s in vain for {what}"
        time.sleep(STEP)
