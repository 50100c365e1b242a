"""Changes of many threads in one transaction, and what one of them may do to the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.state.api import StateError, StateUnavailable
from bridge.state.backend import Cursor
from bridge.state.writer import Writer
from tests.state.conftest import Database, until

TIME = 123.0
LIMIT = 60.0
"""Seconds that nothing here takes on the busiest machine."""


class Refused(StateError):
    """One change's own outcome."""


@pytest.fixture
def writer(database: Database) -> Iterator[Writer]:
    database.clock.seconds = TIME
    state = database.open()
    database.run("CREATE TABLE numbers (number int)")
    writer = Writer(state._backend, LIMIT)
    yield writer
    writer.close()


def insert(writer: Writer, number: int) -> int:
    def work(cursor: Cursor, _now: float) -> int:
        if number < 0:
            raise Refused
        cursor.execute(f"INSERT INTO numbers VALUES ({number})", ())
        return number

    return writer.run(work)


def numbers(writer: Writer) -> list[int]:
    def work(cursor: Cursor, _now: float) -> list[int]:
        rows = cursor.execute("SELECT number FROM numbers ORDER BY number", ()).fetchall()
        return [row[0] for row in rows]

    return writer.run(work)


class Blocker:
    """A change that stays within its transaction until it is let go."""

    def __init__(self, writer: Writer) -> None:
        self.inside = threading.Event()
        self.go = threading.Event()
        self.thread = threading.Thread(target=writer.run, args=(self.work,))
        self.thread.start()
        assert self.inside.wait(LIMIT)

    def work(self, _cursor: Cursor, _now: float) -> None:
        self.inside.set()
        assert self.go.wait(LIMIT)

    def end(self) -> None:
        self.go.set()
        self.thread.join(LIMIT)


def test_a_change_gets_the_transactions_time(writer: Writer) -> None:
    assert writer.run(lambda _cursor, now: now) == TIME


def test_changes_that_gather_share_a_transaction_and_each_has_its_own_outcome(
    writer: Writer,
) -> None:
    blocker = Blocker(writer)
    with ThreadPoolExecutor(20) as pool:
        done = [pool.submit(insert, writer, number) for number in range(10)]
        refused = pool.submit(insert, writer, -1)
        until(lambda: len(writer._queue) == 11)
        blocker.end()
        assert [each.result(LIMIT) for each in done] == list(range(10))
        with pytest.raises(Refused):
            refused.result(LIMIT)
    assert numbers(writer) == list(range(10))


def test_when_one_change_breaks_the_transaction_all_in_it_are_told_and_none_is_made(
    writer: Writer,
) -> None:
    def breaks(cursor: Cursor, _now: float) -> None:
        cursor.execute("INSERT INTO nowhere VALUES (1)", ())

    blocker = Blocker(writer)
    with ThreadPoolExecutor(4) as pool:
        beside = pool.submit(insert, writer, 1)
        until(lambda: len(writer._queue) == 1)
        broken = pool.submit(writer.run, breaks)
        until(lambda: len(writer._queue) == 2)
        blocker.end()
        for each in (beside, broken):
            with pytest.raises(StateUnavailable):
                each.result(LIMIT)
    assert numbers(writer) == []
    assert insert(writer, 2) == 2


def test_a_fault_in_a_change_is_its_own_and_the_writer_goes_on(writer: Writer) -> None:
    def fault(cursor: Cursor, _now: float) -> float:
        cursor.execute("INSERT INTO numbers VALUES (1)", ())
        return 1 / 0

    blocker = Blocker(writer)
    with ThreadPoolExecutor(4) as pool:
        beside = pool.submit(insert, writer, 1)
        until(lambda: len(writer._queue) == 1)
        faulty = pool.submit(writer.run, fault)
        until(lambda: len(writer._queue) == 2)
        blocker.end()
        with pytest.raises(StateUnavailable):
            beside.result(LIMIT)
        with pytest.raises(ZeroDivisionError):
            faulty.result(LIMIT)
    assert numbers(writer) == []
    assert insert(writer, 2) == 2


def test_a_change_whose_turn_does_not_come_is_given_up_and_never_made(writer: Writer) -> None:
    writer._wait = 0.05
    blocker = Blocker(writer)
    with pytest.raises(StateUnavailable, match="busy"):
        insert(writer, 1)
    blocker.end()
    assert numbers(writer) == []


def test_after_closing_no_change_is_made(writer: Writer) -> None:
    writer.close()
    writer.close()
    with pytest.raises(StateUnavailable, match="closed"):
        insert(writer, 1)
