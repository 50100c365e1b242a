"""That secrets in the clear are found, wherever the tests look for them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests import secrecy
from tests.postgres import PostgreSQL, new_schema

SECRET = "only-for-the-test-of-secrecy"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    made = tmp_path / "service.log"
    made.write_text("nothing\n")
    return made


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    """One secret is known, and forgotten afterwards."""
    secrecy.note_told({"made": [{"secret": SECRET}]})
    yield
    secrecy.forget(SECRET)


def test_what_holds_none_passes(log: Path) -> None:
    secrecy.look_beside(log)


def test_one_in_a_log_is_found(log: Path) -> None:
    log.write_text(f"x{SECRET}x")
    with pytest.raises(AssertionError, match=r"secret lies in the clear in .*service\.log"):
        secrecy.look_beside(log)


@pytest.mark.parametrize("value", [SECRET, SECRET.encode()], ids=["text", "bytes"])
def test_one_in_sqlite_is_found(log: Path, value: str | bytes) -> None:
    (log.parent / "data").mkdir()
    with sqlite3.connect(log.parent / "data" / "state.db") as database:
        database.execute("CREATE TABLE t (c)")
        database.execute("INSERT INTO t VALUES (?)", (value,))
    with pytest.raises(AssertionError, match=r"state\.db"):
        secrecy.look_beside(log)


@pytest.mark.parametrize("value", [SECRET, SECRET.encode()], ids=["text", "bytes"])
def test_one_in_postgresql_is_found(postgresql: PostgreSQL, value: str | bytes) -> None:
    url = new_schema(postgresql)
    with psycopg.connect(url) as connection:
        kind = "text" if isinstance(value, str) else "bytea"
        connection.execute(f"CREATE TABLE kept (c {kind})".encode())
        connection.execute("INSERT INTO kept VALUES (%s)", (value,))
    with pytest.raises(AssertionError, match="kept"):
        secrecy.look_at_postgresql(postgresql.url)
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE kept")


def test_files_beside_a_log_are_looked_for(log: Path) -> None:
    (log.parent / "kek").write_text("# a comment that is no secret\nbut-this-one-is-one\n")
    log.write_text("but-this-one-is-one")
    with pytest.raises(AssertionError, match="the file kek"):
        secrecy.look_beside(log)
    secrecy.forget("but-this-one-is-one")
