"""What a database must offer for the state to live in it: a small interface, implemented twice.

``sqlite.py`` and ``postgres.py`` are the implementations. Above them the same statements run on
both, by the driver's own cursor. On both, transactions that write take turns, over all processes,
from their beginning to their end; so nothing above has to think of conflicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import structlog

from bridge.state.api import StateUnavailable
from bridge.state.statements import Statements

_log = structlog.get_logger()


def logged(error: StateUnavailable) -> StateUnavailable:
    """Note in a service's log what no client is told; returns it.

    Its words hold no value and no secret.
    """
    if structlog.is_configured():  # other commands speak for themselves
        _log.warning("the state database does not answer", reason=str(error))
    return error


class Cursor(Protocol):
    """What the cursors of both drivers do alike."""

    @property
    def rowcount(self) -> int:
        """How many rows the last statement changed."""
        ...

    @property
    def description(self) -> Any:
        """None after a statement that gives no rows."""
        ...

    def execute(self, statement: str, parameters: Sequence[object] = ..., /) -> Cursor:
        """Run one statement; returns this cursor."""
        ...

    def fetchall(self) -> list[Any]:
        """All its rows, as tuples."""
        ...


class Connection(Protocol):
    """One connection, used by one thread at a time. Outside ``begin`` and ``commit`` it reads."""

    @property
    def cursor(self) -> Cursor:
        """Its only cursor."""
        ...

    def lost(self, error: BaseException) -> bool:
        """Whether ``error`` came of the other side's ending it: a new one may do better at once."""
        ...

    def now(self) -> float:
        """The database's time, Unix seconds, for what is read next; perhaps an estimate."""
        ...

    def begin(self) -> float:
        """Wait for this transaction's turn to write; returns its time by the database's clock."""
        ...

    def commit(self) -> None:
        """End it. Raises StateUnavailable, saying so, where nobody knows if it was committed."""
        ...

    def close(self) -> None:
        """Close the connection; a transaction that was begun is rolled back."""
        ...


class Backend(Protocol):
    """One database, and all that is its kind's own."""

    @property
    def statements(self) -> Statements:
        """The statements in its dialect."""
        ...

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What its driver raises."""
        ...

    @property
    def most_readers(self) -> int | None:
        """How many connections may read at once; None for as many as there are threads."""
        ...

    @property
    def alone(self) -> bool:
        """Whether it is certain that every lease in the database is a dead process's."""
        ...

    def connect(self) -> Connection:
        """A new connection. Raises StateUnavailable."""
        ...

    def unavailable(self, error: Exception) -> StateUnavailable:
        """The error to raise for one of the driver's."""
        ...

    def tables(self, cursor: Cursor) -> set[str]:
        """The names of all tables there are."""
        ...

    def migrate(self) -> None:
        """Bring the schema up to date, in one transaction that has its turn."""
        ...

    def share(self) -> None:
        """Let others in, after what had to be done alone."""
        ...

    def keep(self) -> None:
        """Called every few seconds. Never raises."""
        ...

    def close(self) -> None:
        """Release what the database as a whole holds."""
        ...

    def abandon(self) -> None:
        """In a forked child: let go of it without a word to the database."""
        ...

    def __str__(self) -> str:
        """What messages call it: never with a secret."""
        ...
