"""Connections for reading, one for each thread that reads at the same moment."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from bridge.state.api import StateUnavailable
from bridge.state.backend import Backend, Connection

_abandoned: list[deque[Connection]] = []


class Readers:
    """A pool, bounded where the database bounds its connections."""

    def __init__(self, backend: Backend, wait: float) -> None:
        """``wait``: seconds until one who got no connection gives up."""
        self._backend = backend
        self._wait = wait
        self._idle: deque[Connection] = deque()
        self._turns = self._new_turns()
        self._closed = False

    def _new_turns(self) -> threading.Semaphore | None:
        most = self._backend.most_readers
        return None if most is None else threading.Semaphore(most)

    def ask(self, statement: str, parameters: Sequence[object]) -> tuple[list[Any], float]:
        """The rows of one statement, and a time just before it read them."""
        return self._ask(statement, parameters, timed=False)

    def ask_at(self, statement: str, parameters: Sequence[object]) -> tuple[list[Any], float]:
        """As ``ask``, for a statement whose last parameter is that time, given by this."""
        return self._ask(statement, parameters, timed=True)

    def abandon(self) -> None:
        """In a forked child: forget the parent's connections, which must not even be closed."""
        self._closed = True
        _abandoned.append(self._idle)
        self._idle = deque()
        self._turns = self._new_turns()

    def close(self) -> None:
        """Close what is idle now; what is in use closes when it comes back."""
        self._closed = True
        self._drain_if_closed()

    def _ask(
        self, statement: str, parameters: Sequence[object], *, timed: bool
    ) -> tuple[list[Any], float]:
        turns = self._turns
        if turns is None:
            return self._read(statement, parameters, timed=timed)
        if not turns.acquire(timeout=self._wait):
            raise StateUnavailable(
                f"all connections to the state database were busy for {self._wait} s"
            )
        try:
            return self._read(statement, parameters, timed=timed)
        finally:
            turns.release()

    def _read(
        self, statement: str, parameters: Sequence[object], *, timed: bool
    ) -> tuple[list[Any], float]:
        used = True
        while True:
            if self._closed:
                raise StateUnavailable("the state is closed")
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._backend.connect()
                used = False
            try:
                now = connection.now()
                rows = connection.cursor.execute(
                    statement, (*parameters, now) if timed else parameters
                ).fetchall()
            except BaseException as error:
                lost = connection.lost(error)
                self._drop(connection)
                if not isinstance(error, self._backend.errors):
                    raise
                if lost and used:
                    continue  # It broke while nobody used it, and the others will have too.
                raise self._backend.unavailable(error) from error
            self._idle.append(connection)
            self._drain_if_closed()
            return rows, now

    def _drop(self, connection: Connection) -> None:
        with suppress(*self._backend.errors):
            connection.close()

    def _drain_if_closed(self) -> None:
        while self._closed and self._idle:
            with suppress(IndexError):
                self._drop(self._idle.pop())
