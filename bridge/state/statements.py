"""Every statement of the hot path: written in SQLAlchemy Core, compiled once, run by the driver.

SQLAlchemy's own execution costs more than SQLite's work itself (see the decision record on the
state's hot path), so only its compiler is used here. Parameters are positional; each statement
names their order, and compiling checks it. The same statements are for both databases: what only
one of them understands does not compile for the other.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Dialect,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal_column,
    select,
    union_all,
    update,
)
from sqlalchemy.sql.base import Executable

from bridge.state.core import insert
from bridge.state.schema import directories, leases, lock_prefix, locks, meta

_LARGEST_EXACT = 8


def padded(items: list[Any]) -> list[Any]:
    """``items`` (not empty) with the last one repeated up to one of few sizes.

    A statement with a list of n parameters is compiled for each n; this keeps them few.
    """
    size = len(items)
    if size > _LARGEST_EXACT:
        items = items + items[-1:] * ((1 << (size - 1).bit_length()) - size)
    return items


class Statements:
    """The statements as text for one database dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._read: dict[int, str] = {}
        self._covering: dict[tuple[int, bool], str] = {}
        self._compile_leases()
        self._compile_directories()
        self._compile_locks()
        put_meta = insert(meta).values(key=bindparam("key"), value=bindparam("value"))
        self.put_meta = self._text(
            put_meta.on_conflict_do_update(
                index_elements=[meta.c.key], set_={"value": put_meta.excluded.value}
            ),
            "key",
            "value",
        )
        self.get_meta = self._text(
            select(meta.c.value).where(meta.c.key == bindparam("key")), "key"
        )
        self.drop_meta = self._text(delete(meta).where(meta.c.key == bindparam("key")), "key")

    def _text(self, statement: Executable, *order: str) -> str:
        compiled: Any = statement.compile(dialect=self.dialect)  # type: ignore[attr-defined]
        found = tuple(compiled.positiontup)
        if found != order:
            raise AssertionError(f"parameters {found}, not {order}: {compiled}")
        return str(compiled)

    def _compile_leases(self) -> None:
        row = and_(
            leases.c.vault == bindparam("vault"),
            leases.c.directory == bindparam("directory"),
            leases.c.name == bindparam("name"),
        )
        mine = and_(row, leases.c.holder == bindparam("holder"))
        columns = ("vault", "directory", "name", "holder", "touch", "expires")
        values = insert(leases).values({name: bindparam(name) for name in columns})
        self.take_lease = self._text(values.on_conflict_do_nothing(), *columns)
        self.mark_directory = self._text(
            values.on_conflict_do_update(
                index_elements=[leases.c.vault, leases.c.directory, leases.c.name],
                set_={"touch": values.excluded.touch},
            ),
            *columns,
        )
        self.lease_expiry = self._text(
            select(leases.c.expires).where(row), "vault", "directory", "name"
        )
        self.drop_lease = self._text(
            delete(leases).where(mine), "vault", "directory", "name", "holder"
        )
        self.renew_lease = self._text(
            update(leases)
            .where(mine, leases.c.expires > bindparam("now"))
            .values(expires=bindparam("until")),
            "until",
            "vault",
            "directory",
            "name",
            "holder",
            "now",
        )
        ran_out = and_(leases.c.vault == bindparam("vault"), leases.c.expires <= bindparam("now"))
        self.expired_leases = self._text(
            select(leases.c.directory, leases.c.name, leases.c.touch)
            .where(ran_out)
            .order_by(leases.c.directory, leases.c.name),
            "vault",
            "now",
        )
        self.drop_expired_leases = self._text(delete(leases).where(ran_out), "vault", "now")
        self.expire_all_leases = self._text(
            update(leases)
            .where(leases.c.expires > bindparam("most"))
            .values(expires=bindparam("until")),
            "until",
            "most",
        )

    def _compile_directories(self) -> None:
        # A new row's counters start at the clock's microseconds, so that a row that was
        # forgotten and is made again never repeats a generation.
        values = insert(directories).values(
            vault=bindparam("vault"),
            directory=bindparam("directory"),
            generation=bindparam("start"),
            links=bindparam("start"),
            mtime=bindparam("now"),
        )
        key = [directories.c.vault, directories.c.directory]
        order = ("vault", "directory", "start", "start", "now")
        self.create_directory = self._text(values.on_conflict_do_nothing(), *order)
        others = (
            select(func.max(leases.c.touch))
            .where(
                leases.c.vault == bindparam("vault"), leases.c.directory == bindparam("directory")
            )
            .scalar_subquery()
        )
        self.raise_directory = self._text(
            values.on_conflict_do_update(
                index_elements=key,
                set_={
                    "generation": directories.c.generation + literal_column("1"),
                    "links": directories.c.links + bindparam("linked"),
                    "mtime": case(
                        (values.excluded.mtime > directories.c.mtime, values.excluded.mtime),
                        else_=directories.c.mtime + literal_column("1"),
                    ),
                },
            ).returning(directories.c.generation, directories.c.links, directories.c.mtime, others),
            *order,
            "linked",
            "vault",
            "directory",
        )
        self.directory_state = self._text(
            select(
                directories.c.generation, directories.c.links, directories.c.mtime, others
            ).where(
                directories.c.vault == bindparam("vault"),
                directories.c.directory == bindparam("directory"),
            ),
            "vault",
            "directory",
            "vault",
            "directory",
        )
        self.forget_directory = self._text(
            delete(directories).where(
                directories.c.vault == bindparam("vault"),
                directories.c.directory == bindparam("directory"),
            ),
            "vault",
            "directory",
        )

    def read(self, size: int) -> str:
        """States of ``size`` directories, a row for each mark on them. vault, directory..."""
        text = self._read.get(size)
        if text is None:
            names = [f"d{index}" for index in range(size)]
            text = self._text(
                select(
                    directories.c.directory,
                    directories.c.generation,
                    directories.c.links,
                    directories.c.mtime,
                    leases.c.touch,
                    leases.c.expires,
                )
                .select_from(
                    directories.outerjoin(
                        leases,
                        and_(
                            leases.c.vault == directories.c.vault,
                            leases.c.directory == directories.c.directory,
                        ),
                    )
                )
                .where(
                    directories.c.vault == bindparam("vault"),
                    directories.c.directory.in_([bindparam(name) for name in names]),
                ),
                "vault",
                *names,
            )
            self._read[size] = text
        return text

    def _compile_locks(self) -> None:
        columns = tuple(column.name for column in locks.c)
        self.add_lock = self._text(
            insert(locks)
            .values({name: bindparam(name) for name in columns})
            .on_conflict_do_nothing(),
            *columns,
        )
        tenant = locks.c.tenant == bindparam("tenant")
        token = and_(tenant, locks.c.token == bindparam("token"))
        alive = locks.c.expires > bindparam("now")
        self.get_lock = self._text(select(locks).where(token, alive), "tenant", "token", "now")
        self.refresh_lock = self._text(
            update(locks)
            .where(token, alive)
            .values(timeout=bindparam("seconds"), expires=bindparam("until"))
            .returning(*locks.c),
            "seconds",
            "until",
            "tenant",
            "token",
            "now",
        )
        self.remove_lock = self._text(delete(locks).where(token, alive), "tenant", "token", "now")
        self.any_lock = self._text(
            select(exists().where(tenant, alive)),
            "tenant",
            "now",
        )
        self.purge_locks = self._text(
            delete(locks).where(tenant, locks.c.expires <= bindparam("now")), "tenant", "now"
        )
        self.remove_lock_on = self._text(
            delete(locks).where(
                tenant, lock_prefix == bindparam("prefix"), locks.c.root == bindparam("root")
            ),
            "tenant",
            "prefix",
            "root",
        )
        self.remove_locks_below = self._text(
            delete(locks).where(
                tenant,
                lock_prefix >= bindparam("first_prefix"),
                lock_prefix <= bindparam("end_prefix"),
                locks.c.root >= bindparam("first"),
                locks.c.root < bindparam("end"),
            ),
            "tenant",
            "first_prefix",
            "end_prefix",
            "first",
            "end",
        )

    def covering(self, size: int, *, below: bool) -> str:
        """Locks whose roots have one of ``size`` prefixes and, with ``below``, one in a range.

        tenant, prefix..., then tenant, first and last prefix; expired ones and some others too.
        Asked for the live ones only, or for both with OR, SQLite goes through every lock of the
        tenant by the index on expiry.
        """
        text = self._covering.get((size, below))
        if text is None:
            names = [f"r{index}" for index in range(size)]
            tenant = locks.c.tenant == bindparam("tenant")
            on = select(locks).where(tenant, lock_prefix.in_([bindparam(name) for name in names]))
            if below:
                under = select(locks).where(
                    tenant, lock_prefix >= bindparam("first"), lock_prefix <= bindparam("last")
                )
                text = self._text(union_all(on, under), "tenant", *names, "tenant", "first", "last")
            else:
                text = self._text(on, "tenant", *names)
            self._covering[size, below] = text
        return text
