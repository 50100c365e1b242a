"""What processes share of a tenant's usage, in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bridge.tenants.api import Used
from bridge.tenants.usage import Change, Traffic, byte_seconds


@dataclass
class SharedUsage:
    """A ``UsageStore`` for any number of ledgers, as a database is for any number of processes."""

    clock: Callable[[], float]
    used: Used = Used(0, 0, 0, None)  # noqa: RUF009 - it is frozen
    days: dict[int, Traffic] = field(default_factory=dict)
    byte_seconds: dict[int, float] = field(default_factory=dict)
    since: float = 0.0
    failing: Exception | None = None
    told: Callable[[], object] | None = None
    """Called while something is being added, before it is."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.since = self.clock()

    def read(self) -> Used:
        """See ``UsageStore``."""
        with self.lock:
            self._called()
            return self.used

    def add(self, change: Change, days: Mapping[int, Traffic]) -> Used:
        """See ``UsageStore``."""
        if self.told is not None:
            self.told()
        with self.lock:
            self._called()
            for day, traffic in days.items():
                mine = self.days.setdefault(day, Traffic())
                mine.up += traffic.up
                mine.down += traffic.down
                mine.requests += traffic.requests
            return self._add(change, self.used.counted)

    def correct(self, change: Change, *, counted: float | None) -> Used:
        """See ``UsageStore``."""
        with self.lock:
            self._called()
            if self.used.counted == counted:
                self._add(change, self.clock())
            return self.used

    def _add(self, change: Change, counted: float | None) -> Used:
        now = self.clock()
        for day, seconds in byte_seconds(self.used.stored, self.since, now).items():
            self.byte_seconds[day] = self.byte_seconds.get(day, 0.0) + seconds
        self.since = now
        used = self.used
        self.used = Used(
            used.bytes + change.bytes,
            used.stored + change.stored,
            used.files + change.files,
            counted,
        )
        return self.used

    def _called(self) -> None:
        if self.failing is not None:
            raise self.failing
