"""All that is PostgreSQL's own but its connections: URLs, limits, what its errors mean.

Imported only where a ``postgresql://`` URL is used. Time limits are kept twice: by the server,
which tells what was slow, and by this process, for a server that says nothing at all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from bridge.state.api import StateError, StateFull, StateUnavailable
from bridge.state.backend import Cursor, logged
from bridge.state.postgres_connection import ADVISORY, PostgresConnection, Raw, words
from bridge.state.schema import ORIGINAL
from bridge.state.server_clock import ServerClock
from bridge.state.statements import Statements

MOST_READERS = 8
"""Connections that read at once; one more writes. PostgreSQL allows 100 in all by default."""

TURN_SECONDS = 5.0
"""How long a transaction of a process that says nothing keeps its turn from all others."""

_MARGIN = 1.0
"""Seconds by which this process waits longer than the server, whose words say more."""

_OLDEST = 140000
"""The first that tells while connecting whether it is a standby."""

_MIGRATION_SECONDS = 60.0
"""How long one step of a migration may take, of which each is a statement on a small table."""

_PAUSE = 0.1
"""Seconds between attempts to connect."""

_FULL = "53100"
_LOCK_TIMEOUT = "55P03"

_TABLES = "SELECT tablename::text FROM pg_catalog.pg_tables WHERE schemaname = current_schema()"

DIALECT = PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call]


class PostgresBackend:
    """Implements ``bridge.state.backend.Backend``, over one schema of one database."""

    errors: tuple[type[Exception], ...] = (psycopg.Error,)
    most_readers = MOST_READERS
    alone = False
    """Nobody knows who has it open: the leases of the dead run out."""

    def __init__(self, url: str, busy: float, clock: Callable[[], float] | None) -> None:
        """Reach the server. Raises StateError, StateUnavailable."""
        self._parameters = _parameters(url, busy)
        self._name = _name(self._parameters)
        self._busy = busy
        self._clock = clock
        self._server_clock = ServerClock()
        self.statements = Statements(DIALECT)
        # What is not there when the process starts is told at once; later it is waited for.
        self._missing_since = -math.inf
        first = self.connect()
        try:
            self._refuse_unfit(first.info, self.tables(first.cursor))
        except psycopg.Error as error:
            raise self.unavailable(error) from error
        finally:
            first.close()

    def connect(self) -> PostgresConnection:
        """A new connection; a server that went away is waited for until ``busy`` seconds after."""
        raw = self._connect()
        try:
            self._set_limits(raw)
            connection = PostgresConnection(raw, self._server_clock, self._clock)
            connection.measure()
        except BaseException as error:
            raw.close()
            if isinstance(error, psycopg.Error):
                raise self.unavailable(error) from error
            raise
        return connection

    def unavailable(self, error: Exception) -> StateUnavailable:
        """The error to raise for one of the driver's."""
        return logged(self._meant(error))

    def _meant(self, error: Exception) -> StateUnavailable:
        code = getattr(error, "sqlstate", None)
        if code == _FULL:
            return StateFull(f"the disk of the state database is full: {words(error)}")
        if code == _LOCK_TIMEOUT:
            return StateUnavailable(f"others wrote to the state database for {self._busy} s")
        return StateUnavailable(f"the state database did not answer: {words(error)}")

    def tables(self, cursor: Cursor) -> set[str]:
        """The tables in the schema where ours are made."""
        return {name for (name,) in cursor.execute(_TABLES, ()).fetchall()}

    def migrate(self) -> None:
        """Bring the schema up to date."""
        # Alembic and SQLAlchemy's engine take a while to import, and are rarely needed.
        from bridge.state.migrating import migrate  # noqa: PLC0415

        def connect() -> Raw:
            raw = self._connect()
            raw.limit = _MIGRATION_SECONDS
            _set(
                raw,
                lock_timeout=math.ceil(self._busy * 1e3),
                idle_in_transaction_session_timeout=math.ceil(_MIGRATION_SECONDS * 1e3),
            )
            raw.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            raw.autocommit = False
            return raw

        migrate("postgresql+psycopg://", connect, ADVISORY)

    def share(self) -> None:
        """Nothing: nobody is ever alone."""

    def keep(self) -> None:
        """Nothing: the server keeps room for itself, or does not."""

    def close(self) -> None:
        """Nothing but connections is held."""

    def abandon(self) -> None:
        """Nothing but connections is held, and these are their users' to forget."""
        self._server_clock = ServerClock()

    def __str__(self) -> str:
        return self._name

    def _connect(self) -> Raw:
        while True:
            start = time.monotonic()
            try:
                raw = Raw.connect(**self._parameters, autocommit=True)
            except psycopg.Error as error:
                # Several threads come here at once; the first one's time counts.
                self._missing_since = min(self._missing_since, start)
                if time.monotonic() >= self._missing_since + self._busy:
                    raise logged(
                        StateUnavailable(
                            f"the state database {self} cannot be reached: {words(error)}"
                        )
                    ) from error
                time.sleep(min(_PAUSE, self._busy))
            else:
                self._missing_since = math.inf
                return raw

    def _set_limits(self, raw: Raw) -> None:
        raw.limit = self._busy + _MARGIN
        milliseconds = math.ceil(self._busy * 1e3)
        _set(
            raw,
            lock_timeout=milliseconds,
            statement_timeout=milliseconds + int(_MARGIN * 500),
            idle_in_transaction_session_timeout=int(TURN_SECONDS * 1e3),
            # A lease is safe before the store changes, as with SQLite.
            synchronous_commit="on",
            # Every question has an index. A plan made while a table was small must use it too,
            # since tables of short-lived rows swell between two runs of autovacuum.
            enable_seqscan="off",
            jit="off",
            plan_cache_mode="force_generic_plan",
        )

    def _refuse_unfit(self, info: psycopg.ConnectionInfo, tables: set[str]) -> None:
        if info.server_version < _OLDEST:
            raise StateError(
                f"{self} is PostgreSQL {info.server_version // 10000}: "
                f"{_OLDEST // 10000} or newer is needed"
            )
        encoding = info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StateError(f"{self} has the encoding {encoding}: make a database with UTF8")
        if tables and not tables >= ORIGINAL:
            raise StateError(
                f"{self} is some other program's database: name another one, or another schema "
                "(options=-csearch_path%3DNAME)"
            )


