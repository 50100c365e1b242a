"""Leases that this process holds: how one is taken, renewed, finished, or left behind."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import Self

from bridge.state.api import DirectoryState, LeaseLost, LeaseName, StateUnavailable, Touch
from bridge.state.backend import Backend, Cursor
from bridge.state.rows import ENTRIES, LINKS, MARK, Row, bury, directory_state, raise_directory
from bridge.state.turns import Turns
from bridge.state.writer import Writer


class Holders:
    """The leases this process holds: makes them, renews them, and settles those left behind."""

    def __init__(
        self,
        writer: Writer,
        backend: Backend,
        *,
        ttl: float,
        linger: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``ttl``: seconds a lease holds for us; for others it does ``linger`` seconds longer."""
        self.writer = writer
        self.statements = backend.statements
        self.ttl = ttl
        self.life = ttl + linger
        self.monotonic = monotonic
        self._prefix = os.urandom(8)
        self._numbers = itertools.count()
        self._held: dict[bytes, HeldLease] = {}
        self._left: dict[bytes, HeldLease] = {}
        self._backend = backend
        self._stopped = threading.Event()
        self._heartbeat: threading.Thread | None = None
        self._starting = threading.Lock()

    def new_id(self) -> bytes:
        """A holder's id that nobody else has."""
        return self._prefix + next(self._numbers).to_bytes(8, "big")

    def add(self, lease: HeldLease) -> None:
        """Renew ``lease`` from now on."""
        self._held[lease.holder] = lease
        if self._heartbeat is None:
            self._start()

    def drop(self, lease: HeldLease) -> None:
        """Renew it no more."""
        self._held.pop(lease.holder, None)

    def leave(self, lease: HeldLease) -> None:
        """Keep a lease whose release failed, to release it when the database answers again."""
        self._left[lease.holder] = lease

    def settle(self) -> bool:
        """Release what was left behind; returns whether there was anything. Never raises."""
        for holder, lease in list(self._left.items()):
            try:
                lease.end()
            except StateUnavailable:
                break
            self._left.pop(holder, None)
        else:
            return False
        return True

    def beat(self) -> None:
        """Renew the leases that are older than a third of their life, in one transaction."""
        self.settle()
        start = self.monotonic()
        due = [
            lease for lease in list(self._held.values()) if lease.renewed <= start - self.ttl / 3
        ]
        if not due:
            return

        def renew(cursor: Cursor, now: float) -> list[HeldLease]:
            return [lease for lease in due if not lease.renew_rows(cursor, now)]

        try:
            lost = self.writer.run(renew)
        except StateUnavailable:
            return  # The next beat tries again; until then each lease knows its own deadline.
        for lease in due:
            if lease in lost:
                lease.lost = True
                self.drop(lease)
            else:
                lease.renewed = start

    def close(self, *, release: bool = True) -> None:
        """Stop renewing, and release all leases; those not released run out."""
        self._stopped.set()
        if self._heartbeat is not None:
            self._heartbeat.join()
        if release:
            for lease in list(self._held.values()):
                lease.release()
        self.settle()

    def abandon(self) -> None:
        """In a forked child: the parent holds the leases."""
        self._held = {}
        self._left = {}

    def _start(self) -> None:
        with self._starting:
            if self._heartbeat is None:
                self._heartbeat = threading.Thread(
                    target=self._run, name="lease-heartbeat", daemon=True
                )
                self._heartbeat.start()

    def _run(self) -> None:
        while not self._stopped.wait(self.ttl / 6):
            self.beat()
            self._backend.keep()


