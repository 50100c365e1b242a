"""Where the database's clock was set forward: time that it shows and that has not passed.

Byte-hours are charged for the time between two looks at that clock. A clock that is wrong for some
seconds must not charge a year: what this process's own steady clock has not seen pass is left out.
A process that has just begun has seen nothing, and believes the clock: only so is the time charged
in which no process ran.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from weakref import WeakKeyDictionary

import structlog

from bridge.state.api import Rows

TOLERANCE = 300.0
"""Seconds by which a clock may be wrong and is still believed."""

_MOST_STEPS = 1_000
"""Steps remembered: more than there are while any tenant waits for its hourly look."""

_STEADY: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux has one that goes on while the machine sleeps; elsewhere there is only the other."""

_log = structlog.get_logger()


def steady() -> float:
    """Seconds on a clock that nobody can set."""
    return time.clock_gettime(_STEADY)


class ClockSteps:
    """The steps forward of one clock, as far as this process saw them. Thread-safe.

    ``own``: seconds of a clock that is never set.
    """

    def __init__(self, own: Callable[[], float] = steady) -> None:
        self._own = own
        self._last: tuple[float, float] | None = None
        self._steps: deque[tuple[float, float]] = deque(maxlen=_MOST_STEPS)  # from, to; in order
        self._lock = threading.Lock()

    def passed(self, since: float, now: float) -> list[tuple[float, float]]:
        """The stretches from ``since`` to ``now`` that have passed, both by the clock.

        To be called with each look at the clock, as soon as it said ``now``.
        """
        stretches = []
        with self._lock:
            self._look(now)
            for start, end in self._steps:
                if since < start:
                    stretches.append((since, start))
                since = max(since, end)
        if since < now:
            stretches.append((since, now))
        return stretches

    def _look(self, now: float) -> None:
        """Note a step if there was one. The lock is held."""
        own = self._own()
        # Set back, the clock will show for a second time what it had stepped over: that passes.
        while self._steps and self._steps[-1][1] > now:
            start, _ = self._steps.pop()
            if start < now:
                self._steps.append((start, now))
        if self._last is not None:
            expected = self._last[0] + own - self._last[1]
            if now - expected > TOLERANCE:
                self._steps.append((expected, now))
                _log.error(
                    "the clock was set forward: what it stepped over is not charged",
                    seconds=round(now - expected),
                    expected=round(expected),
                    now=round(now),
                )
        self._last = now, own


_of: WeakKeyDictionary[Rows, ClockSteps] = WeakKeyDictionary()
_of_lock = threading.Lock()


def steps_of(rows: Rows) -> ClockSteps:
    """Those of a database's clock: one for all in this process that have it open by ``rows``."""
    with _of_lock:
        return _of.setdefault(rows, ClockSteps())
