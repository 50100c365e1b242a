"""How a database of each version becomes one of the next (Alembic), in one transaction of all."""
