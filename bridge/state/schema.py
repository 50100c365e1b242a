"""The tables of the state database. Later versions are reached by migrations, never by edits."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

VERSION = 1
"""The schema this code speaks. A database of a newer one is refused."""

APPLICATION = b"storj-bridge state"
"""Written in ``meta``, so that a stranger's database is never taken for ours."""

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
Index("locks_by_root", locks.c.tenant, locks.c.root)
Index("locks_by_expiry", locks.c.tenant, locks.c.expires)
