"""The limiting wrapper: how many at once, how many a second, in which order, how long."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from bridge.store.api import NotFound, ObjectInfo, RateLimited
from bridge.store.deadline import deadline
from bridge.store.limited import Gate, LimitedStore, TokenBucket
from bridge.store.memory import MemoryStore
from tests.store.faulty import Fault, FaultyStore, Script
from tests.store.objects import read, write


def until(gate: Gate, waiting: int) -> None:
    """Come back when so many wait."""
    ends = time.monotonic() + 10
    while gate.waiting != waiting:
        assert time.monotonic() < ends
        time.sleep(0.001)


def test_a_bucket_gives_its_burst_at_once_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=10, burst=3, now=100.0)
    assert [bucket.take(100.0) for _ in range(3)] == [0, 0, 0]
    assert bucket.take(100.0) == pytest.approx(0.1)
    assert bucket.take(100.05) == pytest.approx(0.05)
    assert bucket.take(100.11) == 0
    assert [bucket.take(200.0) for _ in range(3)] == [0, 0, 0]
    assert bucket.take(200.0) > 0


def test_a_bucket_survives_a_clock_that_goes_back() -> None:
    bucket = TokenBucket(rate=10, burst=1, now=100.0)
    assert bucket.take(100.0) == 0
    assert bucket.take(50.0) == pytest.approx(0.1)
    assert bucket.take(50.1) == 0


def test_no_more_than_the_limit_are_inside_at_once() -> None:
    gate = Gate(3)
    inside = 0
    most = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            gate.enter(10)
            with lock:
                inside += 1
                most = max(most, inside)
            with lock:
                inside -= 1
            gate.leave()

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(work) for _ in range(8)]:
            future.result()
    assert 1 <= most <= 3


def test_those_who_wait_come_in_in_the_order_of_their_arrival() -> None:
    gate = Gate(1)
    gate.enter(0)
    order: list[int] = []

    def work(number: int) -> None:
        gate.enter(10)
        order.append(number)
        gate.leave()

    with ThreadPoolExecutor(6) as pool:
        futures: list[Future[None]] = []
        for number in range(6):
            futures.append(pool.submit(work, number))
            until(gate, number + 1)
        gate.leave()
        for future in futures:
            future.result()
    assert order == [0, 1, 2, 3, 4, 5]


def _entering(pool: ThreadPoolExecutor, gate: Gate, line: str, came: list[str]) -> Future[None]:
    """Somebody comes in, when it is their turn, and goes at once."""

    def work() -> None:
        gate.enter(10, line)
        came.append(line)
        gate.leave(line)

    before = gate.waiting
    entering = pool.submit(work)
    until(gate, before + 1)
    return entering


def test_who_comes_after_two_hundred_of_another_line_comes_in_next() -> None:
    gate = Gate(1)
    gate.enter(0, "many")
    came: list[str] = []
    with ThreadPoolExecutor(202) as pool:
        waiting = [_entering(pool, gate, "many", came) for _ in range(200)]
        waiting += [_entering(pool, gate, "few", came) for _ in range(2)]
        gate.leave("many")
        for entering in waiting:
            entering.result()
    assert came[:4] == ["many", "few", "many", "few"]
    assert came[4:] == ["many"] * 198


def test_lines_take_turns() -> None:
    gate = Gate(1)
    gate.enter(0)
    came: list[str] = []
    with ThreadPoolExecutor(9) as pool:
        waiting = [_entering(pool, gate, line, came) for line in "aaaabbcca"]
        gate.leave()
        for entering in waiting:
            entering.result()
    assert came == list("abcabcaaa")


def test_who_gives_up_costs_the_line_nothing_but_a_turn() -> None:
    gate = Gate(1)
    gate.enter(0)
    came: list[str] = []
    with ThreadPoolExecutor(5) as pool:
        impatient = pool.submit(gate.enter, 0.05, "a")
        until(gate, 1)
        waiting = [_entering(pool, gate, line, came) for line in "ab"]
        with pytest.raises(RateLimited):
            impatient.result()
        until(gate, 2)
        gate.leave()
        for entering in waiting:
            entering.result()
    assert sorted(came) == ["a", "b"]
    assert gate.waiting == 0
    gate.enter(0, "a")  # nobody holds the place


def test_no_line_holds_all_places() -> None:
    gate = Gate(10)
    for _ in range(8):
        gate.enter(0, "greedy")
    with ThreadPoolExecutor(1) as pool:
        ninth = pool.submit(gate.enter, 10, "greedy")
        until(gate, 1)
        gate.enter(0, "other")
        with pytest.raises(RateLimited):
            gate.enter(0.05, "greedy")
        gate.leave("greedy")
        until(gate, 1)  # of nine places but one is free, which is not for who holds seven
        gate.leave("other")
        ninth.result()
    assert gate.waiting == 0


def test_stores_with_one_gate_share_its_places() -> None:
    gate = Gate(1)
    hang = threading.Event()
    script = Script(stat=[Fault(error=None, hang=hang)])
    one = LimitedStore(FaultyStore(MemoryStore(), script), gate, line="one")
    other = LimitedStore(MemoryStore(), gate, line="other", patience=0.05)
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(one.stat, "k")
        ends = time.monotonic() + 10
        while not script.done:
            assert time.monotonic() < ends
            time.sleep(0.001)
        with pytest.raises(RateLimited):
            other.probe()
        hang.set()
        assert isinstance(hanging.exception(), NotFound)
    other.probe()


def test_who_has_waited_too_long_leaves_the_queue_to_the_others() -> None:
    gate = Gate(1)
    gate.enter(0)
    with ThreadPoolExecutor(2) as pool:
        impatient = pool.submit(gate.enter, 0.05)
        until(gate, 1)
        patient = pool.submit(gate.enter, 10)
        with pytest.raises(RateLimited):
            impatient.result()
        until(gate, 1)
        gate.leave()
        patient.result()
    assert gate.waiting == 0


def test_the_rate_holds_over_many_callers() -> None:
    gate = Gate(100, rate=200, burst=5)
    began = time.monotonic()

    def work() -> None:
        gate.enter(10)
        gate.leave()

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(work) for _ in range(45)]:
            future.result()
    assert time.monotonic() - began >= 40 / 200 * 0.99


def test_a_hanging_call_does_not_hold_up_the_content_of_another() -> None:
    memory = MemoryStore()
    write(memory, "k", b"content")
    hang = threading.Event()
    faulty = FaultyStore(memory, Script())
    store = LimitedStore(faulty, Gate(1), patience=0.05)
    download = store.get("k")
    script = faulty.plan = Script(stat=[Fault(error=None, hang=hang)])
    with ThreadPoolExecutor(1) as pool:
        hanging: Future[ObjectInfo] = pool.submit(store.stat, "k")
        ends = time.monotonic() + 10
        while not script.done:
            assert time.monotonic() < ends
            time.sleep(0.001)
        with pytest.raises(RateLimited):
            store.stat("k")
        buffer = bytearray(10)
        assert download.readinto(memoryview(buffer)) == 7
        hang.set()
        assert hanging.result().size == 7
    assert read(store, "k") == b"content"


def test_the_ambient_deadline_bounds_the_wait() -> None:
    gate_holder = threading.Event()
    script = Script(probe=[Fault(error=None, hang=gate_holder)])
    store = LimitedStore(FaultyStore(MemoryStore(), script), Gate(1), patience=60)
    with ThreadPoolExecutor(1) as pool:
        probing = pool.submit(store.probe)
        ends = time.monotonic() + 10
        while not script.done:
            assert time.monotonic() < ends
            time.sleep(0.001)
        began = time.monotonic()
        with deadline(0.05), pytest.raises(RateLimited):
            store.probe()
        assert time.monotonic() - began < 10
        gate_holder.set()
        probing.result()
