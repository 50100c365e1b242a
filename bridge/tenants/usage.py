"""What a tenant holds and moves: kept by deltas, held to its quota, corrected by counting.

A ``Ledger`` keeps one tenant's figures in this process. What changes is added to the state database
every few seconds, where the deltas of all processes meet, and the sum is read back: so a quota
holds between processes to within seconds, and within one at once, since uploads under way have
their bytes reserved. What a crash loses, and what no delta tells (a folder removed with all in it),
the next count corrects.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from bridge.files.api import Usage
from bridge.files.errors import StorageFull
from bridge.tenants.api import Used

DAY = 86_400
"""Seconds of a day; days are counted from 1970, in UTC."""


class Change(NamedTuple):
    """How much more a tenant holds than before; negative for less."""

    bytes: int = 0
    stored: int = 0
    files: int = 0

    def plus(self, other: Change) -> Change:
        """Both changes."""
        return Change(*(one + two for one, two in zip(self, other, strict=True)))

    def minus(self) -> Change:
        """The change that undoes this one."""
        return Change(-self.bytes, -self.stored, -self.files)


@dataclass(slots=True)
class Traffic:
    """What clients moved on one day: bytes of content, and requests."""

    up: int = 0
    down: int = 0
    requests: int = 0


class UsageStore(Protocol):
    """Where the deltas of all processes meet: one tenant's row in the state database.

    Each method is one transaction. Raises StateError; then nothing is added.
    """

    def read(self) -> Used:
        """What the tenant holds, by all that was added."""
        ...

    def add(self, change: Change, days: Mapping[int, Traffic]) -> Used:
        """Add ``change`` to the sums and ``days`` to the tenant's days; returns the new sums.

        Also adds the byte-seconds since the last call by anybody: see ``byte_seconds``.
        """
        ...

    def correct(self, change: Change, *, counted: float | None) -> Used:
        """As ``add``, for what a count has found; dates the count now.

        Does nothing unless the last count is still the one that ``counted`` dates: two processes
        that count at once find the same, which must be added once.
        """
        ...


def byte_seconds(stored: int, since: float, now: float) -> dict[int, float]:
    """By day, what ``stored`` bytes make that lay there from ``since`` to ``now``, Unix seconds.

    For implementations of ``UsageStore``: only where all deltas meet is it known, once for all
    processes, how much lay there since the last one.
    """
    found = {}
    while since < now:
        day = int(since // DAY)
        until = min(now, (day + 1) * DAY)
        found[day] = stored * (until - since)
        since = until
    return found


@dataclass(slots=True)
class _Unsent:
    """What the database has not been told."""

    change: Change = field(default_factory=Change)
    days: dict[int, Traffic] = field(default_factory=dict)

    def put_back(self, earlier: _Unsent) -> None:
        """Take in what was to be told before this and was not."""
        self.change = self.change.plus(earlier.change)
        for day, traffic in earlier.days.items():
            mine = self.days.setdefault(day, Traffic())
            mine.up += traffic.up
            mine.down += traffic.down
            mine.requests += traffic.requests


class Ledger:
    """One tenant's figures. Thread-safe. ``quota``: bytes of content, None without limit.

    ``clock`` gives Unix seconds. The quota may be set at any time.
    """

    def __init__(
        self,
        store: UsageStore,
        *,
        quota: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.quota = quota
        self._store = store
        self._clock = clock
        self._known = store.read()
        self._unsent = _Unsent()
        self._sending = Change()
        self._reserved = 0
        self._gone: Change | None = None  # what was removed while a count runs
        self._to_be_counted = self._known.counted is None
        self._lock = threading.Lock()
        self._flushing = threading.Lock()

    @property
    def used(self) -> Used:
        """What the tenant holds, as far as it is known here."""
        with self._lock:
            known, change = self._known, self._sending.plus(self._unsent.change)
            return replace(
                known,
                bytes=max(0, known.bytes + change.bytes),
                stored=max(0, known.stored + change.stored),
                files=max(0, known.files + change.files),
            )

    @property
    def available(self) -> int | None:
        """Bytes of content that may still come, beside those that are coming; None: no limit."""
        with self._lock:
            quota = self.quota
            return None if quota is None else max(0, quota - self._taken())

    @property
    def to_be_counted(self) -> bool:
        """Whether something has changed of which no delta tells: ``count`` should run soon."""
        return self._to_be_counted

    @property
    def at_rest(self) -> bool:
        """Whether nothing is coming, and nothing is left to tell: it may be dropped, and read anew.

        Of two ledgers of one tenant, neither knows what is reserved in the other.
        """
        with self._lock:
            unsent = self._unsent
            return not (
                self._reserved
                or self._to_be_counted
                or unsent.days
                or any(unsent.change)
                or any(self._sending)
            )

    def reserve(self) -> Reservation:
        """Room for what comes, which grows from nothing."""
        return Reservation(self)

    def changed(self, change: Change) -> None:
        """Note that the tenant holds more, or less."""
        with self._lock:
            self._note(change)

    def changed_unseen(self) -> None:
        """Note that something has changed of which no delta tells."""
        self._to_be_counted = True

    def moved(self, *, up: int = 0, down: int = 0, requests: int = 0) -> None:
        """Note what clients sent and were sent, in bytes of content, and how often they asked."""
        day = int(self._clock() // DAY)
        with self._lock:
            traffic = self._unsent.days.setdefault(day, Traffic())
            traffic.up += up
            traffic.down += down
            traffic.requests += requests

    def flush(self) -> None:
        """Tell the database what changed, and learn what others did. To be called often.

        Raises StateError; what was to be told is told the next time.
        """
        with self._flushing:
            with self._lock:
                unsent, self._unsent = self._unsent, _Unsent()
                self._sending = unsent.change
            try:
                if unsent.days or any(unsent.change):
                    known = self._store.add(unsent.change, unsent.days)
                else:
                    known = self._store.read()
            except BaseException:
                with self._lock:
                    self._sending = Change()
                    self._unsent.put_back(unsent)
                raise
            with self._lock:
                self._known, self._sending = known, Change()

    def count(self, measure: Callable[[], Usage]) -> None:
        """Correct the sums by what ``measure`` finds, which may take its time.

        What comes meanwhile is counted as if ``measure`` had not seen it, and what goes as if it
        had: rather too much than too little, and it is to be counted again. Raises StateError,
        and what ``measure`` raises.
        """
        self.flush()
        before = self._known
        self._to_be_counted = False
        with self._lock:
            self._gone = Change()
        try:
            found = measure()
            with self._lock:
                gone, self._gone = self._gone, None
            assert gone is not None, "nobody else counts"
            self._to_be_counted = self._to_be_counted or any(gone)
            by = Change(
                found.bytes - before.bytes - gone.bytes,
                found.stored - before.stored - gone.stored,
                found.files - before.files - gone.files,
            )
            with self._flushing:
                known = self._store.correct(by, counted=before.counted)
                with self._lock:
                    self._known = known
        except BaseException:
            self._gone = None
            self._to_be_counted = True
            raise

    def _taken(self) -> int:
        """Bytes of content that are there or coming. The lock is held."""
        kept = self._known.bytes + self._sending.bytes + self._unsent.change.bytes
        return max(0, kept) + self._reserved

    def grow(self, by: int) -> None:
        """Reserve ``by`` bytes more, or give back. Raises StorageFull, and nothing is reserved."""
        with self._lock:
            quota = self.quota
            if by > 0 and quota is not None and self._taken() + by > quota:
                raise StorageFull("there is no room left: the quota is reached")
            self._reserved += by

    def settle(self, reserved: int, change: Change) -> None:
        """Give back ``reserved`` bytes and note the ``change`` they were for, at once."""
        with self._lock:
            self._reserved -= reserved
            self._note(change)

    def _note(self, change: Change) -> None:
        """Note a change. The lock is held."""
        self._unsent.change = self._unsent.change.plus(change)
        if self._gone is not None:
            self._gone = self._gone.plus(Change(*(min(0, part) for part in change)))


class Reservation:
    """Bytes kept free for one change under way.

    One thread at a time uses it, and any may release it meanwhile: an upload is aborted while a
    write of it still runs.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._bytes = 0
        self._released = False
        self._lock = threading.Lock()

    def require(self, size: int) -> None:
        """Reserve ``size`` bytes in all (none, if negative or released). Raises StorageFull."""
        with self._lock:
            by = max(0, size) - self._bytes
            if by and not self._released:
                self._ledger.grow(by)
                self._bytes += by

    def settle(self, change: Change) -> None:
        """The change is made: give back what was reserved for it."""
        with self._lock:
            reserved, self._bytes = self._bytes, 0
            self._ledger.settle(reserved, change)

    def release(self) -> None:
        """Nothing will come of it; may be called at any time, also twice."""
        self._released = True
        self.settle(Change())
