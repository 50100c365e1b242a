"""A tenant's figures: deltas, counts, several processes, and the quota."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.files.api import Usage
from bridge.files.errors import StorageFull
from bridge.state.api import StateUnavailable
from bridge.tenants.api import Used
from bridge.tenants.usage import DAY, Change, Ledger, Traffic, byte_seconds
from tests.files.vault import Clock
from tests.tenants.ledger import SharedUsage


@pytest.fixture
def clock() -> Clock:
    return Clock(20_000.0 * DAY)


@pytest.fixture
def shared(clock: Clock) -> SharedUsage:
    return SharedUsage(clock)


def ledger(shared: SharedUsage, quota: int | None = None) -> Ledger:
    return Ledger(shared, quota=quota, clock=shared.clock)


def figures(used: Used) -> tuple[int, int, int]:
    return used.bytes, used.stored, used.files


def is_due(kept: Ledger) -> bool:
    return kept.to_be_counted


class TestDeltas:
    def test_are_known_here_at_once_and_elsewhere_after_both_have_flushed(
        self, shared: SharedUsage
    ) -> None:
        one, other = ledger(shared), ledger(shared)
        one.changed(Change(10, 20, 1))
        other.changed(Change(5, 6, 1))
        assert figures(one.used) == (10, 20, 1)
        one.flush()
        assert figures(other.used) == (5, 6, 1)
        other.flush()
        assert figures(other.used) == (15, 26, 2)
        one.flush()
        assert figures(one.used) == figures(shared.used) == (15, 26, 2)

    def test_are_told_once_though_the_database_fails(self, shared: SharedUsage) -> None:
        kept = ledger(shared)
        kept.changed(Change(10, 20, 1))
        kept.moved(up=10, requests=1)
        shared.failing = StateUnavailable("away")
        with pytest.raises(StateUnavailable):
            kept.flush()
        kept.changed(Change(1, 2, 1))
        kept.moved(up=1, down=7, requests=1)
        assert figures(kept.used) == (11, 22, 2)
        shared.failing = None
        kept.flush()
        kept.flush()
        assert figures(kept.used) == figures(shared.used) == (11, 22, 2)
        assert shared.days == {20_000: Traffic(11, 7, 2)}

    def test_of_many_threads_are_all_told(self, shared: SharedUsage) -> None:
        kept = ledger(shared)

        def work(_number: int) -> None:
            for _ in range(200):
                kept.changed(Change(3, 5, 1))
                kept.moved(down=2)
                kept.flush()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        assert figures(shared.used) == figures(kept.used) == (4_800, 8_000, 1_600)
        assert shared.days[20_000].down == 3_200

    def test_never_show_less_than_nothing(self, shared: SharedUsage) -> None:
        kept = ledger(shared, quota=100)
        kept.changed(Change(-10, -20, -1))
        assert figures(kept.used) == (0, 0, 0)
        kept.changed(Change(20, 40, 2))
        kept.flush()
        assert figures(kept.used) == (10, 20, 1)

    def test_with_nothing_to_tell_nothing_is_written(self, shared: SharedUsage) -> None:
        kept, since = ledger(shared), shared.since
        kept.flush()
        assert shared.since == since


class TestTraffic:
    def test_is_kept_by_days(self, shared: SharedUsage, clock: Clock) -> None:
        kept = ledger(shared)
        kept.moved(up=5, requests=1)
        clock.forward(DAY)
        kept.moved(up=7, requests=1)
        kept.flush()
        assert shared.days == {20_000: Traffic(5, 0, 1), 20_001: Traffic(7, 0, 1)}

    def test_of_bytes_stored_is_reckoned_once_for_all_processes(
        self, shared: SharedUsage, clock: Clock
    ) -> None:
        one, other = ledger(shared), ledger(shared)
        one.changed(Change(0, 1_000, 1))
        one.flush()
        for kept in (one, other, one, other):
            clock.forward(900)
            kept.changed(Change(0, 0, 1))
            kept.flush()
        assert shared.byte_seconds[20_000] == pytest.approx(3_600_000, rel=1e-3)

    def test_byte_seconds_of_a_long_time_fall_on_its_days(self) -> None:
        noon = 20_000 * DAY + DAY // 2
        assert byte_seconds(10, noon, noon + 2 * DAY) == {
            20_000: 10 * DAY // 2,
            20_001: 10 * DAY,
            20_002: 10 * DAY // 2,
        }
        assert byte_seconds(10, noon, noon) == {}
        assert byte_seconds(10, noon, noon - 5) == {}


class TestACount:
    def test_is_due_before_the_first_and_when_something_changed_unseen(
        self, shared: SharedUsage
    ) -> None:
        kept = ledger(shared)
        assert is_due(kept)
        kept.count(lambda: Usage(7, 2, 9))
        assert figures(kept.used) == figures(shared.used) == (7, 9, 2)
        assert shared.used.counted is not None
        assert not is_due(kept)
        assert not is_due(ledger(shared))
        kept.changed_unseen()
        assert is_due(kept)

    def test_keeps_what_changed_while_it_ran_here_and_elsewhere(self, shared: SharedUsage) -> None:
        one, other = ledger(shared), ledger(shared)
        one.changed(Change(100, 200, 10))

        def measure() -> Usage:
            one.changed(Change(1, 2, 1))
            one.flush()
            other.changed(Change(10, 20, 1))
            other.flush()
            one.changed(Change(3, 4, 1))
            one.changed_unseen()
            return Usage(50, 5, 60)

        one.count(measure)
        assert one.to_be_counted
        one.flush()
        assert figures(one.used) == figures(shared.used) == (64, 86, 8)

    def test_of_two_processes_at_once_corrects_once(self, shared: SharedUsage) -> None:
        one, other = ledger(shared), ledger(shared)

        def measure() -> Usage:
            other.count(lambda: Usage(50, 5, 60))
            return Usage(50, 5, 60)

        one.count(measure)
        assert figures(one.used) == figures(shared.used) == (50, 60, 5)

    def test_that_fails_is_due_again(self, shared: SharedUsage) -> None:
        kept = ledger(shared)
        kept.count(lambda: Usage(0, 0, 0))

        def measure() -> Usage:
            raise StateUnavailable("away")

        with pytest.raises(StateUnavailable):
            kept.count(measure)
        assert kept.to_be_counted


def test_a_ledger_is_at_rest_when_nothing_is_coming_and_all_is_told(shared: SharedUsage) -> None:
    kept = ledger(shared)
    rests = [kept.at_rest]  # it was never counted
    kept.count(lambda: Usage(0, 0, 0))
    rests.append(kept.at_rest)
    room = kept.reserve()
    room.require(1)
    rests.append(kept.at_rest)
    room.settle(Change(1, 1, 1))
    rests.append(kept.at_rest)
    kept.flush()
    rests.append(kept.at_rest)
    kept.moved(requests=1)
    rests.append(kept.at_rest)
    assert rests == [False, True, False, False, True, False]


class TestTheQuota:
    def test_is_for_what_is_there_and_what_is_coming(self, shared: SharedUsage) -> None:
        kept = ledger(shared, quota=100)
        kept.changed(Change(30, 30, 1))
        first, second = kept.reserve(), kept.reserve()
        first.require(50)
        assert kept.available == 20
        with pytest.raises(StorageFull):
            second.require(21)
        assert kept.available == 20
        second.require(20)
        second.release()
        second.release()
        first.settle(Change(50, 60, 1))
        assert kept.available == 20
        assert figures(kept.used) == (80, 90, 2)

    def test_keeps_nothing_for_a_write_that_goes_on_after_its_upload_was_aborted(
        self, shared: SharedUsage
    ) -> None:
        kept = ledger(shared, quota=100)
        room = kept.reserve()
        room.require(30)
        room.release()
        room.require(60)
        assert kept.available == 100

    def test_may_change_at_any_time_and_be_less_than_what_is_there(
        self, shared: SharedUsage
    ) -> None:
        kept = ledger(shared, quota=100)
        kept.changed(Change(80, 80, 1))
        kept.quota = 50
        assert (kept.quota, kept.available) == (50, 0)
        room = kept.reserve()
        room.require(-10)
        room.require(0)
        with pytest.raises(StorageFull):
            room.require(1)
        kept.quota = None
        available: int | None = kept.available
        assert available is None
        room.require(1 << 60)

    def test_holds_while_deltas_are_on_their_way(self, shared: SharedUsage) -> None:
        kept = ledger(shared, quota=100)
        kept.changed(Change(60, 60, 1))
        seen: list[int | None] = []

        shared.told = lambda: seen.append(kept.available)
        kept.flush()
        assert seen == [40]
        assert kept.available == 40

    def test_is_never_passed_by_many_at_once(self, shared: SharedUsage) -> None:
        kept = ledger(shared, quota=1_000)
        most, lock = 0, threading.Lock()

        def work(_number: int) -> int:
            nonlocal most
            won = 0
            for _ in range(100):
                room = kept.reserve()
                try:
                    room.require(7)
                except StorageFull:
                    continue
                room.settle(Change(7, 7, 1))
                won += 7
                with lock:
                    most = max(most, kept.used.bytes)
                kept.flush()
            return won

        with ThreadPoolExecutor(8) as pool:
            won = sum(pool.map(work, range(8)))
        assert won == kept.used.bytes == most == 994


def test_what_goes_while_a_count_runs_is_not_taken_off_twice(shared: SharedUsage) -> None:
    """Whether the count has seen it or not: a quota is passed by none of it."""
    tenant = ledger(shared, quota=10_000)
    tenant.changed(Change(5_000, 5_000, 5))

    def measure() -> Usage:
        tenant.changed(Change(-2_000, -2_000, -2))
        return Usage(3_000, 3_000, 3)

    tenant.count(measure)
    tenant.flush()
    assert tenant.used.bytes >= 3_000
    assert tenant.available is not None
    assert tenant.available <= 7_000
    assert tenant.to_be_counted
    tenant.count(lambda: Usage(3_000, 3_000, 3))
    assert (tenant.used.bytes, tenant.available) == (3_000, 7_000)
