"""Real processes on one database: exclusion, and what the death of one leaves."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from bridge.state.api import LeaseBusy, LeaseName, Lock, Touch
from bridge.state.database import DatabaseState, open_state
from tests.state.conftest import Database

A, B = b"a" * 16, b"b" * 16
ONE = LeaseName(A, b"one")
TOUCHES = [Touch(A, links=False), Touch(B, links=True)]

spawn = multiprocessing.get_context("spawn")


def _count(url: str, folder: str, rounds: int) -> None:
    """Read, add one, write: what goes wrong when two are inside at once."""
    counter = Path(folder) / "counter"
    with open_state(url) as state:
        tree = state.tree("v")
        for _ in range(rounds):
            with tree.acquire([ONE], [Touch(A, links=False)], wait=60) as lease:
                counter.write_text(str(int(counter.read_text()) + 1))
                lease.finish()


def _hold(url: str, ttl: float, ready: Connection) -> None:
    state = open_state(url, ttl=ttl)
    state.locks("tenant").add(Lock("token", "/a", True, True, "", "anna", 600, 0.0))
    lease = state.tree("v").acquire([ONE], TOUCHES, wait=0)
    ready.send(lease.remaining)
    signal.pause()


def _writes_until_killed(url: str, ready: Connection) -> None:
    tree = open_state(url).tree("v")
    number = 0
    while True:
        number += 1
        name = LeaseName(A, b"%d %d" % (os.getpid(), number))
        with tree.acquire([name], [Touch(A, links=False)], wait=60) as lease:
            ready.send(lease.finish()[A].generation)


class Holder:
    """A process that holds a lease until it is killed."""

    def __init__(self, url: str, ttl: float) -> None:
        here, there = spawn.Pipe()
        self.process = spawn.Process(target=_hold, args=(url, ttl, there))
        self.process.start()
        assert here.poll(60)
        assert here.recv() > 0

    def kill(self) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join(20)
        assert self.process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(("number", "rounds"), [(3, 40), (8, 15)])
def test_processes_exclude_each_other(
    database: Database, tmp_path: Path, number: int, rounds: int
) -> None:
    (tmp_path / "counter").write_text("0")
    state = database.open(real=True)
    before = state.tree("v").read([A])[0].generation
    processes = [
        spawn.Process(target=_count, args=(database.url, str(tmp_path), rounds))
        for _ in range(number)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(100)
    assert [process.exitcode for process in processes] == [0] * number
    assert (tmp_path / "counter").read_text() == str(number * rounds)
    assert state.tree("v").read([A])[0].generation == before + number * rounds


def test_a_killed_holders_lease_runs_out_and_its_directories_are_raised(
    database: Database,
) -> None:
    database.clock.seconds = time.time()
    state = database.open()
    tree = state.tree("v")
    before = tree.read([A, B])
    holder = Holder(database.url, ttl=300)
    holder.kill()
    assert [each.changing for each in tree.read([A, B])] == [True, True]
    with pytest.raises(LeaseBusy):
        tree.acquire([ONE], [], wait=0)
    database.clock.seconds = time.time() + 300
    after = tree.read([A, B])
    assert [new.generation - old.generation for old, new in zip(before, after, strict=True)] == [
        1,
        1,
    ]
    assert [new.links - old.links for old, new in zip(before, after, strict=True)] == [0, 1]
    tree.acquire([ONE], [], wait=0).release()
    assert not any(each.changing for each in after)
    assert state.locks("tenant").get("token") is not None


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    """An SQLite database: only there can a process know that it is alone."""
    database = Database(str(tmp_path / "state.db"))
    yield database
    for state in database.opened:
        state.close()


def test_who_opens_after_all_others_died_need_not_wait_for_their_leases(file: Database) -> None:
    database = file
    state = database.open(real=True)
    before = state.tree("v").read([A])[0].generation
    state.close()
    holder = Holder(database.url, ttl=600)
    beside = database.open(real=True)
    with pytest.raises(LeaseBusy):
        beside.tree("v").acquire([ONE], [], wait=0)
    beside.close()
    holder.kill()
    again = database.open(real=True)
    assert again.tree("v").read([A])[0].generation == before + 1
    again.tree("v").acquire([ONE], [], wait=0).release()
    assert again.locks("tenant").get("token") is not None


def test_a_dead_holders_changes_are_waited_for_where_they_may_come_late(file: Database) -> None:
    """A request that the dead process made may still be on its way to the store."""
    database = file
    database.clock.seconds = time.time()
    holder = Holder(database.url, ttl=600)
    holder.kill()
    state = open_state(database.url, linger=17, clock=database.clock, monotonic=database.clock)
    database.opened.append(state)
    tree = state.tree("v")
    with pytest.raises(LeaseBusy):
        tree.acquire([ONE], [], wait=0)
    assert [each.changing for each in tree.read([A, B])] == [True, True]
    database.clock.seconds += 18
    tree.acquire([ONE], [], wait=0).release()
    assert not any(each.changing for each in tree.read([A, B]))


def test_what_a_stopped_process_still_did_is_waited_for_too(file: Database) -> None:
    """It ends while a thread of it is in the middle of a change that may take effect late."""
    database = file

    def opened() -> DatabaseState:
        clock = database.clock
        state = open_state(database.url, linger=17, clock=clock, monotonic=clock)
        database.opened.append(state)
        return state

    state = opened()
    state.tree("v").acquire([ONE], TOUCHES, wait=0)
    state.close()
    tree = opened().tree("v")
    with pytest.raises(LeaseBusy):
        tree.acquire([ONE], [], wait=0)
    database.clock.seconds += 18
    tree.acquire([ONE], [], wait=0).release()


@pytest.mark.parametrize(
    "rounds", [3, pytest.param(40, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
def test_no_generation_that_was_seen_goes_back_when_its_writer_is_killed(
    database: Database, rounds: int
) -> None:
    seen = 0
    for _ in range(rounds):
        here, there = spawn.Pipe()
        process = spawn.Process(target=_writes_until_killed, args=(database.url, there))
        process.start()
        for _write in range(20):
            assert here.poll(60)
            generation = here.recv()
            assert generation > seen
            seen = generation
        process.kill()
        process.join(20)
        there.close()
        while True:
            try:
                seen = max(seen, here.recv())
            except EOFError:
                break
        state = database.open(real=True)
        (found,) = state.tree("v").read([A])
        assert found.generation >= seen
        # On PostgreSQL nobody knows that the writer is dead until its lease has run out.
        assert not (found.changing and database.is_sqlite)
        state.close()
