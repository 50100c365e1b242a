"""The worker pool: bounded, fair to every line, and honest about being full."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from functools import partial

import pytest

from bridge.http.errors import Overloaded
from bridge.http.pool import Pool


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool("test", 2, queue=3, wait=0.3)
    yield pool
    pool.close()


async def test_a_call_returns_what_it_returns_and_raises_what_it_raises(pool: Pool) -> None:
    assert await pool.run(lambda: 6 * 7) == 42
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 / 0)


async def test_many_calls_all_come_back_to_their_own_callers() -> None:
    pool = Pool("test", 4, queue=5000)
    results = await asyncio.gather(*(pool.run(partial(pow, n, 2)) for n in range(2000)))
    pool.close()
    assert results == [n * n for n in range(2000)]
    assert pool.outstanding == 0


async def test_no_more_calls_run_at_once_than_there_are_threads(pool: Pool) -> None:
    running: list[int] = []
    most: list[int] = []
    both = threading.Barrier(2)

    def call() -> None:
        running.append(1)
        most.append(len(running))
        both.wait(5)
        running.pop()

    await asyncio.gather(*(pool.run(call, line=n) for n in range(4)))
    assert max(most) == 2


async def test_a_full_queue_refuses_at_once_and_a_long_wait_is_refused_in_time(pool: Pool) -> None:
    gate = threading.Event()
    held = [pool.submit(lambda: gate.wait(10), line=n) for n in range(2)]
    waiting = [pool.submit(lambda: True, line=n) for n in range(3)]
    with pytest.raises(Overloaded):
        await pool.run(lambda: True, line="late")
    started = time.monotonic()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, Overloaded) for outcome in outcomes)
    assert 0.2 < time.monotonic() - started < 2
    gate.set()
    assert await asyncio.gather(*held) == [True, True]
    assert await pool.run(lambda: "again") == "again"


async def test_a_cancelled_call_that_has_not_begun_never_runs(pool: Pool) -> None:
    gate = threading.Event()
    held = [pool.submit(lambda: gate.wait(10), line=n) for n in range(2)]
    ran: list[bool] = []
    waiting = asyncio.ensure_future(pool.run(lambda: ran.append(True)))
    await asyncio.sleep(0)
    waiting.cancel()
    gate.set()
    await asyncio.gather(*held)
    await pool.run(lambda: None)
    assert ran == []


async def test_what_goes_on_with_something_begun_waits_as_long_as_it_takes(pool: Pool) -> None:
    gate = threading.Event()
    held = [pool.submit(lambda: gate.wait(10), line=n) for n in range(2)]
    begun = asyncio.ensure_future(pool.run(lambda: "done", begun=True))
    behind = asyncio.ensure_future(pool.run(lambda: "never"))
    with pytest.raises(Overloaded):
        await behind
    assert not begun.done()
    gate.set()
    assert await begun == "done"
    await asyncio.gather(*held)
    assert pool.outstanding == 0


async def test_calls_refused_in_the_queue_cost_those_behind_them_nothing() -> None:
    """Sweeps and workers take from one queue all the time; each call is answered once."""
    pool = Pool("test", 4, queue=10_000, wait=0.0)
    told = await asyncio.gather(
        *(pool.run(partial(time.sleep, 0.001), begun=n % 2 == 0) for n in range(4_000)),
        return_exceptions=True,
    )
    pool.close()
    assert pool.outstanding == 0
    assert told[::2] == [None] * 2_000
    assert all(each is None or isinstance(each, Overloaded) for each in told)
    assert any(told)


async def test_a_line_whose_calls_all_hang_leaves_threads_and_places_to_the_next() -> None:
    pool = Pool("test", 32, queue=100)
    gate = threading.Event()
    hanging = [pool.submit(lambda: gate.wait(10), line="hangs") for _ in range(25 + 80)]
    with pytest.raises(Overloaded):
        pool.submit(lambda: gate.wait(10), line="hangs")
    async with asyncio.timeout(5):
        assert await asyncio.gather(
            *(pool.run(partial(pow, n, 2), line="works") for n in range(20))
        ) == [n * n for n in range(20)]
        for third in range(100):
            assert await pool.run(lambda: True, line=third)
    assert not any(each.done() for each in hanging)
    gate.set()
    assert all(await asyncio.gather(*hanging))
    pool.close()
    assert pool.outstanding == 0


async def test_lines_take_turns_however_much_one_of_them_asks() -> None:
    pool = Pool("test", 1)
    gate = threading.Event()
    order: list[str] = []
    held = pool.submit(lambda: gate.wait(10))
    calls = [
        pool.submit(partial(order.append, name), line=name)
        for name in ["much"] * 5 + ["little"] * 2 + ["least"]
    ]
    gate.set()
    await asyncio.gather(held, *calls)
    pool.close()
    assert order == ["much", "little", "least", "much", "little", "much", "much", "much"]


async def test_one_thread_and_one_place_are_enough_for_anyone() -> None:
    pool = Pool("test", 1, queue=1)
    for line in ("a", "b"):
        calls = [pool.submit(lambda: True, line=line) for _ in range(2)]
        assert await asyncio.gather(*calls) == [True, True]
    pool.close()


async def test_of_calls_that_were_cancelled_or_refused_nothing_is_kept() -> None:
    pool = Pool("test", 1, queue=100, wait=0.3)
    gate = threading.Event()
    held = pool.submit(lambda: gate.wait(10), line="held")
    cancelled = [pool.submit(lambda: True, line=n) for n in range(10)]
    refused = [pool.submit(lambda: True, line=n) for n in range(5, 15)]
    for each in cancelled:
        each.cancel()
    told = await asyncio.gather(*refused, return_exceptions=True)
    assert all(isinstance(each, Overloaded) for each in told)
    assert pool.outstanding == 1
    gate.set()
    await held
    assert pool.outstanding == 0
    assert not pool._lines
    pool.close()


def test_what_is_queued_when_the_pool_is_closed_is_done_though_the_loop_ends() -> None:
    gate, done = threading.Event(), threading.Semaphore(0)
    pool = Pool("test", 2)

    async def work() -> None:
        for line in "ab":
            pool.submit(lambda: gate.wait(10), line=line)
        for line in "abcabc":
            pool.submit(done.release, begun=True, line=line)
        pool.close()
        with pytest.raises(Overloaded):
            pool.submit(done.release)

    asyncio.run(work())
    gate.set()
    for _ in range(6):
        assert done.acquire(timeout=10)
    for thread in pool._running:
        thread.join(10)
        assert not thread.is_alive()


async def test_where_no_thread_can_be_started_no_place_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = Pool("pool", 2)

    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        for _ in range(3):
            with pytest.raises(RuntimeError):
                pool.submit(lambda: 1)
    assert pool.outstanding == 0
    assert await pool.run(lambda: "done") == "done"
    pool.close()
