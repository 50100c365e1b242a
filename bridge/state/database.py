"""Opening the state database, and the object that holds it open."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Self

from bridge.state.api import StateError, StateNewer, StateUnavailable
from bridge.state.backend import Backend, Cursor
from bridge.state.core import Core
from bridge.state.leases import Holders
from bridge.state.locks import TenantLocks
from bridge.state.readers import Readers
from bridge.state.schema import APPLICATION, VERSION, creating
from bridge.state.sqlite import SqliteBackend
from bridge.state.statements import Statements
from bridge.state.tables import Tables
from bridge.state.tree import VaultState
from bridge.state.writer import Writer

LEASE_SECONDS = 60.0
"""How long a lease outlives a holder that died without its machine noticing."""

BUSY_SECONDS = 10.0
"""How long to wait for another process that writes, and for a database that says nothing."""


def open_state(
    database: str | os.PathLike[str],
    *,
    ttl: float = LEASE_SECONDS,
    linger: float = 0.0,
    busy: float = BUSY_SECONDS,
    clock: Callable[[], float] | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> DatabaseState:
    """Open the state database at a path, ``sqlite:///`` or ``postgresql://`` URL.

    A missing file is made, and so are the tables in an empty database; an older one is migrated.
    ``ttl``: seconds a lease lives without renewal. ``linger``: seconds for which changes of a
    holder that died may still reach the store, so that its leases are left for so much longer.
    ``clock`` and ``monotonic``: for tests only; all processes must share them. Raises StateError
    when the database is something else or of a newer version, StateUnavailable when it cannot be
    opened.
    """
    backend = _backend(os.fspath(database), busy, clock)
    try:
        return DatabaseState(backend, ttl=ttl, linger=linger, busy=busy, monotonic=monotonic)
    except BaseException:
        backend.close()
        raise


def _backend(name: str, busy: float, clock: Callable[[], float] | None) -> Backend:
    scheme, url, rest = name.partition("://")
    if url and scheme in {"postgresql", "postgres"}:
        # psycopg is imported only where it is used.
        from bridge.state.postgres import PostgresBackend  # noqa: PLC0415

        return PostgresBackend(name, busy, clock)
    if url and (scheme != "sqlite" or not rest.startswith("/")):
        # Not the whole URL, which may hold a password.
        raise StateError(
            f"{scheme}://...: give a path, or a URL like sqlite:///relative, sqlite:////absolute "
            "or postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    return SqliteBackend(Path(rest[1:] if url else name), busy, clock or time.time)


_open_states: weakref.WeakSet[DatabaseState] = weakref.WeakSet()


def _abandon_all() -> None:
    for state in list(_open_states):
        state.abandon()


os.register_at_fork(after_in_child=_abandon_all)


class DatabaseState:
    """Implements ``bridge.state.api.State``. A context manager that closes it.

    After a fork it is closed in the child, which opens its own.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        ttl: float,
        linger: float,
        busy: float,
        monotonic: Callable[[], float],
    ) -> None:
        """Called by ``open_state``."""
        self._backend = backend
        self._lingers = linger > 0
        self._statements = backend.statements
        # A change waits for the batch before it and then for other processes: twice at most.
        self._writer = Writer(backend, 2 * busy)
        self._readers = Readers(backend, busy)
        try:
            self.epoch = self._prepare(linger)
        except BaseException:
            self._writer.close()
            raise
        backend.share()
        self._holders = Holders(self._writer, backend, ttl=ttl, linger=linger, monotonic=monotonic)
        self.rows = Tables(Core(self._statements.dialect), self._writer, self._readers)
        self._trees: dict[str, VaultState] = {}
        self._mutex = threading.Lock()
        self._closed = False
        _open_states.add(self)

    def _prepare(self, linger: float) -> bytes:
        """Make, migrate or check the schema; returns the epoch."""

        def prepare(cursor: Cursor, now: float) -> bytes | None:
            # When the leases of the dead end: whatever the clock says later, if they need not
            # linger.
            until = (now + linger if linger else 0.0) if self._backend.alone else None
            return _prepare(cursor, self._backend, until)

        epoch = self._writer.run(prepare)
        if epoch is None:
            try:
                self._backend.migrate()
            except self._backend.errors as error:
                raise self._backend.unavailable(error) from error
            epoch = self._writer.run(prepare)
        if epoch is None:
            raise StateError(f"{self._backend}: the migration did not reach schema {VERSION}")
        return epoch

    def tree(self, vault: str) -> VaultState:
        """Leases, generations and times of one vault."""
        with self._mutex:
            if vault not in self._trees:
                self._trees[vault] = VaultState(vault, self._holders, self._readers)
            return self._trees[vault]

    def locks(self, tenant: str) -> TenantLocks:
        """One tenant's WebDAV locks."""
        return TenantLocks(tenant, self._writer, self._readers, self._statements)

    def probe(self) -> None:
        """Write and read, for real. Raises StateUnavailable, StateNewer."""
        rows, _ = self._readers.ask(self._statements.get_meta, ("version",))
        version = int(rows[0][0]) if rows else 0
        if version > VERSION:
            raise StateNewer(
                f"a newer version has brought the state database up to date (schema {version}, "
                f"this process knows {VERSION}): stop this process, and start that version"
            )
        mark = os.urandom(8)
        self._writer.run(
            lambda cursor, _now: cursor.execute(self._statements.put_meta, ("probe", mark)).rowcount
        )
        rows, _ = self._readers.ask(self._statements.get_meta, ("probe",))
        if not rows:
            raise StateUnavailable("the state database does not keep what is written")

    def beat(self) -> None:
        """Renew leases that are due; a thread does so by itself every sixth of their life."""
        self._holders.beat()
        self._backend.keep()

    def close(self) -> None:
        """Release what is held and close. May be called twice."""
        with self._mutex:
            if self._closed:
                return
            self._closed = True
        # What threads still work under may reach the store late: it is left to run out.
        self._holders.close(release=not self._lingers)
        self._writer.close()
        self._readers.close()
        self._backend.close()
        _open_states.discard(self)

    def abandon(self) -> None:
        """In a forked child: connections must not be carried over, so this is closed."""
        self._mutex = threading.Lock()
        self._closed = True
        self._holders.abandon()
        self._writer.abandon()
        self._readers.abandon()
        self._backend.abandon()

    def __enter__(self) -> Self:
        return self

    def __str__(self) -> str:
        """What messages call the database."""
        return str(self._backend)

    def __exit__(self, *_: object) -> None:
        self.close()


