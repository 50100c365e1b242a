"""A wrapper that keeps a store from being asked too much.

It bounds how many calls are under way at once and, with a token bucket, how many begin in a
second (a Storj project is allowed about 100). Whoever must wait does so for a bounded time, in a
line of those who belong together, a tenant's; lines take turns, and in each the order is that of
arrival, so that who asks for much waits longer, and nobody else. No line holds all places
(``bridge.fair``): a tenant whose satellite hangs leaves some to the others. The content of an
upload or download that has begun flows freely: stopping it halfway would only keep what it holds
for longer.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import TypeVar

from bridge.fair import may_take
from bridge.store import deadline
from bridge.store.api import ObjectStore, RateLimited
from bridge.store.wrapping import Operation, WrappedStore

T = TypeVar("T")

_FREE: frozenset[Operation] = frozenset({"write", "write_part", "read"})


class TokenBucket:
    """At most ``burst`` tokens, ``rate`` new ones a second; full at first."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._at = now

    def take(self, now: float) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate
        self._tokens -= 1
        return 0.0


class Gate:
    """Lets ``at_once`` callers in, ``rate`` a second (None: any); lines of callers take turns."""

    def __init__(
        self,
        at_once: int,
        rate: float | None = None,
        burst: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._places = at_once
        self._bucket = None if rate is None else TokenBucket(rate, burst, clock())
        self._inside = Counter[str]()
        self._lines: OrderedDict[str, deque[threading.Event]] = OrderedDict()
        """Those that somebody waits in; the first of the first that may comes in next."""

    def enter(self, patience: float, line: str = "") -> None:
        """Come in, waiting in ``line`` for up to ``patience`` seconds. Raises RateLimited."""
        with self._lock:
            if self._next() is None and self._may(line) and self._admit(line) == 0:
                return
            turn = threading.Event()
            self._lines.setdefault(line, deque()).append(turn)
        ends = self._clock() + patience
        while True:
            with self._lock:
                left = ends - self._clock()
                pause: float | None = left
                if self._next() is turn:
                    pause = self._admit(line)
                    if pause == 0 or left <= 0:
                        self._leave_line(line, turn)
                        self._wake()
                        if pause == 0:
                            return
                elif left <= 0:
                    self._leave_line(line, turn)
                if left <= 0:
                    raise RateLimited(f"no place among the calls in {patience:.1f} s")
                turn.clear()
            turn.wait(left if pause is None else min(pause, left))

    def leave(self, line: str = "") -> None:
        """Make room for the next; whoever leaves had come in by ``line``."""
        with self._lock:
            self._places += 1
            self._inside[line] -= 1
            if not self._inside[line]:
                del self._inside[line]
            self._wake()

    @property
    def waiting(self) -> int:
        """How many wait."""
        with self._lock:
            return sum(map(len, self._lines.values()))

    def _may(self, line: str) -> bool:
        return may_take(1, self._inside[line], self._places)

    def _admit(self, line: str) -> float | None:
        """Take a place and return 0; else the seconds until that may work, None if unknown."""
        if self._places == 0:
            return None
        pause = 0.0 if self._bucket is None else self._bucket.take(self._clock())
        if pause == 0:
            self._places -= 1
            self._inside[line] += 1
        return pause

    def _next(self) -> threading.Event | None:
        """Who comes in next, if anybody may."""
        return next((line[0] for name, line in self._lines.items() if self._may(name)), None)

    def _leave_line(self, name: str, turn: threading.Event) -> None:
        """Take ``turn`` out of its line; when it was the first one, the line has had its turn."""
        line = self._lines[name]
        first = line[0] is turn
        line.remove(turn)
        if not line:
            del self._lines[name]
        elif first:
            self._lines.move_to_end(name)

    def _wake(self) -> None:
        turn = self._next()
        if turn is not None:
            turn.set()


class LimitedStore(WrappedStore):
    """``inner``, whose calls pass through ``gate``, which many stores may share, in ``line``.

    A call waits up to ``patience`` seconds, never beyond the ambient deadline; then RateLimited.
    """

    def __init__(
        self, inner: ObjectStore, gate: Gate, *, line: str = "", patience: float = 20.0
    ) -> None:
        super().__init__(inner)
        self._gate = gate
        self._line = line
        self._patience = patience

    def around(self, operation: Operation, key: str, call: Callable[[], T]) -> T:
        if operation in _FREE:
            return call()
        deadline.check(key)
        left = deadline.remaining()
        self._gate.enter(self._patience if left is None else min(left, self._patience), self._line)
        try:
            return call()
        finally:
            self._gate.leave(self._line)