def _set(raw: Raw, **settings: object) -> None:
    raw.execute("; ".join(f"SET {name} = {to}" for name, to in settings.items()), prepare=False)


def _parameters(url: str, busy: float) -> dict[str, Any]:
    """The URL in parts, with what it does not say itself. Raises StateError, without its text."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        parts = None
    # A password whose "@", "/" or "#" is not escaped comes apart into these, which messages show.
    host, port, name = (str((parts or {}).get(key, "")) for key in ("host", "port", "dbname"))
    if parts is None or "@" in host + name or not (port + "0").replace(",", "").isdigit():
        raise StateError(
            "the state database's URL cannot be read: it is "
            "postgresql://USER:PASSWORD@HOST/DATABASE, with special characters as %XX"
        )
    parts.setdefault("application_name", "storj-bridge")
    parts.setdefault("connect_timeout", str(max(2, math.ceil(busy / 2))))
    parts.setdefault("target_session_attrs", "read-write")
    parts.setdefault("keepalives_idle", "10")
    parts.setdefault("keepalives_interval", "5")
    parts.setdefault("keepalives_count", "3")
    parts.setdefault("tcp_user_timeout", str(math.ceil((busy + _MARGIN) * 1e3)))
    parts["client_encoding"] = "utf8"
    return dict(parts)


def _name(parameters: dict[str, Any]) -> str:
    host = parameters.get("host") or "localhost"
    return f"PostgreSQL {parameters.get('dbname') or parameters.get('user') or ''} at {host}"
