"""The time of a database server, known without asking it each time."""

from __future__ import annotations

import time

_QUICK = 0.05
"""Seconds: an answer that took longer says too little about when it was given."""

_FRESH = 30.0
"""Seconds after which the distance is measured again."""


class ServerClock:
    """How far the server's clock is from this process's monotonic one. For many threads.

    An answer is taken to have been given when it came, so an estimate is never ahead of the server
    when it is measured, and behind it by the answer's time on the way: 0.05 s at most, but where
    the server could not be asked quicker. Within the 30 s until the next one the clocks may part by
    0.03 s (each is slewed by 0.0005 at most), or by as much as the server's clock is set meanwhile.
    """

    def __init__(self) -> None:
        # Offset and when it was measured, in one object: read and replaced in one step.
        self._known: tuple[float, float] | None = None

    def now(self) -> float | None:
        """The server's time, or None when it should be asked."""
        known, own = self._known, time.monotonic()
        if known is None or own - known[1] > _FRESH:
            return None
        return known[0] + own

    def learn(self, told: float, start: float, end: float, *, sure: bool = False) -> None:
        """Between ``start`` and ``end`` on the monotonic clock the server said ``told``.

        Slow answers count only where ``sure`` says that there will be no better one.
        """
        if sure or end - start <= _QUICK:
            self._known = told - end, end
