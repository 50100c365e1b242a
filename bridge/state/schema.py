"""The tables of the state database. Later versions are reached by migrations, never by edits.

A new database is made of what stands here; ``migrations`` bring an older one to the same.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    func,
    literal_column,
)
from sqlalchemy.schema import CreateIndex, CreateTable

VERSION = 2
"""The schema this code speaks. A database of a newer one is refused."""

REVISION = f"{VERSION:04}"
"""The same as Alembic's revision."""

APPLICATION = b"storj-bridge state"
"""Written in ``meta``, so that a stranger's database is never taken for ours."""

ORIGINAL = frozenset({"meta", "directories", "leases", "locks"})
"""The tables that every version has."""

LOCK_PREFIX = 1000
"""Bytes of a lock's root in the index. PostgreSQL's hold up to 2,704 in an entry."""

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

directories = Table(
    "directories",
    metadata,
    Column("vault", Text, primary_key=True),
    Column("directory", LargeBinary, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("links", BigInteger, nullable=False),
    Column("mtime", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

leases = Table(
    "leases",
    metadata,
    Column("vault", Text, primary_key=True),
    Column("directory", LargeBinary, primary_key=True),
    Column("name", LargeBinary, primary_key=True),
    Column("holder", LargeBinary, nullable=False),
    # What the holder may change in this directory: 0 nothing, 1 entries, 2 directory entries too.
    Column("touch", Integer, nullable=False),
    Column("expires", Double, nullable=False),
    sqlite_with_rowid=False,
)

locks = Table(
    "locks",
    metadata,
    Column("tenant", Text, primary_key=True),
    # Bytes: what clients send need not be valid text, and ranges over paths need bytewise order.
    Column("token", LargeBinary, primary_key=True),
    Column("root", LargeBinary, nullable=False),
    Column("deep", Boolean, nullable=False),
    Column("exclusive", Boolean, nullable=False),
    Column("owner", LargeBinary, nullable=False),
    Column("principal", LargeBinary, nullable=False),
    Column("timeout", BigInteger, nullable=False),
    Column("expires", Double, nullable=False),
)
lock_prefix = func.substr(locks.c.root, literal_column("1"), literal_column(str(LOCK_PREFIX)))
Index("locks_by_prefix", locks.c.tenant, lock_prefix)
Index("locks_by_expiry", locks.c.tenant, locks.c.expires)

tenants = Table(
    "tenants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("bucket", Text, nullable=False),
    Column("quota", BigInteger),  # bytes
    Column("partner", Text),
    Column("created", Double, nullable=False),
    Column("keyring", BigInteger, nullable=False),
    Column("sealed_keyring", LargeBinary),
    Column("sealed_grant", LargeBinary),
    Column("used_bytes", BigInteger, nullable=False),
    Column("stored_bytes", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("counted", Double),
    Column("metered", Double),  # until when byte-seconds are in usage_days
)

credentials = Table(
    "credentials",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("label", Text, primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("rights", Integer, nullable=False),
    Column("root", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double),
    Column("sealed_grant", LargeBinary),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text),  # none: the operator's
    Column("digest", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("label", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double),
)

usage_days = Table(
    "usage_days",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),  # since 1970
    Column("bucket", Text, nullable=False),
    Column("partner", Text, nullable=False),
    Column("bytes_up", BigInteger, nullable=False),
    Column("bytes_down", BigInteger, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("byte_seconds", Double, nullable=False),  # a bigint holds a petabyte for two hours
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("sealed", LargeBinary),
    Column("due", Double, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("note", Text, nullable=False),
)
Index("jobs_by_due", jobs.c.due)

alembic_version = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def creating(dialect: Dialect) -> list[str]:
    """What makes an empty database one of this version, but for its rows in ``meta``."""
    made = []
    for table in metadata.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=dialect)))
        made.extend(
            str(CreateIndex(index).compile(dialect=dialect))
            for index in sorted(table.indexes, key=lambda index: str(index.name))
        )
    return [*made, f"INSERT INTO alembic_version (version_num) VALUES ('{REVISION}')"]  # noqa: S608
