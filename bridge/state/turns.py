"""Fair in-memory locks by key: how threads of one process wait for each other's leases."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Hashable, Sequence


class Turns:
    """Locks by key, given in the order they were asked for, without polling.

    Several keys are taken one after the other: callers pass them sorted, so that nobody waits
    in a circle.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._queues: dict[Hashable, deque[threading.Lock]] = {}

    def take(self, keys: Sequence[Hashable], until: float) -> bool:
        """Take all of ``keys`` before ``until`` on the monotonic clock, or none: then False."""
        taken = 0
        try:
            for key in keys:
                if not self._take(key, until):
                    break
                taken += 1
        finally:
            if taken != len(keys):
                self.give_back(keys[:taken])
        return taken == len(keys)

    def give_back(self, keys: Sequence[Hashable]) -> None:
        """Pass each of ``keys`` to whoever has waited for it longest."""
        with self._mutex:
            for key in keys:
                self._pass_on(key)

    def _take(self, key: Hashable, until: float) -> bool:
        with self._mutex:
            queue = self._queues.get(key)
            if queue is None:
                self._queues[key] = deque()
                return True
            gate = threading.Lock()
            gate.acquire()
            queue.append(gate)
        mine = False
        try:
            mine = gate.acquire(timeout=max(0.0, until - time.monotonic()))
        finally:
            if not mine:
                # Out of time, or interrupted. It may have become ours just now: pass it on.
                with self._mutex:
                    try:
                        queue.remove(gate)
                    except ValueError:
                        self._pass_on(key)
        return mine

    def _pass_on(self, key: Hashable) -> None:
        queue = self._queues[key]
        if queue:
            queue.popleft().release()
        else:
            del self._queues[key]
