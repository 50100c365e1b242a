"""Every secret that the tests meet, and where none of them may ever lie in the clear.

What commands hand out, what their files hold and what the Storj network gives is noted here. Each
bridge that tests have run is then looked at: its log, and the database beside it; and so is every
answer that refuses something, and PostgreSQL at the end.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

SHORTEST = 16
"""Characters of a secret that is looked for; shorter ones, of a test's own, may be any word."""

NAMES = frozenset(
    ["admin_token", "password", "recovery_grant", "recovery_identity", "secret", "token"]
)
"""Under these names commands and the admin API hand out secrets."""

FILES = ("grant", "kek", "password", "secret", "token")
"""Under these names tests and the demo keep them."""

_known: dict[bytes, str] = {}
"""Each form of a secret, and what it is."""


def note(what: str, secret: str) -> str:
    """Look for this from now on; returns it."""
    for line in secret.splitlines():
        word = line.partition("#")[0].strip()  # key files may have comments
        if len(word) >= SHORTEST:
            _known[word.encode()] = what
    return secret


def forget(secret: str) -> None:
    """Do not look for it any more."""
    del _known[secret.encode()]


def note_sign_in(username: str, secret: str) -> str:
    """The token by which they sign in, as Basic authentication has it."""
    note("a secret", secret)
    return note("a sign-in", base64.b64encode(f"{username}:{secret}".encode()).decode())


def note_told(facts: Any) -> None:
    """What a command or the admin API has handed out, as JSON."""
    if isinstance(facts, Mapping):
        for name, value in facts.items():
            if name in NAMES and isinstance(value, str):
                note(name, value)
            else:
                note_told(value)
    elif isinstance(facts, list):
        for each in facts:
            note_told(each)


def require_none(where: str, content: bytes) -> None:
    """Fail where a secret stands in ``content``, plain or in hexadecimal digits."""
    lowered = content.lower()
    for secret, what in list(_known.items()):
        found = secret in content or secret.hex().encode() in lowered
        assert not found, f"{what} lies in the clear in {where}"


def look_beside(log: Path) -> None:
    """Look at a bridge's log, and at what SQLite has written beside it."""
    folders = [log.parent, *(each for each in log.parent.iterdir() if each.is_dir())]
    for folder in folders:
        for name in FILES:
            file = folder / name
            if file.is_file():
                note(f"the file {name}", file.read_text(errors="replace"))
    databases = (file for folder in folders for file in folder.glob("state.db*"))
    for file in (log, *databases):
        if file.is_file():
            require_none(str(file), file.read_bytes())


def look_at_postgresql(url: str) -> None:
    """Look at every row of every table that is not PostgreSQL's own."""
    with psycopg.connect(url) as connection:
        for schema, table in _tables(connection):
            rows = connection.execute(
                sql.SQL("SELECT row::text FROM {} AS row").format(sql.Identifier(schema, table))
            )
            content = "\n".join(text for (text,) in rows).encode()
            require_none(f"the table {schema}.{table}", content)


def _tables(connection: psycopg.Connection[tuple[Any, ...]]) -> Iterable[tuple[str, str]]:
    return connection.execute(
        "SELECT schemaname, tablename FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    ).fetchall()
