"""A ledger of keyrings in a file of its own, which processes share."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


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
