"""Generations, links and times of directories."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.state.api import DirectoryState, LeaseName, Touch
from bridge.state.database import DatabaseState
from bridge.state.tree import VaultState
from tests.state.conftest import Clock, Database

A, B = b"a" * 16, b"b" * 16


def change(tree: VaultState, *touches: Touch) -> dict[bytes, DirectoryState]:
    with tree.acquire([LeaseName(A, b"name")], touches, wait=10) as lease:
        return dict(lease.finish())


def test_a_directory_never_seen_is_created_with_the_time_of_now(
    state: DatabaseState, clock: Clock
) -> None:
    (first,) = state.tree("v").read([A])
    assert first.mtime == int(clock.seconds)
    assert not first.changing
    clock.seconds += 100
    assert state.tree("v").read([A]) == [first]
    assert state.tree("w").read([A])[0].mtime == int(clock.seconds)


def test_states_come_in_the_order_asked_for_repeats_included(state: DatabaseState) -> None:
    tree = state.tree("v")
    tree.read([B])
    change(tree, Touch(B, links=False))
    a, b = tree.read([A, B])
    assert a != b
    assert tree.read([B, A, B, B]) == [b, a, b, b]
    assert tree.read([]) == []


@pytest.mark.parametrize("count", [8, 9, 17, 1300, 9000])
def test_any_number_of_directories_can_be_read(state: DatabaseState, count: int) -> None:
    directories = [number.to_bytes(16, "big") for number in range(count)]
    change(state.tree("v"), Touch(directories[-1], links=True))
    states = state.tree("v").read(directories)
    assert len(states) == count
    assert states[-1] == state.tree("v").read([directories[-1]])[0]


def test_the_time_moves_by_whole_seconds_never_back_and_never_stands(
    state: DatabaseState, clock: Clock
) -> None:
    tree = state.tree("v")
    start = tree.read([A])[0].mtime
    times = [change(tree, Touch(A, links=False))[A].mtime for _ in range(3)]
    assert times == [start + 1, start + 2, start + 3]
    clock.seconds += 100
    assert change(tree, Touch(A, links=False))[A].mtime == start + 100
    clock.seconds -= 50
    assert change(tree, Touch(A, links=False))[A].mtime == start + 101


def test_links_rise_only_with_directory_entries(state: DatabaseState) -> None:
    tree = state.tree("v")
    before = tree.read([A, B])
    after = change(tree, Touch(A, links=False), Touch(B, links=True))
    assert after[A].generation == before[0].generation + 1
    assert after[A].links == before[0].links
    assert after[B].links == before[1].links + 1


@pytest.mark.parametrize("links", [False, True])
@pytest.mark.parametrize("directory", [A, B])
def test_touched_directories_are_marked_as_changing_while_the_lease_is_held(
    state: DatabaseState, directory: bytes, *, links: bool
) -> None:
    tree = state.tree("v")
    with tree.acquire([LeaseName(A, b"n")], [Touch(directory, links=links)], wait=0) as lease:
        for each in (A, B):
            found = tree.read([each])[0]
            assert found.changing == (each == directory)
            assert found.links_changing == (each == directory and links)
        assert not lease.finish()[directory].changing
    assert not tree.read([directory])[0].changing


def test_a_directory_that_another_still_changes_stays_marked(state: DatabaseState) -> None:
    tree = state.tree("v")
    with (
        tree.acquire([LeaseName(A, b"dir")], [Touch(A, links=True)], wait=0) as other,
        tree.acquire([LeaseName(A, b"file")], [Touch(A, links=False)], wait=0) as lease,
    ):
        finished = lease.finish()[A]
        assert finished.changing
        assert finished.links_changing
        assert tree.read([A]) == [finished]
        assert not other.finish()[A].changing


def test_a_forgotten_directory_never_repeats_a_generation(
    state: DatabaseState, clock: Clock
) -> None:
    tree = state.tree("v")
    old = change(tree, Touch(A, links=True))[A]
    clock.seconds += 1
    tree.forget([A])
    tree.forget([])
    (new,) = tree.read([A])
    assert new.generation > old.generation
    assert new.links > old.links


def test_another_process_sees_a_change_at_once(database: Database) -> None:
    mine, theirs = database.open().tree("v"), database.open().tree("v")
    theirs.read([A])
    for _ in range(5):
        changed = change(mine, Touch(A, links=True))[A]
        assert theirs.read([A]) == [changed]


def test_generations_are_each_given_once_under_concurrency(database: Database) -> None:
    trees = [database.open(real=True).tree("v") for _ in range(2)]
    start = trees[0].read([A])[0]

    def work(number: int) -> list[DirectoryState]:
        found = []
        for round_ in range(10):
            name = LeaseName(A, b"%d-%d" % (number, round_))
            with trees[number % 2].acquire([name], [Touch(A, links=True)], wait=30) as lease:
                found.append(lease.finish()[A])
        return found

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    for mine in results:
        assert all(old.generation < new.generation for old, new in itertools.pairwise(mine))
    every = sorted(each for mine in results for each in mine)
    expected = [start.generation + step for step in range(1, 81)]
    assert [each.generation for each in every] == expected
    assert len({each.links for each in every}) == 80
    assert all(old.mtime < new.mtime for old, new in itertools.pairwise(every))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["finish", "release", "unchanged", "die", "read"]),
        st.lists(st.sampled_from([A, B]), max_size=2, unique=True),
        st.booleans(),
        st.floats(-5, 90),
    ),
    max_size=12,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_no_history_takes_a_generation_or_time_back(
    database: Database, steps: list[tuple[str, list[bytes], bool, float]]
) -> None:
    clock = database.clock
    with database.open() as state:
        # Each history has a vault of its own.
        tree = state.tree(os.urandom(8).hex())
        last = tree.read([A, B])
        for what, directories, links, pause in steps:
            if what != "read":
                names = [LeaseName(A, os.urandom(8))]
                touches = [Touch(each, links=links) for each in directories]
                lease = tree.acquire(names, touches, wait=0)
                if what == "unchanged":
                    lease.unchanged()
                if what == "finish":
                    lease.finish()
                elif what != "die":
                    lease.release()
            clock.seconds += pause
            now = tree.read([A, B])
            for directory, old, new in zip((A, B), last, now, strict=True):
                assert new.generation >= old.generation
                assert new.links >= old.links
                assert (new.mtime > old.mtime) == (new.generation > old.generation)
                if what in ("finish", "release") and directory in directories:
                    assert new.generation > old.generation
                    assert (new.links > old.links) or not links
            last = now
