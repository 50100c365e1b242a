"""A connection to PostgreSQL: its turns to write, its clock, and an end to all waiting."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable, Generator
from typing import Any, cast

import psycopg
from psycopg import generators
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGresult

from bridge.state.api import StateUnavailable
from bridge.state.backend import Cursor
from bridge.state.server_clock import ServerClock

_TURN = 7_236_404_189_526_114_305
"""The key of the advisory lock: any number that nobody else would take."""

ADVISORY = f"SELECT pg_advisory_xact_lock({_TURN})"
"""Waits for the turn to write, which ends with the transaction."""

_TIME = b"SELECT extract(epoch FROM clock_timestamp())::float8"
# READ COMMITTED, for each statement to see what was committed before this turn began. The time is
# taken when the lock is held: the lock is the row that it is selected from.
_BEGIN = (
    b"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; WITH turn AS MATERIALIZED (%b) %b FROM turn"
) % (ADVISORY.encode(), _TIME)
_DONE = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


class Raw(psycopg.Connection[tuple[Any, ...]]):
    """A connection of the driver on which no statement lasts longer than ``limit`` seconds."""

    limit = math.inf
    silent = False
    """Whether the server said nothing for so long; what it does meanwhile is unknown."""

    def wait(
        self, gen: Generator[Any, Any, Any], interval: float = 0.0, timeout: float | None = None
    ) -> Any:
        """Run what the driver does on the socket, as its own method of this name, but not forever.

        Source of the protocol: psycopg/waiting.py, ``wait_poll``.
        """
        limit = self.limit if timeout is None else min(timeout, self.limit)
        until = time.monotonic() + limit
        descriptor = self.pgconn.socket
        poll = select.poll()
        try:
            wanted = next(gen)
            while True:
                events = (select.POLLIN if wanted & 1 else 0) | (
                    select.POLLOUT if wanted & 2 else 0
                )
                poll.register(descriptor, events)
                left = until - time.monotonic()
                found = poll.poll(None if left == math.inf else max(0, math.ceil(left * 1e3)))
                if not found:
                    self.silent = True
                    raise psycopg.OperationalError(f"the server said nothing for {limit:.1f} s")
                event = found[0][1]
                ready = (1 if event & ~select.POLLOUT else 0) | (2 if event & ~select.POLLIN else 0)
                wanted = gen.send(ready & wanted)
        except StopIteration as end:
            return end.value

    def control(self, statements: bytes) -> list[PGresult]:
        """Run statements without parameters in one message; returns what each gave, as text.

        Without the driver's cursor, which would take longer than the server.
        """
        self.pgconn.send_query(statements)
        results: list[PGresult] = self.wait(generators.execute(self.pgconn))
        for result in results:
            if result.status not in _DONE:
                raise psycopg.errors.error_from_result(result, encoding="utf-8")
        return results


class PostgresConnection:
    """Implements ``bridge.state.backend.Connection``."""

    def __init__(
        self, raw: Raw, server_clock: ServerClock, clock: Callable[[], float] | None
    ) -> None:
        """``clock``: what to take times from in the server's place, for tests."""
        self._raw = raw
        self._server_clock = server_clock
        self._clock = clock
        self.cursor = cast("Cursor", raw.cursor(binary=True))

    @property
    def info(self) -> psycopg.ConnectionInfo:
        """What the server said of itself."""
        return self._raw.info

    def lost(self, error: BaseException) -> bool:
        """Whether the server has ended the connection; one that only says nothing is not lost."""
        ended = self._raw.pgconn.status == ConnStatus.BAD or _severity(error) in {"FATAL", "PANIC"}
        return ended and not self._raw.silent

    def now(self) -> float:
        """The server's time, by our own clock's distance to it."""
        if self._clock is not None:
            return self._clock()
        known = self._server_clock.now()
        return self.measure() if known is None else known

    def measure(self) -> float:
        """Ask the server for its time, and remember how far our own clock is from it."""
        start = time.monotonic()
        now = _time(self._raw.control(_TIME)[0])
        self._server_clock.learn(now, start, time.monotonic(), sure=True)
        return now

    def begin(self) -> float:
        """Wait for the turn that all processes' writing transactions take, by an advisory lock."""
        start = time.monotonic()
        now = _time(self._raw.control(_BEGIN)[1])
        self._server_clock.learn(now, start, time.monotonic())
        return now if self._clock is None else self._clock()

    def commit(self) -> None:
        """Commit; the turn ends when others can see it."""
        try:
            (result,) = self._raw.control(b"COMMIT")
        except psycopg.Error as error:
            # Only an ERROR says that the transaction was taken back: a server may end after it has
            # committed and before it says so.
            if _severity(error) != "ERROR":
                raise StateUnavailable(
                    f"the state database did not say whether it committed ({words(error)}): "
                    "the outcome is unknown"
                ) from error
            raise
        if result.command_status != b"COMMIT":
            raise StateUnavailable("the state database took a transaction back")

    def close(self) -> None:
        """Close it; the server takes back what was not committed."""
        self._raw.close()


def _time(result: PGresult) -> float:
    return float(result.get_value(0, 0) or b"")


def _severity(error: BaseException) -> str | None:
    """How bad it was in the server's words, or None if these are not the server's."""
    return error.diag.severity_nonlocalized if isinstance(error, psycopg.Error) else None


def words(error: BaseException) -> str:
    """What the server said first: what follows may hold values."""
    diagnostics = getattr(error, "diag", None)
    message = getattr(diagnostics, "message_primary", None)
    return str(message or error).strip().split("\n")[0]
