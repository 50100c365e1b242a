"""Reading ahead: in order, only so far, and closed once, by whoever is last."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from bridge.http.ahead import AHEAD, Ahead
from bridge.http.errors import Overloaded
from bridge.http.pool import Pool, PoolLine


async def until(true: Callable[[], bool]) -> None:
    """Return as soon as ``true()``, with the loop running on; fail after 10 s."""
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.005)


class Source:
    """Counts what is read, and notices a close beside a read, or a second one."""

    def __init__(self, blocks: int, *, fails: bool = False) -> None:
        self.reads = 0
        self.closed = 0
        self.gate = threading.Event()
        self.gate.set()
        self._blocks = blocks
        self._fails = fails
        self._reading = False

    def read(self) -> bytes:
        self._reading = True
        self.gate.wait(10)
        self.reads += 1
        self._reading = False
        if self.reads > self._blocks:
            if self._fails:
                raise ValueError("damaged")
            return b""
        return b"%d" % self.reads

    def close(self) -> None:
        assert not self._reading
        self.closed += 1


@pytest.fixture
def pool() -> Iterator[Pool]:
    """Two threads."""
    made = Pool("ahead", 2)
    yield made
    made.close()


async def test_blocks_come_in_order_and_end(pool: Pool) -> None:
    source = Source(50)
    ahead = Ahead(pool, source.read, source.close)
    blocks = []
    while block := await ahead.next():
        blocks.append(block)
    assert blocks == [b"%d" % number for number in range(1, 51)]
    ahead.end()
    await until(lambda: source.closed == 1)


async def test_a_sender_that_waits_holds_no_thread(pool: Pool) -> None:
    source = Source(50)
    ahead = Ahead(pool, source.read, source.close)
    await until(lambda: pool.outstanding == 0)
    assert source.reads == AHEAD
    assert await ahead.next() == b"1"
    await until(lambda: source.reads == AHEAD + 1 and pool.outstanding == 0)
    ahead.end()
    await until(lambda: source.closed == 1)


async def test_what_was_read_before_a_failure_is_given_before_it(pool: Pool) -> None:
    source = Source(1, fails=True)
    ahead = Ahead(pool, source.read, source.close)
    assert await ahead.next() == b"1"
    with pytest.raises(ValueError, match="damaged"):
        await ahead.next()
    ahead.end()
    await until(lambda: source.closed == 1)


async def test_a_read_that_runs_ends_before_the_close(pool: Pool) -> None:
    source = Source(5)
    source.gate.clear()
    ahead = Ahead(pool, source.read, source.close)
    ahead.end()
    ahead.end()
    assert source.closed == 0
    source.gate.set()
    await until(lambda: source.closed == 1 and pool.outstanding == 0)
    await asyncio.sleep(0)
    assert source.closed == 1


async def test_a_full_pool_ends_it_and_closes(pool: Pool) -> None:
    full = Pool("full", 1, queue=0)
    busy = threading.Event()
    running = full.submit(lambda: busy.wait(10))
    source = Source(5)
    ahead = Ahead(full, source.read, source.close)
    with pytest.raises(Overloaded):
        await ahead.next()
    await until(lambda: source.closed == 1)
    busy.set()
    await running
    full.close()


async def test_what_waits_longer_for_a_thread_than_a_request_may_comes_in_the_end() -> None:
    pool = Pool("ahead", 4, wait=0.2)
    hanging = threading.Event()
    line = PoolLine(pool, "tenant")
    for _ in range(3):  # all that one line gets
        line.submit(lambda: hanging.wait(10))
    source = Source(3)
    ahead = Ahead(line, source.read, source.close)
    asked = asyncio.create_task(ahead.next())
    await asyncio.sleep(1.5)
    hanging.set()
    assert await asked == b"1"
    hanging.clear()
    for _ in range(3):
        line.submit(lambda: hanging.wait(10))
    ahead.end()
    await asyncio.sleep(1.5)
    hanging.set()
    await until(lambda: source.closed == 1)
    pool.close()
