"""Connections for reading, one for each thread that reads at the same moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from bridge.state import sqlite
from bridge.state.api import StateUnavailable

_abandoned: list[deque[sqlite.Cursor]] = []


class Readers:
    """A pool without a limit of its own: threads are limited where they are made."""

    def __init__(
        self, connect: Callable[[], sqlite.Connection], clock: Callable[[], float]
    ) -> None:
        self._connect = connect
        self.clock = clock
        self._idle: deque[sqlite.Cursor] = deque()
        self._closed = False

    def ask(self, statement: str, parameters: Sequence[object]) -> tuple[list[Any], float]:
        """The rows of one statement, and a time just before it read them."""
        if self._closed:
            raise StateUnavailable("the state is closed")
        now = self.clock()
        try:
            cursor = self._idle.pop()
        except IndexError:
            cursor = self._connect().cursor()
        try:
            rows = cursor.execute(statement, parameters).fetchall()
        except BaseException as error:
            with suppress(sqlite.DriverError):
                cursor.connection.close()
            if isinstance(error, sqlite.DriverError):
                raise sqlite.unavailable(error) from error
            raise
        self._idle.append(cursor)
        self._drain_if_closed()
        return rows, now

    def abandon(self) -> None:
        """In a forked child: forget the parent's connections, which must not even be closed."""
        self._closed = True
        _abandoned.append(self._idle)
        self._idle = deque()

    def close(self) -> None:
        """Close what is idle now; what is in use closes when it comes back."""
        self._closed = True
        self._drain_if_closed()

    def _drain_if_closed(self) -> None:
        while self._closed and self._idle:
            with suppress(IndexError, sqlite.DriverError):
                self._idle.pop().connection.close()
