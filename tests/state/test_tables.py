"""Other tables, by statements of SQLAlchemy Core: the same on both databases."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.schema import CreateTable

from bridge.state.api import StateError, StateUnavailable, Transaction
from bridge.state.core import insert
from bridge.state.database import DatabaseState
from tests.state.conftest import Clock, Database, until

LIMIT = 60.0

things = Table(
    "things",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("number", BigInteger),
    Column("part", Double),
    Column("good", Boolean),
    Column("data", LargeBinary),
)

ADD = insert(things)
ALL = select(things).order_by(things.c.name)
OF_NAME = select(things.c.number).where(things.c.name == bindparam("name"))
NUMBERED = insert(things).values(name=bindparam("name"), number=bindparam("number"))
COUNT = NUMBERED.on_conflict_do_update(
    index_elements=[things.c.name],
    set_={"number": things.c.number + NUMBERED.excluded.number},
).returning(things.c.number)
ONCE = NUMBERED.on_conflict_do_nothing()


@pytest.fixture
def state(database: Database) -> DatabaseState:
    state = database.open()
    database.run(str(CreateTable(things).compile(dialect=state._backend.statements.dialect)))
    return state


def add(state: DatabaseState, name: str, number: int) -> int:
    return state.rows.write(lambda t: t.execute(ONCE, name=name, number=number).changed)


def numbers(state: DatabaseState) -> dict[str, int]:
    return {name: number for name, number, *_ in state.rows.ask(ALL)}


@pytest.mark.parametrize(
    "row",
    [
        ("a", 2**62, 0.1, True, b"\0\xff"),
        ("", -1, 2.0, False, b""),
        ("Straße 日本 😀 %s ? :x", 0, -1e300, True, bytes(range(256))),
        ("none", None, None, None, None),
    ],
)
def test_what_is_written_comes_back_in_the_same_types(
    state: DatabaseState, row: tuple[Any, ...]
) -> None:
    values = dict(zip(things.c.keys(), row, strict=True))
    assert state.rows.write(lambda t: t.execute(ADD, **values)).changed == 1
    (found,) = state.rows.ask(ALL)
    assert type(found) is tuple
    assert found == row
    assert [type(value) for value in found] == [type(value) for value in row]


def test_sums_and_truths_have_the_same_types_too(state: DatabaseState) -> None:
    for number in range(3):
        add(state, str(number), 2**60)
    ((total, most, some),) = state.rows.ask(
        select(func.sum(things.c.number), func.max(things.c.number) > 5, func.count(things.c.name))
    )
    assert (total, most, some) == (3 * 2**60, True, 3)
    assert [type(total), type(most), type(some)] == [int, bool, int]


def test_a_name_may_be_used_twice_and_a_percent_sign_means_itself(state: DatabaseState) -> None:
    for name in ("a", "b", "c%d"):
        add(state, name, 1)
    raised = (
        update(things)
        .where(things.c.name.like("%d") | (things.c.number < bindparam("new")))
        .values(number=bindparam("new") + things.c.number % 10)
    )
    assert state.rows.write(lambda t: t.execute(raised, new=5)).changed == 3
    assert numbers(state) == {"a": 6, "b": 6, "c%d": 6}
    same = select(things.c.name).where(
        (things.c.name == bindparam("name")) | (things.c.name > bindparam("name"))
    )
    assert [name for (name,) in state.rows.ask(same, name="b")] == ["b", "c%d"]


def test_a_list_may_have_any_length(state: DatabaseState) -> None:
    for name in "abcde":
        add(state, name, 1)
    among = select(things.c.name).where(
        things.c.name.in_(bindparam("names", expanding=True)), things.c.number == bindparam("one")
    )
    for names in (["a"], ["b", "c", "x"], [], list("abcde")):
        found = state.rows.ask(among, names=names, one=1)
        assert sorted(name for (name,) in found) == [name for name in names if name != "x"]
    gone = delete(things).where(things.c.name.in_(["a", "b"]))
    assert state.rows.write(lambda t: t.execute(gone)).changed == 2


def test_a_row_that_is_there_is_left_or_changed_as_the_statement_says(
    state: DatabaseState,
) -> None:
    def count(t: Transaction) -> Sequence[tuple[Any, ...]]:
        return t.execute(COUNT, name="a", number=2).rows

    assert add(state, "a", 1) == 1
    assert add(state, "a", 5) == 0
    assert state.rows.write(count) == [(3,)]
    assert state.rows.write(count) == [(5,)]
    assert numbers(state) == {"a": 5}


def test_a_transaction_sees_what_it_wrote_and_has_one_time(
    state: DatabaseState, clock: Clock
) -> None:
    def work(t: Transaction) -> tuple[float, int]:
        t.execute(ONCE, name="a", number=7)
        return t.now, t.execute(OF_NAME, name="a").rows[0][0]

    assert state.rows.write(work) == (clock.seconds, 7)


class Refused(Exception):
    """What an owner of tables raises of its own."""


@pytest.mark.parametrize("kind", [Refused, StateError])
def test_what_is_raised_before_a_change_harms_nobody(
    state: DatabaseState, kind: type[Exception]
) -> None:
    def refuse(t: Transaction) -> None:
        assert t.execute(OF_NAME, name="a").rows == []
        raise kind

    with Together(state) as pool:
        refused = pool.submit(state.rows.write, refuse)
        beside = pool.submit(add, state, "b", 1)
        until(lambda: len(state._writer._queue) == 2)
    with pytest.raises(kind):
        refused.result(LIMIT)
    assert beside.result(LIMIT) == 1
    assert numbers(state) == {"b": 1}


@pytest.mark.parametrize("kind", [Refused, StateError])
def test_what_is_raised_after_a_change_takes_all_of_it_back(
    state: DatabaseState, kind: type[Exception]
) -> None:
    def fail(t: Transaction) -> None:
        t.execute(ONCE, name="a", number=1)
        raise kind

    with Together(state) as pool:
        failed = pool.submit(state.rows.write, fail)
        until(lambda: len(state._writer._queue) == 1)
        beside = pool.submit(add, state, "b", 1)
        until(lambda: len(state._writer._queue) == 2)
    with pytest.raises(kind):
        failed.result(LIMIT)
    with pytest.raises(StateUnavailable):
        beside.result(LIMIT)
    assert numbers(state) == {}
    assert add(state, "b", 1) == 1


class Together:
    """A pool whose changes gather behind a transaction, which ends with this."""

    def __init__(self, state: DatabaseState) -> None:
        self._go = threading.Event()
        self._inside = threading.Event()
        self._pool = ThreadPoolExecutor(8)
        self._pool.submit(state._writer.run, self._wait)
        assert self._inside.wait(LIMIT)

    def _wait(self, *_: object) -> None:
        self._inside.set()
        assert self._go.wait(LIMIT)

    def __enter__(self) -> ThreadPoolExecutor:
        return self._pool

    def __exit__(self, *_: object) -> None:
        self._go.set()
        self._pool.shutdown()


def test_an_error_of_the_database_is_unavailable_and_changes_nothing(state: DatabaseState) -> None:
    add(state, "a", 1)

    def twice(t: Transaction) -> None:
        t.execute(ONCE, name="b", number=2)
        t.execute(NUMBERED, name="a", number=2)

    with pytest.raises(StateUnavailable):
        state.rows.write(twice)
    assert numbers(state) == {"a": 1}
    assert add(state, "b", 1) == 1


def test_what_is_called_wrongly_is_refused_before_it_runs(state: DatabaseState) -> None:
    for parameters in ({}, {"name": "a", "nmae": "b"}):
        with pytest.raises(TypeError, match=r"missing|unknown"):
            state.rows.ask(OF_NAME, **parameters)
    with pytest.raises(TypeError, match="write"):
        state.rows.ask(ONCE, name="a", number=1)
    for name in ("a\0b", "\udcff"):
        with pytest.raises(ValueError, match=r"NUL|surrogates"):
            state.rows.ask(OF_NAME, name=name)
        with pytest.raises(ValueError, match=r"NUL|surrogates"):
            add(state, name, 1)
    assert numbers(state) == {}


def test_a_statement_is_compiled_once(state: DatabaseState) -> None:
    prepare = state.rows._core.prepare
    for number in range(3):
        add(state, str(number), number)
        state.rows.ask(OF_NAME, name="1")
    assert prepare(OF_NAME) is prepare(OF_NAME)
    assert prepare.cache_info().misses == 2


def test_another_process_sees_a_change_at_once(database: Database, state: DatabaseState) -> None:
    other = database.open()
    assert other.rows.ask(OF_NAME, name="a") == []
    add(state, "a", 5)
    assert other.rows.ask(OF_NAME, name="a") == [(5,)]


def test_changes_of_many_processes_threads_are_each_counted(
    database: Database, state: DatabaseState
) -> None:
    states = [state, database.open()]

    def count(number: int) -> None:
        states[number % 2].rows.write(lambda t: t.execute(COUNT, name="a", number=1))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(count, range(200)))
    assert numbers(state) == {"a": 200}


def test_a_closed_state_answers_nobody(state: DatabaseState) -> None:
    state.close()
    with pytest.raises(StateUnavailable, match="closed"):
        state.rows.ask(ALL)
    with pytest.raises(StateUnavailable, match="closed"):
        add(state, "a", 1)
