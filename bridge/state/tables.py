"""The database's other tables, read and written by their owners (``bridge.state.api.Rows``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy.sql.base import Executable

from bridge.state.api import Answer, Transaction
from bridge.state.backend import Cursor
from bridge.state.core import Core
from bridge.state.readers import Readers
from bridge.state.writer import Writer

T = TypeVar("T")


class _Refused(Exception):
    """Carries what a change raised after it had changed something: all of it is taken back."""


class CoreTransaction:
    """Implements ``bridge.state.api.Transaction``."""

    def __init__(self, core: Core, cursor: Cursor, now: float) -> None:
        self.now = now
        self.changed = False
        self._core = core
        self._cursor = cursor

    def execute(self, statement: Executable, **parameters: object) -> Answer:
        """Run it; ``Answer.changed`` counts rows inserted, updated or deleted."""
        prepared = self._core.prepare(statement)
        text, values = prepared.bind(parameters)
        self.changed = self.changed or prepared.changes
        cursor = self._cursor.execute(text, values)
        rows = cursor.fetchall() if cursor.description is not None else []
        return Answer(prepared.rows(rows), cursor.rowcount if prepared.changes else 0)


class Tables:
    """Implements ``bridge.state.api.Rows``."""

    def __init__(self, core: Core, writer: Writer, readers: Readers) -> None:
        self._core = core
        self._writer = writer
        self._readers = readers

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` in a transaction, shared with other threads' changes.

        Returns or raises what it does. If it raises after a statement that changes something, the
        whole transaction is taken back, and the others get StateUnavailable: so let it not.
        """

        def within(cursor: Cursor, now: float) -> tuple[T | None, Exception | None]:
            transaction = CoreTransaction(self._core, cursor, now)
            try:
                return work(transaction), None
            except Exception as error:
                if isinstance(error, self._writer.errors):
                    raise
                if transaction.changed:
                    raise _Refused from error
                return None, error

        try:
            result, error = self._writer.run(within)
        except _Refused as refused:
            cause = refused.__cause__
            assert cause is not None
            raise cause from None
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def ask(self, statement: Executable, **parameters: object) -> Sequence[tuple[Any, ...]]:
        """The rows of one statement that only reads."""
        prepared = self._core.prepare(statement)
        if prepared.changes:
            raise TypeError("a statement that changes something goes through write")
        text, values = prepared.bind(parameters)
        rows, _ = self._readers.ask(text, values)
        return prepared.rows(rows)