class HeldLease:
    """Implements ``bridge.state.api.Lease``."""

    __slots__ = (
        "_changed",
        "_ending",
        "_holders",
        "_keys",
        "_rows",
        "_states",
        "_touches",
        "_turns",
        "_vault",
        "_whole",
        "before",
        "ended",
        "holder",
        "lost",
        "renewed",
    )

    def __init__(
        self,
        holders: Holders,
        turns: Turns,
        vault: str,
        keys: list[LeaseName],
        touches: Collection[Touch],
    ) -> None:
        self.holder = holders.new_id()
        self.lost = False
        self.ended = False
        self.renewed = 0.0
        self.before: Mapping[bytes, DirectoryState] = {}
        self._holders = holders
        self._turns = turns
        self._vault = vault
        self._keys = keys
        self._touches: dict[bytes, bool] = {}
        self._changed = True
        self._whole = False
        self._states: dict[bytes, DirectoryState] | None = None
        self._ending = threading.Lock()
        for directory, links in touches:
            self._touches[directory] = self._touches.get(directory, False) or links
        unmarked = dict(self._touches)
        self._rows: list[Row] = []
        for directory, name in keys:
            touched = unmarked.pop(directory, None)
            touch = 0 if touched is None else LINKS if touched else ENTRIES
            self._rows.append((vault, directory, name, self.holder, touch))
        if unmarked:
            self._rows.extend(self._mark(touch) for touch in unmarked.items())
            self._rows.sort()

    def take_rows(self, cursor: Cursor, now: float) -> bool:
        """Write all rows, or none when somebody else has one. Takes over what has run out."""
        statements = self._holders.statements
        expires = now + self._holders.life
        self.before = {
            directory: state
            for directory in self._touches
            if (state := directory_state(cursor, statements, self._vault, directory)) is not None
        }
        for index, row in enumerate(self._rows):
            cursor.execute(statements.take_lease, (*row, expires))
            if cursor.rowcount == 1:
                continue
            found = cursor.execute(statements.lease_expiry, row[:3]).fetchall()
            for taken in self._rows[:index]:
                cursor.execute(statements.drop_lease, taken[:4])
            if found and found[0][0] <= now:
                bury(cursor, statements, self._vault, now)
                # From the start, since ``before`` must know what the burial raised.
                return self.take_rows(cursor, now)
            return False
        return True

    def renew_rows(self, cursor: Cursor, now: float) -> bool:
        """Prolong all rows; False when one has run out or is gone."""
        statement = self._holders.statements.renew_lease
        until = now + self._holders.life
        held = True
        for row in list(self._rows):
            cursor.execute(statement, (until, *row[:4], now))
            held = held and cursor.rowcount == 1
        return held

    def begin(self, start: float) -> None:
        """The rows are in the database; ``start`` is a monotonic time before they were written."""
        self.renewed = start
        self._holders.add(self)

    @property
    def remaining(self) -> float:
        """Seconds for which it surely still holds."""
        if self.lost or self.ended:
            return 0.0
        return max(0.0, self.renewed + self._holders.ttl - self._holders.monotonic())

    def check(self) -> None:
        """Raise LeaseLost unless it still holds."""
        if not self.remaining:
            raise LeaseLost("the lease was released, or could not be renewed in time")

    def touch(self, touches: Collection[Touch]) -> None:
        """Mark more directories as changing."""
        self.check()
        more = {
            directory: links or self._touches.get(directory, False)
            for directory, links in touches
            if links > self._touches.get(directory, -1)
        }
        if not more:
            return
        rows = sorted(self._mark(touch) for touch in more.items())

        def mark(cursor: Cursor, now: float) -> None:
            for row in rows:
                cursor.execute(
                    self._holders.statements.mark_directory, (*row, now + self._holders.life)
                )

        self._touches |= more
        try:
            self._holders.writer.run(mark)
        finally:
            # Only now, lest the heartbeat miss rows that are not there yet; and after a failure
            # too, since the rows may have been written.
            self._rows = sorted({row[:3]: row for row in (*self._rows, *rows)}.values())
        self.check()

    def finish(self) -> Mapping[bytes, DirectoryState]:
        """Raise generations and release in one transaction."""
        with self._ending:
            if not self.ended:
                self._changed = True
                intact = self.remaining > 0
                self._whole = self.end() and intact
            if not self._whole or self._states is None:
                raise LeaseLost("the lease ran out or was released before the change was finished")
            return self._states

    def release(self) -> None:
        """Release; where the database does not answer, later, or by running out."""
        with self._ending:
            if self.ended:
                return
            try:
                self.end()
            except StateUnavailable:
                self._holders.leave(self)
                self._let_go()

    def unchanged(self) -> None:
        """Say that release need raise no generation."""
        self._changed = False

    def end(self) -> bool:
        """Delete the rows and raise what they touch; False when a row was gone."""
        touches = sorted(self._touches.items()) if self._changed else []
        statements = self._holders.statements
        vault = self._vault

        def drop(cursor: Cursor, now: float) -> tuple[bool, dict[bytes, DirectoryState]]:
            whole = True
            for row in self._rows:
                cursor.execute(statements.drop_lease, row[:4])
                whole = whole and cursor.rowcount == 1
            return whole, {
                directory: raise_directory(cursor, statements, vault, Touch(directory, links), now)
                for directory, links in touches
            }

        whole, states = self._holders.writer.run(drop)
        if self._changed:
            self._states = states
        self._let_go()
        return whole

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _mark(self, touch: tuple[bytes, bool]) -> Row:
        directory, links = touch
        return self._vault, directory, MARK + self.holder, self.holder, LINKS if links else ENTRIES

    def _let_go(self) -> None:
        if not self.ended:
            self.ended = True
            self._holders.drop(self)
            self._turns.give_back(self._keys)
