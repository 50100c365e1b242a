"""Runs Alembic's migrations over a connection of the driver, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, event, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

_MIGRATIONS = Path(__file__).with_name("migrations")
_FIRST = "0001"
"""What a database without Alembic's own table is."""


def configuration() -> Config:
    """Alembic's, as its commands take it."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def migrate(url: str, connect: Callable[[], Any], begin: str) -> None:
    """Bring a database to the newest version, by a connection that ``connect`` opens.

    ``url`` names SQLAlchemy's dialect, ``begin`` is the statement that takes the turn to write.
    Raises the driver's errors; then nothing was changed.
    """
    engine = create_engine(url, creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    try:
        with engine.begin() as connection:
            upgrade(connection)
    except DBAPIError as error:
        raise error.orig or error from error
    finally:
        engine.dispose()


def upgrade(connection: Connection) -> None:
    """The same within a transaction of ``connection``; an empty database is made."""
    config = configuration()
    config.attributes["connection"] = connection
    names = set(inspect(connection).get_table_names())
    if "meta" in names and "alembic_version" not in names:
        command.stamp(config, _FIRST)
    command.upgrade(config, "head")
