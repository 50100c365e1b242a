"""What Alembic runs: the migrations, within the transaction of the connection it is given."""

from __future__ import annotations

from alembic import context

from bridge.state.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite's too, which the driver leaves alone here
)
with context.begin_transaction():
    context.run_migrations()
