"""Databases of older versions become what a new one is, whole or not at all."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from typing import Any

import pytest
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from bridge.state.database import open_state
from bridge.state.migrating import configuration, upgrade
from bridge.state.schema import REVISION, VERSION, metadata
from tests.postgres import PostgreSQL, new_schema
from tests.state.conftest import Database

spawn = multiprocessing.get_context("spawn")

EPOCH = bytes(range(16))

VERSION_1 = """
CREATE TABLE directories (
    vault TEXT NOT NULL,
    directory {bytes} NOT NULL,
    generation BIGINT NOT NULL,
    links BIGINT NOT NULL,
    mtime BIGINT NOT NULL,
    PRIMARY KEY (vault, directory)
) {end};
CREATE TABLE leases (
    vault TEXT NOT NULL,
    directory {bytes} NOT NULL,
    name {bytes} NOT NULL,
    holder {bytes} NOT NULL,
    touch INTEGER NOT NULL,
    expires DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (vault, directory, name)
) {end};
CREATE TABLE locks (
    tenant TEXT NOT NULL,
    token {bytes} NOT NULL,
    root {bytes} NOT NULL,
    deep BOOLEAN NOT NULL,
    "exclusive" BOOLEAN NOT NULL,
    owner {bytes} NOT NULL,
    principal {bytes} NOT NULL,
    timeout BIGINT NOT NULL,
    expires DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (tenant, token)
);
CREATE INDEX locks_by_expiry ON locks (tenant, expires);
CREATE INDEX locks_by_root ON locks (tenant, root);
CREATE TABLE meta ("key" TEXT NOT NULL, value {bytes} NOT NULL, PRIMARY KEY ("key"));
INSERT INTO meta VALUES ('application', {application}), ('version', {version}), ('epoch', {epoch});
INSERT INTO directories VALUES ('v', {a}, 41, 7, 1699999999);
INSERT INTO locks VALUES
    ('tenant', {token}, {root}, {true}, {true}, {owner}, {owner}, 600, 1700000500.5)
"""
"""What version 1 made and kept."""

A = b"a" * 16


def make_version_1(database: Database) -> None:
    def literal(value: bytes) -> str:
        return f"X'{value.hex()}'" if database.is_sqlite else f"'\\x{value.hex()}'"

    text = VERSION_1.format(
        bytes="BLOB" if database.is_sqlite else "BYTEA",
        end="WITHOUT ROWID" if database.is_sqlite else "",
        true="1" if database.is_sqlite else "true",
        application=literal(b"storj-bridge state"),
        version=literal(b"1"),
        epoch=literal(EPOCH),
        a=literal(A),
        token=literal(b"token"),
        root=literal(b"/a"),
        owner=literal(b"anna"),
    )
    database.run(*(statement for statement in text.split(";") if statement.strip()))


def assert_it_kept_what_it_had(database: Database) -> None:
    with database.open() as state:
        assert state.epoch == EPOCH
        (directory,) = state.tree("v").read([A])
        assert (directory.generation, directory.links, directory.mtime) == (41, 7, 1_699_999_999)
        lock = state.locks("tenant").get("token")
        assert lock is not None
        assert (lock.root, lock.deep, lock.exclusive, lock.owner) == ("/a", True, True, "anna")
        assert state.locks("tenant").covering("/a/b") == [lock]
        state.probe()


def dialect_url(database: Database) -> str:
    if database.is_sqlite:
        return f"sqlite:///{database.url}"
    return database.url.replace("postgres://", "postgresql+psycopg://", 1)


def schema_of(database: Database) -> object:
    """All tables, columns and indexes in the database's own words."""
    if database.is_sqlite:
        return sorted(map(str, database.run("SELECT sql FROM sqlite_master WHERE sql NOT NULL")))
    columns = database.run(
        "SELECT table_name, column_name, data_type, is_nullable, column_default,"
        " character_maximum_length FROM information_schema.columns"
        " WHERE table_schema = current_schema() ORDER BY 1, ordinal_position"
    )
    indexes = database.run(
        "SELECT tablename, indexname, split_part(indexdef, ' USING ', 2),"
        " indexdef LIKE 'CREATE UNIQUE %' FROM pg_indexes"
        " WHERE schemaname = current_schema() ORDER BY 1, 2"
    )
    constraints = database.run(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = current_schema()::regnamespace ORDER BY 1"
    )
    return columns, indexes, constraints


def other_database(database: Database, postgresql: PostgreSQL) -> Database:
    return Database(f"{database.url}2" if database.is_sqlite else new_schema(postgresql))


def differences(connection: Connection) -> list[Any]:
    options = {"compare_type": True, "compare_server_default": True}
    found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    # Of an index on an expression it cannot tell whether it is the same; ``schema_of`` can.
    return [each for each in found if getattr(each[1], "name", "") != "locks_by_prefix"]


@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_all_migrations_together_make_what_a_new_database_is(
    database: Database, postgresql: PostgreSQL
) -> None:
    database.open().close()
    other = other_database(database, postgresql)
    engine = create_engine(dialect_url(other))
    with engine.begin() as connection:
        upgrade(connection)
        assert differences(connection) == []
    engine.dispose()
    assert schema_of(other) == schema_of(database)


def test_the_newest_migration_is_the_version_that_the_code_speaks() -> None:
    assert ScriptDirectory.from_config(configuration()).get_current_head() == REVISION
    assert int(REVISION) == VERSION


def test_a_database_of_version_1_becomes_a_new_one_and_keeps_what_it_has(
    database: Database, postgresql: PostgreSQL
) -> None:
    make_version_1(database)
    for _ in range(2):
        assert_it_kept_what_it_had(database)
    assert database.run("SELECT version_num FROM alembic_version") == [(REVISION,)]
    # Version 1 looks there, and refuses what is newer.
    (row,) = database.run("SELECT value FROM meta WHERE key = 'version'")
    assert row == (str(VERSION).encode(),)
    other = other_database(database, postgresql)
    other.open().close()
    # SQLite writes the statement down as it came, with its white space.
    if not database.is_sqlite:
        assert schema_of(database) == schema_of(other)


def _dies_while_migrating(url: str) -> None:
    made = op.create_table

    def create_table(name: str, *columns: Any, **options: Any) -> Any:
        if name == "jobs":
            os.kill(os.getpid(), signal.SIGKILL)
        return made(name, *columns, **options)

    op.create_table = create_table  # type: ignore[assignment]
    open_state(url)


def test_a_migration_that_is_killed_in_the_middle_changes_nothing(database: Database) -> None:
    make_version_1(database)
    before = schema_of(database)
    process = spawn.Process(target=_dies_while_migrating, args=(database.url,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert schema_of(database) == before
    assert_it_kept_what_it_had(database)


def test_many_open_an_old_database_at_once(database: Database) -> None:
    make_version_1(database)
    epochs: list[bytes] = []

    def work() -> None:
        with open_state(database.url) as state:
            epochs.append(state.epoch)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert epochs == [EPOCH] * 4
    assert_it_kept_what_it_had(database)