def _prepare(cursor: Cursor, backend: Backend, until: float | None) -> bytes | None:
    """Make or check the schema; returns the epoch, or None where it is older.

    ``until``: when leases end at the latest.
    """
    statements = backend.statements
    if not backend.tables(cursor):
        _create(cursor, statements)
    values = {
        key: cursor.execute(statements.get_meta, (key,)).fetchall()
        for key in ("application", "version", "epoch")
    }
    if not all(values.values()) or bytes(values["application"][0][0]) != APPLICATION:
        raise StateError(f"{backend} is some other program's database: name another one")
    version = int(values["version"][0][0])
    if version > VERSION:
        raise StateError(
            f"{backend} was written by a newer version (schema {version}, this one knows "
            f"{VERSION}): install that version, or name another database and bring tenants back "
            "by storj-bridge recover (locks, tokens and usage are lost, and clients rescan)"
        )
    if version < VERSION:
        return None
    if until is not None:
        # Their holders are dead: let the leases run out, and whoever meets one deals with it.
        cursor.execute(statements.expire_all_leases, (until, until))
    return bytes(values["epoch"][0][0])


def _create(cursor: Cursor, statements: Statements) -> None:
    for statement in creating(statements.dialect):
        cursor.execute(statement, ())
    for key, value in (
        ("application", APPLICATION),
        ("version", str(VERSION).encode()),
        ("epoch", os.urandom(16)),
    ):
        cursor.execute(statements.put_meta, (key, value))
