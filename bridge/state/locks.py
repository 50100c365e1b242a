"""WebDAV write locks of one tenant, in the database (RFC 4918, sections 6 and 7)."""

from __future__ import annotations

from typing import Any

from bridge.state.api import Lock, LockConflict, StateError
from bridge.state.backend import Cursor
from bridge.state.readers import Readers
from bridge.state.schema import LOCK_PREFIX
from bridge.state.statements import Statements, padded
from bridge.state.writer import Writer


def _bytes(text: str) -> bytes:
    """Any string at all, reversibly: a client's token or path need not be valid Unicode."""
    return text.encode("utf-8", "surrogatepass")


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "surrogatepass")


def _with_ancestors(path: str) -> list[bytes]:
    """``/a/b`` gives ``/``, ``/a`` and ``/a/b``."""
    root = _bytes(path)
    if root == b"/":
        return [root]
    ends = [index for index, byte in enumerate(root) if byte == ord("/") and index]
    return [b"/", *(root[:end] for end in ends), root]


def _below(path: str) -> tuple[bytes, bytes]:
    """The range of all paths below ``path``: bytewise, and so with no pattern to escape."""
    root = _bytes(path).rstrip(b"/")
    return root + b"/", root + b"0"  # "0" is the byte after "/".


def _lock(row: tuple[Any, ...], now: float) -> Lock:
    _tenant, token, root, deep, exclusive, owner, principal, timeout, expires = row
    return Lock(
        token=_text(token),
        root=_text(root),
        deep=bool(deep),
        exclusive=bool(exclusive),
        owner=_text(owner),
        principal=_text(principal),
        timeout=timeout,
        left=expires - now,
    )


def _prefix(root: bytes) -> bytes:
    """As much of it as the index holds."""
    return root[:LOCK_PREFIX]


def _reaching(path: str, rows: list[tuple[Any, ...]], now: float, *, children: bool) -> list[Lock]:
    """The live locks among ``rows`` on ``path``, deep on an ancestor or, ``children``, below it.

    Each once: the root ``/`` is in its own range.
    """
    if not rows:
        return []
    roots = set(_with_ancestors(path))
    here = _bytes(path)
    first, end = _below(path)
    found = {row[1]: row for row in rows}
    return [
        _lock(row, now)
        for row in found.values()
        if row[8] > now
        and (
            (row[2] in roots and (row[3] or row[2] == here)) or (children and first <= row[2] < end)
        )
    ]


class TenantLocks:
    """Implements ``bridge.state.api.Locks``."""

    def __init__(
        self, tenant: str, writer: Writer, readers: Readers, statements: Statements
    ) -> None:
        self._tenant = tenant
        self._writer = writer
        self._readers = readers
        self._statements = statements

    def add(self, lock: Lock) -> None:
        """Keep a new lock for its timeout from now, unless one that is held conflicts."""
        statement, parameters = self._covering(lock.root, children=lock.deep)

        def add(cursor: Cursor, now: float) -> None:
            rows = cursor.execute(statement, parameters).fetchall()
            for held in _reaching(lock.root, rows, now, children=lock.deep):
                if lock.exclusive or held.exclusive:
                    raise LockConflict(held)
            cursor.execute(
                self._statements.add_lock,
                (
                    self._tenant,
                    _bytes(lock.token),
                    _bytes(lock.root),
                    lock.deep,
                    lock.exclusive,
                    _bytes(lock.owner),
                    _bytes(lock.principal),
                    lock.timeout,
                    now + lock.timeout,
                ),
            )
            if cursor.rowcount != 1:
                raise StateError("this lock token has been used before")

        self._writer.run(add)

    def get(self, token: str) -> Lock | None:
        """The lock with this token, if it is still held."""
        rows, now = self._readers.ask_at(self._statements.get_lock, (self._tenant, _bytes(token)))
        return _lock(rows[0], now) if rows else None

    def refresh(self, token: str, timeout: int) -> Lock | None:
        """Let it live ``timeout`` seconds from now."""

        def refresh(cursor: Cursor, now: float) -> Lock | None:
            rows = cursor.execute(
                self._statements.refresh_lock,
                (timeout, now + timeout, self._tenant, _bytes(token), now),
            ).fetchall()
            return _lock(rows[0], now) if rows else None

        return self._writer.run(refresh)

    def remove(self, token: str) -> bool:
        """Remove it; whether it was still held."""
        return self._writer.run(
            lambda cursor, now: (
                cursor.execute(
                    self._statements.remove_lock, (self._tenant, _bytes(token), now)
                ).rowcount
                == 1
            )
        )

    def covering(self, path: str, *, children: bool = False) -> list[Lock]:
        """Locks on ``path``, deep locks on its ancestors; ``children``: and all locks below it."""
        rows, now = self._readers.ask(*self._covering(path, children=children))
        return _reaching(path, rows, now, children=children)

    def any(self) -> bool:
        """Whether there is any lock at all."""
        rows, _ = self._readers.ask_at(self._statements.any_lock, (self._tenant,))
        return bool(rows[0][0])

    def remove_below(self, path: str) -> None:
        """Remove the locks rooted at ``path`` and below it."""

        def remove(cursor: Cursor, _now: float) -> None:
            root, below = _bytes(path), _below(path)
            cursor.execute(self._statements.remove_lock_on, (self._tenant, _prefix(root), root))
            cursor.execute(
                self._statements.remove_locks_below, (self._tenant, *map(_prefix, below), *below)
            )

        self._writer.run(remove)

    def purge(self) -> int:
        """Remove expired locks; returns how many."""
        return self._writer.run(
            lambda cursor, now: (
                cursor.execute(self._statements.purge_locks, (self._tenant, now)).rowcount
            )
        )

    def _covering(self, path: str, *, children: bool) -> tuple[str, tuple[object, ...]]:
        """The question for locks on ``path``, its ancestors (shallow too), perhaps below."""
        prefixes = padded(list(dict.fromkeys(map(_prefix, _with_ancestors(path)))))
        statement = self._statements.covering(len(prefixes), below=children)
        below = (self._tenant, *map(_prefix, _below(path))) if children else ()
        return statement, (self._tenant, *prefixes, *below)
