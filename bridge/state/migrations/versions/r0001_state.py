"""Locks, leases, directories."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables; the rows of ``meta`` are made by whoever opens the database."""
    op.create_table(
        "meta",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "directories",
        sa.Column("vault", sa.Text, primary_key=True),
        sa.Column("directory", sa.LargeBinary, primary_key=True),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("links", sa.BigInteger, nullable=False),
        sa.Column("mtime", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "leases",
        sa.Column("vault", sa.Text, primary_key=True),
        sa.Column("directory", sa.LargeBinary, primary_key=True),
        sa.Column("name", sa.LargeBinary, primary_key=True),
        sa.Column("holder", sa.LargeBinary, nullable=False),
        sa.Column("touch", sa.Integer, nullable=False),
        sa.Column("expires", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "locks",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("token", sa.LargeBinary, primary_key=True),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("deep", sa.Boolean, nullable=False),
        sa.Column("exclusive", sa.Boolean, nullable=False),
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("principal", sa.LargeBinary, nullable=False),
        sa.Column("timeout", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.Double, nullable=False),
    )
    op.create_index("locks_by_root", "locks", ["tenant", "root"])
    op.create_index("locks_by_expiry", "locks", ["tenant", "expires"])
