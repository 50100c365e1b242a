"""What lease rows and directory rows mean, and what is done when a holder has died.

A lease row with a touch is also the mark "this directory is changing"; there is no second
table to keep in step. A directory that a lease touches without holding a name in it gets a
row under a reserved name that holds the holder's id, and so is nobody else's.
"""

from __future__ import annotations

from collections.abc import Iterable

from bridge.state.api import DirectoryState, LeaseName, Touch
from bridge.state.backend import Cursor
from bridge.state.statements import Statements

ENTRIES = 1
LINKS = 2

MARK = b"\0mark\0"
"""Begins the name of a row that is only a mark. No sealed name begins so: they are base64."""

Row = tuple[str, bytes, bytes, bytes, int]
"""vault, directory, name, holder, touch."""


def raise_directory(
    cursor: Cursor, statements: Statements, vault: str, touch: Touch, now: float
) -> DirectoryState:
    """Raise one directory's generation and time, and its links if they were touched."""
    directory, links = touch
    cursor.execute(
        statements.raise_directory,
        (vault, directory, int(now * 1e6), int(now * 1e6), int(now), int(links), vault, directory),
    )
    return _state(*cursor.fetchall()[0])


def directory_state(
    cursor: Cursor, statements: Statements, vault: str, directory: bytes
) -> DirectoryState | None:
    """One directory's state, or None when it was never seen."""
    cursor.execute(statements.directory_state, (vault, directory, vault, directory))
    found = cursor.fetchall()
    return _state(*found[0]) if found else None


def _state(generation: int, links: int, mtime: int, touch: int | None) -> DirectoryState:
    """``touch``: the highest among the leases held in the directory."""
    changing = touch is not None and touch >= ENTRIES
    return DirectoryState(generation, links, mtime, changing, touch == LINKS)


def bury(cursor: Cursor, statements: Statements, vault: str, now: float) -> int:
    """Remove the leases that ran out and raise what their dead holders may have changed."""
    rows = cursor.execute(statements.expired_leases, (vault, now)).fetchall()
    touched: dict[bytes, bool] = {}
    for directory, _name, touch in rows:
        if touch:
            touched[directory] = touched.get(directory, False) or touch == LINKS
    cursor.execute(statements.drop_expired_leases, (vault, now))
    for directory, links in sorted(touched.items()):
        raise_directory(cursor, statements, vault, Touch(directory, links), now)
    return sum(not name.startswith(MARK) for _directory, name, _touch in rows)


def names_of(rows: Iterable[tuple[bytes, bytes, int]]) -> list[LeaseName]:
    """The leases among expired rows, without mere marks."""
    return [LeaseName(directory, name) for directory, name, _ in rows if not name.startswith(MARK)]
