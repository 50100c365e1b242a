"""Opening the state database, and the object that holds it open."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Self

from bridge.state import sqlite
from bridge.state.api import StateError, StateUnavailable
from bridge.state.leases import Holders
from bridge.state.locks import TenantLocks
from bridge.state.readers import Readers
from bridge.state.reserve import Reserve
from bridge.state.schema import APPLICATION, VERSION
from bridge.state.statements import Statements
from bridge.state.tree import VaultState
from bridge.state.writer import Writer

LEASE_SECONDS = 60.0
"""How long a lease outlives a holder that died without its machine noticing."""

BUSY_SECONDS = 10.0
"""How long to wait for another process that writes."""

_RESERVE_BUSY_SECONDS = 1.0


def open_state(
    database: str | os.PathLike[str],
    *,
    ttl: float = LEASE_SECONDS,
    linger: float = 0.0,
    busy: float = BUSY_SECONDS,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> DatabaseState:
    """Open the state database at a path or ``sqlite:///`` URL, making it if it is missing.

    ``ttl``: seconds a lease lives without renewal. ``linger``: seconds for which changes of a
    holder that died may still reach the store, so that its leases are left for so long. ``clock``
    and ``monotonic``: for tests only; all processes must share them. Raises StateError when the
    file is something else or of a newer version, StateUnavailable when it cannot be opened.
    """
    name = os.fspath(database)
    if "://" in name:
        scheme, _, rest = name.partition("://")
        if scheme != "sqlite" or not rest.startswith("/"):
            raise StateError(
                f"{name}: give a path, or a URL like sqlite:///relative or ////absolute"
            )
        name = rest[1:]
    sqlite.check_version()
    path = Path(name).absolute()
    presence = sqlite.Presence(path)
    try:
        return DatabaseState(
            path, presence, ttl=ttl, linger=linger, busy=busy, clock=clock, monotonic=monotonic
        )
    except BaseException:
        presence.close()
        raise


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
        path: Path,
        presence: sqlite.Presence,
        *,
        ttl: float,
        linger: float,
        busy: float,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        """Called by ``open_state``."""

        def connect() -> sqlite.Connection:
            return sqlite.connect(path, busy)

        sqlite.open_file(path)
        sqlite.refuse_stranger(path, busy)
        self._presence = presence
        self._lingers = linger > 0
        self._statements = Statements(sqlite.DIALECT)
        # A change waits for the batch before it and then for other processes: twice at most.
        self._writer = Writer(connect, clock, 2 * busy)
        self._readers = Readers(connect, clock)
        # The heartbeat keeps it up, and must not be late for its leases.
        self._reserve = Reserve(
            path, lambda: sqlite.connect(path, min(busy, _RESERVE_BUSY_SECONDS)), self._statements
        )
        try:
            self.epoch = self._writer.run(
                lambda cursor, now: _prepare(
                    cursor, self._statements, path, _end(now, linger) if presence.alone else None
                )
            )
        except BaseException:
            self._writer.close()
            raise
        presence.share()
        self._reserve.keep()
        self._holders = Holders(
            self._writer, self._statements, self._reserve, ttl=ttl, monotonic=monotonic
        )
        self._trees: dict[str, VaultState] = {}
        self._mutex = threading.Lock()
        self._closed = False
        _open_states.add(self)

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
        """Write and read, for real. Raises StateUnavailable."""
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
        self._reserve.keep()

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
        self._reserve.close()
        self._presence.close()
        _open_states.discard(self)

    def abandon(self) -> None:
        """In a forked child: SQLite's connections must not be carried over, so this is closed."""
        self._mutex = threading.Lock()
        self._closed = True
        self._holders.abandon()
        self._writer.abandon()
        self._readers.abandon()
        self._reserve.abandon()
        self._presence.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _end(now: float, linger: float) -> float:
    """When the leases of the dead end; whatever the clock says later, if they need not linger."""
    return now + linger if linger else 0.0


def _prepare(
    cursor: sqlite.Cursor, statements: Statements, path: Path, until: float | None
) -> bytes:
    """Make or check the schema; returns the epoch. ``until``: when leases end at the latest."""
    tables = sqlite.table_names(cursor)
    if not tables:
        sqlite.create_tables(cursor)
        for key, value in (
            ("application", APPLICATION),
            ("version", str(VERSION).encode()),
            ("epoch", os.urandom(16)),
        ):
            cursor.execute(statements.put_meta, (key, value))
    values = {
        key: cursor.execute(statements.get_meta, (key,)).fetchall()
        for key in ("application", "version", "epoch")
    }
    if not all(values.values()) or values["application"][0][0] != APPLICATION:
        raise StateError(f"{path} is some other program's database: name another file")
    version = int(values["version"][0][0])
    if version > VERSION:
        raise StateError(
            f"{path} was written by a newer version (schema {version}, this one knows {VERSION}): "
            "install that version, or remove the file (it costs locks, and clients rescan)"
        )
    if until is not None:
        # Their holders are dead: let the leases run out, and whoever meets one deals with it.
        cursor.execute(statements.expire_all_leases, (until, until))
    return bytes(values["epoch"][0][0])
