"""Leases: exclusive, all or none, renewed, lost, taken over."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.state.api import LeaseBusy, LeaseLost, LeaseName, StateUnavailable, Touch
from bridge.state.database import DatabaseState
from tests.state.conftest import Clock, Database, until

A, B, C = b"a" * 16, b"b" * 16, b"c" * 16
ONE, TWO, THREE = LeaseName(A, b"one"), LeaseName(A, b"two"), LeaseName(B, b"three")


def test_a_name_is_held_by_one_at_a_time(state: DatabaseState) -> None:
    tree = state.tree("v")
    with tree.acquire([ONE], [], wait=0), pytest.raises(LeaseBusy):
        tree.acquire([ONE], [], wait=0.01)
    tree.acquire([ONE], [], wait=0).release()


def test_another_state_on_the_database_finds_the_name_held(database: Database) -> None:
    mine, theirs = database.open().tree("v"), database.open().tree("v")
    with mine.acquire([ONE], [], wait=0), pytest.raises(LeaseBusy):
        theirs.acquire([ONE], [], wait=0.01)
    theirs.acquire([ONE], [], wait=0).release()


def test_vaults_do_not_share_names(state: DatabaseState) -> None:
    with state.tree("v").acquire([ONE], [], wait=0), state.tree("w").acquire([ONE], [], wait=0):
        assert state.tree("v").stale_leases() == []


@pytest.mark.parametrize("blocked", [ONE, TWO, THREE])
def test_all_names_are_taken_or_none(database: Database, blocked: LeaseName) -> None:
    mine, theirs = database.open().tree("v"), database.open().tree("v")
    names = [THREE, ONE, TWO]
    with theirs.acquire([blocked], [], wait=0), pytest.raises(LeaseBusy):
        mine.acquire(names, [Touch(C, links=True)], wait=0.01)
    assert not mine.read([C])[0].changing
    for name in names:
        theirs.acquire([name], [], wait=0).release()
        mine.acquire([name], [], wait=0).release()


def test_the_same_name_twice_is_one_lease(state: DatabaseState) -> None:
    with state.tree("v").acquire([ONE, ONE], [], wait=0) as lease:
        lease.check()
    state.tree("v").acquire([ONE], [], wait=0).release()


def test_sixteen_threads_exclude_each_other(state: DatabaseState) -> None:
    tree = state.tree("v")
    inside = itertools.count()
    seen: list[int] = []

    def work(_: int) -> None:
        for _round in range(10):
            with tree.acquire([ONE], [Touch(A, links=False)], wait=30) as lease:
                entered = next(inside)
                seen.append(entered)
                lease.check()
                assert seen[-1] == entered
                lease.finish()

    before = tree.read([A])[0].generation
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    assert seen == list(range(160))
    assert tree.read([A])[0].generation == before + 160


def test_two_states_exclude_each_other(database: Database) -> None:
    trees = [database.open(real=True).tree("v") for _ in range(2)]
    held: list[int] = []
    most = []

    def work(number: int) -> None:
        for _round in range(10):
            with trees[number % 2].acquire([ONE], [], wait=30):
                held.append(number)
                most.append(len(held))
                held.remove(number)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert most == [1] * 60


def test_crossing_sets_of_names_do_not_deadlock(database: Database) -> None:
    trees = [database.open(real=True).tree("v") for _ in range(2)]
    orders = list(itertools.permutations([ONE, TWO, THREE]))
    finished = []

    def work(number: int) -> None:
        names = orders[number % len(orders)][: 2 + number % 2]
        for _round in range(5):
            with trees[number % 2].acquire(names, [Touch(C, links=True)], wait=30) as lease:
                finished.append(lease.finish())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(finished) == 40


def test_waiting_threads_are_served_in_the_order_they_came(state: DatabaseState) -> None:
    tree = state.tree("v")
    order: list[int] = []

    def wait(number: int) -> None:
        with tree.acquire([ONE], [], wait=30):
            order.append(number)

    threads = []
    with tree.acquire([ONE], [], wait=0):
        for number in range(8):
            thread = threading.Thread(target=wait, args=(number,))
            thread.start()
            threads.append(thread)
            until(lambda: len(tree._turns._queues[ONE]) == number + 1)  # noqa: B023
    for thread in threads:
        thread.join(20)
    assert order == list(range(8))


def test_one_who_stopped_waiting_does_not_hold_up_those_behind(state: DatabaseState) -> None:
    tree = state.tree("v")
    with tree.acquire([ONE], [], wait=0):
        for _ in range(3):
            with pytest.raises(LeaseBusy):
                tree.acquire([TWO, ONE], [], wait=0.005)
        tree.acquire([TWO], [], wait=0).release()
    tree.acquire([ONE, TWO], [], wait=0).release()


def test_remaining_counts_down_from_the_start_of_acquiring(
    state: DatabaseState, clock: Clock
) -> None:
    with state.tree("v").acquire([ONE], [], wait=0) as lease:
        assert lease.remaining == 60
        clock.seconds += 15
        assert lease.remaining == 45


def test_a_lease_is_renewed_when_a_third_of_its_life_is_over(
    state: DatabaseState, clock: Clock
) -> None:
    with state.tree("v").acquire([ONE], [Touch(B, links=True)], wait=0) as lease:
        for _ in range(10):
            clock.seconds += 19
            state.beat()
            assert lease.remaining == 41
            clock.seconds += 2
            state.beat()
            assert lease.remaining == 60
        assert state.tree("v").stale_leases() == []
        lease.check()
        assert lease.finish()


def test_the_heartbeat_renews_by_itself(database: Database) -> None:
    state = database.open(real=True, ttl=4)
    with state.tree("v").acquire([ONE], [Touch(A, links=False)], wait=0) as lease:
        first = lease.renewed
        until(lambda: lease.renewed > first)
        assert lease.finish()


def test_a_lease_that_was_not_renewed_is_lost(state: DatabaseState, clock: Clock) -> None:
    tree = state.tree("v")
    before = tree.read([A])[0]
    lease = tree.acquire([ONE], [Touch(A, links=True)], wait=0)
    clock.seconds += 60
    assert lease.remaining == 0
    with pytest.raises(LeaseLost):
        lease.check()
    with pytest.raises(LeaseLost):
        lease.finish()
    after = tree.read([A])[0]
    assert after.generation > before.generation
    assert after.links > before.links
    lease.release()


def test_a_lease_knows_the_touched_directories_as_they_were_without_its_own_marks(
    state: DatabaseState,
) -> None:
    tree = state.tree("v")
    seen = tree.read([A, C])
    touches = [Touch(A, links=True), Touch(B, links=False)]
    with tree.acquire([ONE, THREE], touches, wait=0) as lease:
        # B was never seen, C is not touched.
        assert lease.before == {A: seen[0]}
        assert tree.read([A])[0].links_changing
        states = lease.finish()
    with tree.acquire([ONE], touches, wait=0) as lease:
        assert lease.before == states
        lease.touch([Touch(C, links=False)])
        assert set(lease.before) == {A, B}
        lease.unchanged()


def test_others_marks_count_in_what_a_lease_knows_of_before(database: Database) -> None:
    mine, theirs = database.open().tree("v"), database.open().tree("v")
    mine.read([A, B])
    touches = [Touch(A, links=False), Touch(B, links=False)]
    theirs_held = theirs.acquire([TWO], [Touch(A, links=False), Touch(B, links=True)], wait=0)
    with mine.acquire([ONE], touches, wait=0) as lease:
        marked = lease.before
        assert [(each.changing, each.links_changing) for each in marked.values()] == [
            (True, False),
            (True, True),
        ]
        after = theirs_held.finish()
        assert lease.before == marked
        assert all(each.changing for each in after.values())
        lease.unchanged()
    with mine.acquire([ONE], touches, wait=0) as lease:
        assert lease.before == {
            directory: state._replace(changing=False, links_changing=False)
            for directory, state in after.items()
        }


def test_whoever_waited_for_a_lease_knows_what_was_changed_meanwhile(state: DatabaseState) -> None:
    tree = state.tree("v")
    first = tree.acquire([ONE], [Touch(A, links=False)], wait=0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(tree.acquire, [ONE], [Touch(A, links=False)], wait=30)
        states = first.finish()
        with waiting.result() as second:
            assert second.before == states


def test_after_a_takeover_a_lease_knows_the_states_that_the_dead_holders_end_raised(
    database: Database,
) -> None:
    dead, alive = database.open().tree("v"), database.open().tree("v")
    old = alive.read([A, C])
    dead.acquire([TWO], [Touch(A, links=False), Touch(B, links=True), Touch(C, links=True)], wait=0)
    database.clock.seconds += 61
    # Its first name is free and its second one taken, by the dead.
    with alive.acquire(
        [ONE, TWO], [Touch(A, links=False), Touch(B, links=False), Touch(C, links=False)], wait=0
    ) as lease:
        assert set(lease.before) == {A, B, C}
        assert [lease.before[each].generation for each in (A, C)] == [
            each.generation + 1 for each in old
        ]
        assert not any(each.changing or each.links_changing for each in lease.before.values())
        assert {each: state.generation + 1 for each, state in lease.before.items()} == {
            each: state.generation for each, state in lease.finish().items()
        }


def test_a_lease_that_another_took_over_is_lost_and_raises_generations_all_the_same(
    database: Database,
) -> None:
    slow, quick = database.open(), database.open()
    lease = slow.tree("v").acquire([ONE], [Touch(A, links=False)], wait=0)
    database.clock.seconds += 61
    with quick.tree("v").acquire([ONE], [Touch(A, links=False)], wait=0) as taken:
        slow.beat()
        between = quick.tree("v").read([A])[0]
        with pytest.raises(LeaseLost):
            lease.finish()
        assert quick.tree("v").read([A])[0].generation == between.generation + 1
        taken.check()
        assert quick.tree("v").read([A])[0].changing


def test_a_heartbeat_that_comes_too_late_does_not_revive_a_lease(
    state: DatabaseState, clock: Clock
) -> None:
    lease = state.tree("v").acquire([ONE], [], wait=0)
    clock.seconds += 61
    state.beat()
    clock.seconds -= 30
    with pytest.raises(LeaseLost):
        lease.check()
    lease.release()


def test_taking_over_raises_what_the_dead_holder_may_have_changed(database: Database) -> None:
    dead, alive = database.open(), database.open()
    tree = alive.tree("v")
    before = tree.read([A, B, C])
    dead.tree("v").acquire([ONE], [Touch(A, links=False), Touch(B, links=True)], wait=0)
    database.clock.seconds += 61
    with tree.acquire([ONE], [], wait=0):
        after = tree.read([A, B, C])
    assert [new.generation - old.generation for old, new in zip(before, after, strict=True)] == [
        1,
        1,
        0,
    ]
    assert [new.links - old.links for old, new in zip(before, after, strict=True)] == [0, 1, 0]
    assert after[0].mtime > before[0].mtime
    assert not after[1].changing


def test_others_leave_a_lease_for_as_long_as_its_holders_changes_may_come_late(
    database: Database,
) -> None:
    slow, quick = database.open(linger=17), database.open(linger=17)
    lease = slow.tree("v").acquire([ONE], [Touch(A, links=False)], wait=0)
    assert lease.remaining == 60
    database.clock.seconds += 61
    with pytest.raises(LeaseLost):
        lease.check()
    with pytest.raises(LeaseBusy):
        quick.tree("v").acquire([ONE], [], wait=0)
    assert quick.tree("v").read([A])[0].changing
    database.clock.seconds += 17
    quick.tree("v").acquire([ONE], [], wait=0).release()
    assert not quick.tree("v").read([A])[0].changing


def test_whoever_reads_a_dead_holders_directory_raises_it(database: Database) -> None:
    dead, alive = database.open(), database.open()
    before = alive.tree("v").read([A])[0]
    dead.tree("v").acquire([ONE], [Touch(A, links=True)], wait=0)
    database.clock.seconds += 61
    after = alive.tree("v").read([A])[0]
    assert after.generation == before.generation + 1
    assert not after.changing
    assert alive.tree("v").stale_leases() == []


def test_stale_leases_are_named_without_mere_marks_and_can_be_cleared(
    database: Database,
) -> None:
    dead, alive = database.open(), database.open()
    tree = alive.tree("v")
    before = tree.read([C])[0]
    dead.tree("v").acquire([ONE, THREE], [Touch(C, links=False)], wait=0)
    assert tree.stale_leases() == []
    assert tree.clear_stale_leases() == 0
    database.clock.seconds += 61
    assert tree.stale_leases() == [ONE, THREE]
    assert tree.clear_stale_leases() == 2
    assert tree.stale_leases() == []
    assert tree.read([C])[0].generation == before.generation + 1


def test_finish_is_the_end_and_says_the_same_again(state: DatabaseState) -> None:
    tree = state.tree("v")
    with tree.acquire([ONE], [Touch(A, links=True), Touch(B, links=False)], wait=0) as lease:
        states = lease.finish()
        assert lease.finish() == states
        lease.release()
        assert lease.remaining == 0
        with pytest.raises(LeaseLost):
            lease.check()
    assert dict(zip([A, B], tree.read([A, B]), strict=True)) == states


def test_finishing_what_was_released_is_refused(state: DatabaseState) -> None:
    lease = state.tree("v").acquire([ONE], [Touch(A, links=True)], wait=0)
    lease.release()
    lease.release()
    with pytest.raises(LeaseLost):
        lease.finish()


def test_release_raises_generations_unless_nothing_was_changed(state: DatabaseState) -> None:
    tree = state.tree("v")
    start = tree.read([A])[0].generation
    with tree.acquire([ONE], [Touch(A, links=False)], wait=0) as lease:
        lease.unchanged()
    assert tree.read([A])[0].generation == start
    with tree.acquire([ONE], [Touch(A, links=False)], wait=0):
        pass
    assert tree.read([A])[0].generation == start + 1


def test_directories_can_be_announced_later(state: DatabaseState, clock: Clock) -> None:
    tree = state.tree("v")
    start = tree.read([A, B])
    with tree.acquire([ONE], [Touch(A, links=False)], wait=0) as lease:
        lease.touch([Touch(B, links=False)])
        assert tree.read([B])[0].changing
        assert not tree.read([B])[0].links_changing
        lease.touch([Touch(A, links=True), Touch(B, links=True), Touch(B, links=False)])
        assert all(each.links_changing for each in tree.read([A, B]))
        clock.seconds += 30
        state.beat()
        assert lease.remaining == 60
        states = lease.finish()
    assert set(states) == {A, B}
    assert [states[each].links for each in (A, B)] == [each.links + 1 for each in start]
    assert not any(each.changing for each in tree.read([A, B]))


def test_nothing_can_be_announced_under_a_lost_lease(state: DatabaseState, clock: Clock) -> None:
    lease = state.tree("v").acquire([ONE], [], wait=0)
    clock.seconds += 60
    with pytest.raises(LeaseLost):
        lease.touch([Touch(A, links=False)])
    lease.release()


def test_closing_releases_what_is_held(database: Database) -> None:
    state, other = database.open(), database.open()
    lease = state.tree("v").acquire([ONE], [Touch(A, links=False)], wait=0)
    before = other.tree("v").read([A])[0].generation
    state.close()
    state.close()
    assert other.tree("v").read([A])[0].generation == before + 1
    other.tree("v").acquire([ONE], [], wait=0).release()
    with pytest.raises(LeaseLost):
        lease.finish()
    with pytest.raises(StateUnavailable):
        state.tree("v").acquire([TWO], [], wait=0)
    with pytest.raises(StateUnavailable):
        state.tree("v").read([A])
