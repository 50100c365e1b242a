"""The worker pool: bounded, fair, and honest about being full."""

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

    await asyncio.gather(*(pool.run(call) for _ in range(4)))
    assert max(most) == 2


async def test_a_full_queue_refuses_at_once_and_a_long_wait_is_refused_in_time(pool: Pool) -> None:
    gate = threading.Event()
    held = [asyncio.ensure_future(pool.run(lambda: gate.wait(10))) for _ in range(2)]
    waiting = [asyncio.ensure_future(pool.run(lambda: True)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await pool.run(lambda: True)
    started = time.monotonic()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, Overloaded) for outcome in outcomes)
    assert 0.2 < time.monotonic() - started < 2
    gate.set()
    assert await asyncio.gather(*held) == [True, True]
    assert await pool.run(lambda: "again") == "again"


async def test_a_cancelled_call_that_has_not_begun_never_runs(pool: Pool) -> None:
    gate = threading.Event()
    held = [asyncio.ensure_future(pool.run(lambda: gate.wait(10))) for _ in range(2)]
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
    held = [asyncio.ensure_future(pool.run(lambda: gate.wait(10))) for _ in range(2)]
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
