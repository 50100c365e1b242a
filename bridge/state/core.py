"""Statements of SQLAlchemy Core for tables that others own, run as those of the hot path are.

A statement is compiled when it is first used, and remembered: keep it at module level, with a
``bindparam`` for what changes. Both databases take and give the same types, as the columns say:
``bool``, ``int``, ``float``, ``str`` and ``bytes``, and None.

``insert`` is both databases' INSERT with ``on_conflict_do_nothing()`` and
``on_conflict_do_update(index_elements=[...], set_={...}, where=...)``, where the row that met one
is ``statement.excluded``. Use it for rows that may be there: an error of the database, such as a
repeated key, fails every change that shares the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Boolean, Dialect, Float, Integer, LargeBinary
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.dml import UpdateBase

__all__ = ["Core", "Prepared", "insert"]

_MOST = 1024
"""Statements remembered."""

_TYPES: tuple[tuple[type[Any], Callable[[Any], object]], ...] = (
    (Boolean, bool),
    (Integer, int),  # PostgreSQL sums bigint as numeric
    (Float, float),
    (LargeBinary, bytes),
)


class Prepared:
    """One statement for one dialect."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        self._compiled = compiled
        self._names = frozenset(compiled.binds)
        self._expands = bool(compiled.post_compile_params)
        self.changes = isinstance(statement, UpdateBase)
        columns = getattr(statement, "exported_columns", ())
        self._convert = [_converter(column.type) for column in columns]

    def bind(self, parameters: Mapping[str, object]) -> tuple[str, tuple[object, ...]]:
        """The statement as text, and its parameters in their order.

        Raises TypeError for one that is missing or unknown, ValueError for text that PostgreSQL
        cannot hold.
        """
        missing = {
            name
            for name, bound in self._compiled.binds.items()
            if bound.required and name not in parameters
        }
        unknown = parameters.keys() - self._names
        if missing or unknown:
            raise TypeError(f"parameters missing: {sorted(missing)}, unknown: {sorted(unknown)}")
        if self._expands:
            state = self._compiled.construct_expanded_state(dict(parameters))
            text, order, values = state.statement, state.positiontup, state.parameters
        else:
            text, order = str(self._compiled), self._compiled.positiontup
            values = self._compiled.construct_params(dict(parameters))
        return text, tuple(_sound(values[name]) for name in order)

    def rows(self, found: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """What the driver gave, in the types of the columns."""
        if not any(self._convert):
            return list(found)
        return [
            tuple(
                value if convert is None or value is None else convert(value)
                for value, convert in zip(row, self._convert, strict=True)
            )
            for row in found
        ]


class Core:
    """Compiles statements for one dialect, each once."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        # By identity, as statements are compared; those remembered are kept, so none is mistaken.
        self.prepare = lru_cache(_MOST)(self._prepare)

    def _prepare(self, statement: Executable) -> Prepared:
        return Prepared(statement, self._dialect)


def _converter(kind: object) -> Callable[[Any], object] | None:
    return next((python for known, python in _TYPES if isinstance(kind, known)), None)


def _sound(value: object) -> object:
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("text with NUL cannot be kept in the database")
        value.encode()  # raises UnicodeEncodeError, a ValueError, for half a character
    return value
