"""A ledger of keyrings, and sealed secrets, in files of their own, which processes share."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

from bridge.tenants.rotation import Secret


class FileLedger:
    """Implements ``bridge.tenants.vault.Ledger``."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with closing(self._connect()) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS known (number INT, sealed BLOB)")
            if not connection.execute("SELECT * FROM known").fetchall():
                connection.execute("INSERT INTO known VALUES (0, x'')")

    def read(self) -> tuple[int, bytes]:
        with closing(self._connect()) as connection:
            number, sealed = connection.execute("SELECT number, sealed FROM known").fetchone()
        return int(number), bytes(sealed)

    def advance(self, old: int, new: int, sealed: bytes) -> bool:
        with closing(self._connect()) as connection:
            changed = connection.execute(
                "UPDATE known SET number = ?, sealed = ? WHERE number = ?", (new, sealed, old)
            )
            return changed.rowcount == 1

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._file, timeout=30, isolation_level=None)


class FileSecrets:
    """Sealed secrets by their purpose."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with closing(self._connect()) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (purpose TEXT, sealed BLOB)")

    def add(self, purpose: str, sealed: bytes) -> None:
        with closing(self._connect()) as connection:
            connection.execute("INSERT INTO kept VALUES (?, ?)", (purpose, sealed))

    def all(self) -> list[Secret]:
        with closing(self._connect()) as connection:
            rows = connection.execute("SELECT purpose, sealed FROM kept").fetchall()
        return [Secret(name, sealed, partial(self._replace, name, sealed)) for name, sealed in rows]

    def _replace(self, purpose: str, old: bytes, new: bytes) -> bool:
        with closing(self._connect()) as connection:
            changed = connection.execute(
                "UPDATE kept SET sealed = ? WHERE purpose = ? AND sealed = ?", (new, purpose, old)
            )
            return changed.rowcount == 1

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._file, timeout=30, isolation_level=None)
