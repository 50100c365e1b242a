"""All that is SQLite's own: the file, its connections, its clock, what its errors mean.

The clock of a SQLite database is the machine's: every process that can share the file runs
on it. Times are therefore parameters here.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy.dialects import sqlite as dialect_module

from bridge.state.api import StateError, StateFull, StateUnavailable
from bridge.state.backend import Cursor, logged
from bridge.state.reserve import Reserve
from bridge.state.schema import ORIGINAL
from bridge.state.statements import Statements

DIALECT = dialect_module.dialect(paramstyle="qmark")

_OLDEST = (3, 35)
"""The first with RETURNING."""

_HEADER = 100
"""Bytes of a SQLite file's header (SQLite's file format, section 1.3)."""

CHECKPOINT_PAGES = 200
"""Pages in the log after which they are copied into the database, and the log begins anew."""

_FULL = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
"""What SQLite says on a full disk; the second when it cannot make room for the log's index."""

_RESERVE_BUSY_SECONDS = 1.0

BEGIN = "BEGIN IMMEDIATE"
"""Takes the write lock at once: a transaction that reads first and then writes could be refused
in its middle."""


def check_version() -> None:
    """Raise StateUnavailable if the SQLite that Python is linked with is too old."""
    if sqlite3.sqlite_version_info < _OLDEST:
        raise StateUnavailable(
            f"SQLite {'.'.join(map(str, _OLDEST))} or newer is needed, "
            f"and this Python has {sqlite3.sqlite_version}: use another build of Python"
        )


def open_file(path: Path) -> None:
    """Make the file if it is missing, readable by its owner only (SQLite's own follow its mode).

    An existing one is not opened here: closing any descriptor of it would drop the locks
    which SQLite holds in this process.
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        # SQLite takes a file shorter than its header for an empty database, and overwrites it.
        if not path.is_file() or 0 < path.stat().st_size < _HEADER:
            raise StateError(f"{path} is not a state database: name another file") from None
    except OSError as error:
        raise StateUnavailable(f"cannot make the state database {path}: {error}") from error
    else:
        os.close(descriptor)


def refuse_stranger(path: Path, busy: float) -> None:
    """Raise StateError if this is some other program's database, before anything is changed."""
    with closing(_connect(path, busy)) as connection:
        try:
            tables = table_names(connection.cursor())
        except sqlite3.Error as error:
            raise _at_opening(path, error) from error
    if tables and not tables >= ORIGINAL:
        raise StateError(f"{path} is some other program's database: name another file")


def connect(path: Path, busy: float) -> sqlite3.Connection:
    """A connection that waits at most ``busy`` seconds for other processes.

    ``synchronous=FULL``: a lease is on disk before the store changes, a generation before the
    client is answered, so that a power cut never takes back what somebody has seen.
    """
    connection = _connect(path, busy)
    try:
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
        connection.execute("PRAGMA synchronous=FULL").fetchall()
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}").fetchall()
    except sqlite3.Error as error:
        connection.close()
        raise _at_opening(path, error) from error
    return connection


def _connect(path: Path, busy: float) -> sqlite3.Connection:
    try:
        # mode=rw: a file that was removed under us is an error, never a new empty database.
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=busy,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise unavailable(error) from error


def _at_opening(path: Path, error: sqlite3.Error) -> StateError:
    if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return StateError(
            f"{path} is not a state database, or is damaged ({error}): "
            "restore it, or remove it and bring tenants back by storj-bridge recover (locks, "
            "tokens and usage are lost, and clients rescan)"
        )
    return unavailable(error)


def unavailable(error: Exception) -> StateUnavailable:
    """The error to raise for one of the driver's."""
    if getattr(error, "sqlite_errorname", "") in _FULL:
        return StateFull(f"the disk of the state database is full: {error}")
    return StateUnavailable(f"the state database did not answer: {error}")


def table_names(cursor: Cursor) -> set[str]:
    """The tables that exist."""
    rows = cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {str(row[0]) for row in rows}


class Presence:
    """Who has the database open, by a shared lock on a file beside it.

    The kernel drops a process's lock when it dies, however it dies: whoever gets the lock for
    itself alone knows that every lease in the database is a dead process's.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(
                path.with_name(path.name + "-open"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise StateUnavailable(f"cannot open {path}-open: {error}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.alone = True
        except BlockingIOError:
            self.alone = False
        except OSError as error:
            os.close(self._descriptor)
            raise StateUnavailable(
                f"{path} must be on a local disk, where files can be locked: {error}"
            ) from error

    def share(self) -> None:
        """Let others in, after what had to be done alone. Waits while another opener is alone."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)
        self.alone = False

    def close(self) -> None:
        """Say that this one has gone."""
        os.close(self._descriptor)


class SqliteConnection:
    """Implements ``bridge.state.backend.Connection``."""

    __slots__ = ("_clock", "_connection", "cursor")

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._clock = clock
        self.cursor = connection.cursor()

    def lost(self, error: BaseException) -> bool:
        """Never: there is no other side."""
        return False

    def now(self) -> float:
        """The machine's time."""
        return self._clock()

    def begin(self) -> float:
        """Take the write lock: every process that has it ends its transaction before."""
        self.cursor.execute(BEGIN)
        return self._clock()

    def commit(self) -> None:
        """End the transaction; if this raises, it was not made."""
        self.cursor.execute("COMMIT")

    def close(self) -> None:
        """Close it, which rolls back."""
        self._connection.close()


class SqliteBackend:
    """Implements ``bridge.state.backend.Backend``, over one file."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)
    most_readers = None

    def __init__(self, path: Path, busy: float, clock: Callable[[], float]) -> None:
        """Find the file, or make it. Raises StateError, StateUnavailable."""
        check_version()
        self._path = path.absolute()
        self._busy = busy
        self._clock = clock
        self.statements = Statements(DIALECT)
        self._presence = Presence(self._path)
        try:
            open_file(self._path)
            refuse_stranger(self._path, busy)
        except BaseException:
            self._presence.close()
            raise
        # The heartbeat keeps it up, and must not be late for its leases.
        self._reserve = Reserve(
            self._path,
            lambda: connect(self._path, min(busy, _RESERVE_BUSY_SECONDS)),
            self.statements,
        )

    @property
    def alone(self) -> bool:
        """Whether no other process has the file open."""
        return self._presence.alone

    def connect(self) -> SqliteConnection:
        """A new connection."""
        return SqliteConnection(connect(self._path, self._busy), self._clock)

    def unavailable(self, error: Exception) -> StateUnavailable:
        """The error to raise for one of the driver's."""
        return logged(unavailable(error))

    def tables(self, cursor: Cursor) -> set[str]:
        """The names of all tables there are."""
        return table_names(cursor)

    def migrate(self) -> None:
        """Bring the schema up to date."""
        # Alembic and SQLAlchemy's engine take a while to import, and are rarely needed.
        from bridge.state.migrating import migrate  # noqa: PLC0415

        migrate("sqlite://", lambda: connect(self._path, self._busy), BEGIN)

    def share(self) -> None:
        """Let others in, and make the reserve."""
        self._presence.share()
        self._reserve.keep()

    def keep(self) -> None:
        """Fill up the reserve."""
        self._reserve.keep()

    def close(self) -> None:
        """Say that this process has gone."""
        self._reserve.close()
        self._presence.close()

    def abandon(self) -> None:
        """In a forked child: the parent still has the file open."""
        self._reserve.abandon()
        self._presence.close()

    def __str__(self) -> str:
        return str(self._path)
