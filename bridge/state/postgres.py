"""All that is PostgreSQL's own: connections, turns to write, its clock, what its errors mean.

Imported only where a ``postgresql://`` URL is used. Time limits are kept twice: by the server,
which tells what was slow, and by this process, for a server that says nothing at all.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable, Generator
from typing import Any, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import ConnStatus
from sqlalchemy.dialects import postgresql as dialect_module

from bridge.state.api import StateError, StateFull, StateUnavailable
from bridge.state.backend import Cursor
from bridge.state.schema import ORIGINAL
from bridge.state.server_clock import ServerClock
from bridge.state.statements import Statements

SCHEMES = ("postgresql", "postgres")

MOST_READERS = 8
"""Connections that read at once; one more writes. PostgreSQL allows 100 in all by default."""

TURN_SECONDS = 5.0
"""How long a transaction of a process that says nothing keeps its turn from all others."""

_MARGIN = 1.0
"""Seconds by which this process waits longer than the server, whose words say more."""

_OLDEST = 140000
"""The first that tells while connecting whether it is a standby."""

_TURN = 7_236_404_189_526_114_305
"""The key of the advisory lock: any number that nobody else would take."""

_PAUSE = 0.1
"""Seconds between attempts to connect."""

_FULL = "53100"
_READ_ONLY = "25006"

ADVISORY = f"SELECT pg_advisory_xact_lock({_TURN})"
"""Waits for the turn to write, which ends with the transaction."""

# READ COMMITTED, for each statement to see what was committed before this turn began. The time is
# taken when the lock is held: the lock is the row that it is selected from.
_TIME = "SELECT extract(epoch FROM clock_timestamp())::float8"
_BEGIN = "; ".join(
    [
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        f"WITH turn AS MATERIALIZED ({ADVISORY}) {_TIME} FROM turn",
    ]
)
_TABLES = "SELECT tablename::text FROM pg_catalog.pg_tables WHERE schemaname = current_schema()"

DIALECT = dialect_module.dialect(paramstyle="format")  # type: ignore[no-untyped-call]


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


class PostgresConnection:
    """Implements ``bridge.state.backend.Connection``."""

    def __init__(
        self, raw: Raw, server_clock: ServerClock, clock: Callable[[], float] | None
    ) -> None:
        """``clock``: what to take times from in the server's place, for tests."""
        self._raw = raw
        self._server_clock = server_clock
        self._clock = clock
        self._control = raw.cursor()
        self.cursor = cast("Cursor", raw.cursor(binary=True))

    @property
    def info(self) -> psycopg.ConnectionInfo:
        """What the server said of itself."""
        return self._raw.info

    @property
    def lost(self) -> bool:
        """Whether the server has ended the connection; one that only says nothing is not lost."""
        return self._raw.pgconn.status == ConnStatus.BAD and not self._raw.silent

    def now(self) -> float:
        """The server's time, by our own clock's distance to it."""
        if self._clock is not None:
            return self._clock()
        known = self._server_clock.now()
        return self.measure() if known is None else known

    def measure(self) -> float:
        """Ask the server for its time, and remember how far our own clock is from it."""
        start = time.monotonic()
        rows = self._control.execute(_TIME, prepare=False).fetchall()
        self._server_clock.learn(rows[0][0], start, time.monotonic(), sure=True)
        return float(rows[0][0])

    def begin(self) -> float:
        """Wait for the turn that all processes' writing transactions take, by an advisory lock."""
        start = time.monotonic()
        # One message, and so one way there and back.
        self._control.execute(_BEGIN, prepare=False)
        self._control.nextset()
        now = float(self._control.fetchall()[0][0])
        self._server_clock.learn(now, start, time.monotonic())
        return now if self._clock is None else self._clock()

    def commit(self) -> None:
        """Commit; the turn ends when others can see it."""
        try:
            self._control.execute("COMMIT", prepare=False)
        except psycopg.Error as error:
            if self._raw.silent or self.lost:
                raise StateUnavailable(
                    f"the state database did not say whether it committed ({_words(error)}): "
                    "the outcome is unknown"
                ) from error
            raise
        if self._control.statusmessage != "COMMIT":
            raise StateUnavailable("the state database took a transaction back")

    def close(self) -> None:
        """Close it; the server takes back what was not committed."""
        self._raw.close()


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
        if getattr(error, "sqlstate", None) == _FULL:
            return StateFull(f"the disk of the state database is full: {_words(error)}")
        return StateUnavailable(f"the state database did not answer: {_words(error)}")

    def tables(self, cursor: Cursor) -> set[str]:
        """The tables in the schema where ours are made."""
        return {name for (name,) in cursor.execute(_TABLES, ()).fetchall()}

    def migrate(self) -> None:
        """Bring the schema up to date."""
        # Alembic and SQLAlchemy's engine take a while to import, and are rarely needed.
        from bridge.state.migrating import migrate  # noqa: PLC0415

        def connect() -> Raw:
            raw = self._connect()
            raw.execute(f"SET lock_timeout = {math.ceil(self._busy * 1e3)}")
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
            try:
                raw = Raw.connect(**self._parameters, autocommit=True)
            except psycopg.Error as error:
                now = time.monotonic()
                # Several threads come here at once; the first one's time counts.
                self._missing_since = min(self._missing_since, now)
                if now >= self._missing_since + self._busy:
                    raise StateUnavailable(
                        f"the state database {self} cannot be reached: {_words(error)}"
                    ) from error
                time.sleep(min(_PAUSE, self._busy))
            else:
                self._missing_since = math.inf
                return raw

    def _set_limits(self, raw: Raw) -> None:
        raw.limit = self._busy + _MARGIN
        milliseconds = math.ceil(self._busy * 1e3)
        settings = {
            "lock_timeout": milliseconds,
            "statement_timeout": milliseconds + int(_MARGIN * 500),
            "idle_in_transaction_session_timeout": int(TURN_SECONDS * 1e3),
            # A lease is safe before the store changes, as with SQLite.
            "synchronous_commit": "on",
            # Every question has an index. A plan made while a table was small must use it too,
            # since tables of short-lived rows swell between two runs of autovacuum.
            "enable_seqscan": "off",
            "jit": "off",
            "plan_cache_mode": "force_generic_plan",
        }
        raw.execute("; ".join(f"SET {name} = {to}" for name, to in settings.items()), prepare=False)

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


def _parameters(url: str, busy: float) -> dict[str, Any]:
    """The URL in parts, with what it does not say itself. Raises StateError, without its text."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        parts = None
    # A password whose "@", "/" or "#" is not escaped comes apart into these.
    hosts, ports = ([str((parts or {}).get(name, ""))] for name in ("host", "port"))
    if (
        parts is None
        or "@" in hosts[0]
        or not all(port.isdigit() for port in ports[0].split(",") if port)
    ):
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


def _words(error: BaseException) -> str:
    """What the server said first: what follows may hold values."""
    diagnostics = getattr(error, "diag", None)
    message = getattr(diagnostics, "message_primary", None)
    return str(message or error).strip().split("\n")[0]
