"""Tenants, credentials, tokens, usage, jobs; locks are found by the beginning of their root."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the new tables, and let the index on locks take roots of any length."""
    op.drop_index("locks_by_root", "locks")
    op.create_index("locks_by_prefix", "locks", ["tenant", sa.text("substr(root, 1, 1000)")])
    op.create_table(
        "tenants",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("quota", sa.BigInteger),
        sa.Column("partner", sa.Text),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("keyring", sa.BigInteger, nullable=False),
        sa.Column("sealed_keyring", sa.LargeBinary),
        sa.Column("sealed_grant", sa.LargeBinary),
        sa.Column("used_bytes", sa.BigInteger, nullable=False),
        sa.Column("stored_bytes", sa.BigInteger, nullable=False),
        sa.Column("files", sa.BigInteger, nullable=False),
        sa.Column("counted", sa.Double),
        sa.Column("metered", sa.Double),
    )
    op.create_table(
        "credentials",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("label", sa.Text, primary_key=True),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("rights", sa.Integer, nullable=False),
        sa.Column("root", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("expires", sa.Double),
        sa.Column("sealed_grant", sa.LargeBinary),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("expires", sa.Double),
    )
    op.create_table(
        "usage_days",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("partner", sa.Text, nullable=False),
        sa.Column("bytes_up", sa.BigInteger, nullable=False),
        sa.Column("bytes_down", sa.BigInteger, nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("byte_seconds", sa.Double, nullable=False),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("due", sa.Double, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_index("jobs_by_due", "jobs", ["due"])
    # Versions before Alembic's table look here, and refuse what is newer than they are.
    meta = sa.table("meta", sa.column("key", sa.Text), sa.column("value", sa.LargeBinary))
    op.execute(meta.update().where(meta.c.key == "version").values(value=b"2"))
