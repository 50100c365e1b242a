"""Leases, generations and times of one vault's directories, in the database."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterable, Sequence

from bridge.state.api import DirectoryState, LeaseBusy, LeaseName, StateUnavailable, Touch
from bridge.state.backend import Cursor
from bridge.state.leases import HeldLease, Holders
from bridge.state.readers import Readers
from bridge.state.rows import ENTRIES, LINKS, bury, names_of
from bridge.state.statements import padded
from bridge.state.turns import Turns

_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05
_MOST_AT_ONCE = 8192
"""Directories in one query; SQLite takes 32,766 parameters, PostgreSQL 65,535."""


class VaultState:
    """Implements ``bridge.state.api.TreeState``."""

    def __init__(self, vault: str, holders: Holders, readers: Readers) -> None:
        self._vault = vault
        self._holders = holders
        self._writer = holders.writer
        self._statements = holders.statements
        self._readers = readers
        self._turns = Turns()

    def acquire(
        self, names: Collection[LeaseName], touches: Collection[Touch], *, wait: float
    ) -> HeldLease:
        """Take all names or none. Threads of this process queue; others' leases are polled."""
        keys = sorted(set(names)) if len(names) > 1 else list(names)
        # What to wait for is real time, whatever clock leases are measured with.
        until = time.monotonic() + wait
        if not self._turns.take(keys, until):
            raise LeaseBusy(f"somebody else worked on the same name for {wait:.1f} s")
        lease = HeldLease(self._holders, self._turns, self._vault, keys, touches)
        begun = False
        try:
            begun = self._take(lease, until)
        except StateUnavailable:
            # It may have been written all the same.
            lease.unchanged()
            self._holders.leave(lease)
            raise
        finally:
            if not begun:
                lease.ended = True
                self._turns.give_back(keys)
        if not begun:
            raise LeaseBusy(f"another process worked on the same name for {wait:.1f} s")
        return lease

    def _take(self, lease: HeldLease, until: float) -> bool:
        pause = _FIRST_PAUSE
        while True:
            start = self._holders.monotonic()
            if self._writer.run(lease.take_rows):
                lease.begin(start)
                return True
            self._holders.settle()
            left = until - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, pause * random.uniform(0.5, 1)))  # noqa: S311 - no secret
            pause = min(2 * pause, _LONGEST_PAUSE)

    def read(self, directories: Sequence[bytes]) -> list[DirectoryState]:
        """The states of these directories, in order."""
        if len(directories) > _MOST_AT_ONCE:
            rest = self.read(directories[_MOST_AT_ONCE:])
            return self.read(directories[:_MOST_AT_ONCE]) + rest
        if not directories:
            return []
        wanted = padded(list(directories))
        buried = float("inf")
        while True:
            rows, now = self._readers.ask(
                self._statements.read(len(wanted)), (self._vault, *wanted)
            )
            # What a burial left had not run out, though an estimate of the time be ahead.
            now = min(now, buried)
            states: dict[bytes, DirectoryState] = {}
            ran_out = False
            for directory, generation, links, mtime, touch, expires in rows:
                known = states.get(directory)
                if touch is None:
                    states[directory] = DirectoryState(generation, links, mtime, False, False)
                    continue
                ran_out = ran_out or expires <= now
                states[directory] = DirectoryState(
                    generation,
                    links,
                    mtime,
                    touch >= ENTRIES or (known is not None and known.changing),
                    touch == LINKS or (known is not None and known.links_changing),
                )
            if ran_out:
                _, buried = self._bury()
                continue
            try:
                return [states[directory] for directory in directories]
            except KeyError:
                self._create([each for each in wanted if each not in states])

    def _create(self, directories: Iterable[bytes]) -> None:
        def create(cursor: Cursor, now: float) -> None:
            start = int(now * 1e6)
            for directory in sorted(set(directories)):
                cursor.execute(
                    self._statements.create_directory,
                    (self._vault, directory, start, start, int(now)),
                )

        self._writer.run(create)

    def forget(self, directories: Iterable[bytes]) -> None:
        """Drop the rows of directories that exist no more."""
        gone = sorted(set(directories))

        def drop(cursor: Cursor, _now: float) -> None:
            for directory in gone:
                cursor.execute(self._statements.forget_directory, (self._vault, directory))

        if gone:
            self._writer.run(drop)

    def stale_leases(self) -> list[LeaseName]:
        """Leases that have run out and were not released."""
        rows, _ = self._readers.ask_at(self._statements.expired_leases, (self._vault,))
        return names_of(rows)

    def clear_stale_leases(self) -> int:
        """Remove them, raising their directories' generations."""
        return self._bury()[0]

    def _bury(self) -> tuple[int, float]:
        """How many, and the time until which leases had to live to be left."""
        return self._writer.run(
            lambda cursor, now: (bury(cursor, self._statements, self._vault, now), now)
        )
