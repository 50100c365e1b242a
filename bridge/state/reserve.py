"""Room that the database owns already, so that a full disk stops no small change of the state.

Every change of files is announced in the state first, so on a disk full to the last byte even
deleting would fail. SQLite writes a change to its log (``-wal``), which begins again from its
start once what it holds was copied into the database (a checkpoint), and never shrinks while it
is open; the database takes pages from its list of free ones before it grows. Both are made large
enough once, by writing a row of zeros and removing it.

It helps where a file's bytes are written in place; a file system that copies on write (btrfs,
ZFS) keeps reserves of its own.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bridge.state.api import StateError
from bridge.state.statements import Statements

SIZE = 2 << 20
"""Bytes kept ready, in the log and in the database each."""

LOW = SIZE // 2
"""Fewer are filled up. Pages have 4 KiB: above a checkpoint's, the log still has room for 50."""

_SMALLEST_DISK = 16 * SIZE
"""Bytes of a disk: on a smaller one the reserve would itself fill it."""

_abandoned: list[sqlite3.Connection | None] = []


class Reserve:
    """Keeps up the reserve of the database at ``path``, on a connection of its own.

    That connection stays open, since the last one to close removes the log.
    """

    def __init__(
        self, path: Path, connect: Callable[[], sqlite3.Connection], statements: Statements
    ) -> None:
        self._log = path.with_name(path.name + "-wal")
        self._connect = connect
        self._statements = statements
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._closed = False

    def keep(self) -> None:
        """Fill it up where it is low and the disk has room. Never raises: it is a precaution."""
        with self._lock:
            if self._closed:
                return
            try:
                if self._connection is None:
                    self._connection = self._connect()
                self._fill(self._connection)
            except (sqlite3.Error, StateError, OSError):
                self._disconnect()  # which rolls back; the next time it is tried again

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._closed = True
            self._disconnect()

    def abandon(self) -> None:
        """In a forked child: forget the parent's connection, which must not even be closed."""
        _abandoned.append(self._connection)
        self._connection = None
        self._lock = threading.Lock()
        self._closed = True

    def _fill(self, connection: sqlite3.Connection) -> None:
        free, log = _free_bytes(connection), self._log.stat().st_size
        if free >= LOW and log >= LOW:
            return
        # The log is new at each opening, also on a full disk: then the database need not grow too.
        size = min(free, SIZE) if free >= LOW else SIZE
        disk = os.statvfs(self._log.parent)
        needed = max(0, size - log) + max(0, size - free)
        if disk.f_blocks < _SMALLEST_DISK / disk.f_frsize or disk.f_bavail < needed / disk.f_frsize:
            return
        # In two transactions: within one, the pages would never be written.
        connection.execute(self._statements.put_meta, ("reserve", bytes(size)))
        connection.execute(self._statements.drop_meta, ("reserve",))

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _free_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the database's file that it may use before the file has to grow."""
    pages = connection.execute("PRAGMA freelist_count").fetchall()[0][0]
    size = connection.execute("PRAGMA page_size").fetchall()[0][0]
    return int(pages) * int(size)
