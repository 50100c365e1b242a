"""Worker threads behind bounded lines, one line for each tenant.

A request hops to a thread at least once, so the hop is what small requests cost. asyncio's own
executor makes two futures and one wake-up of the loop for every call; here a call is one
future, and all calls that finish while the loop is busy share one wake-up.

Who runs next is decided in the loop alone, so that no hop takes a lock. Lines take turns, and none
may hold all threads, nor fill the whole queue (``bridge.fair``): of 32 threads a line that is
alone gets 25, and the next one finds 7 that are free, however long the calls of the first one hang.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

from bridge.fair import may_take
from bridge.http.errors import Overloaded
from bridge.http.limits import Limits

T = TypeVar("T")

_SWEEP = 0.5
"""Seconds between looks for jobs that have waited too long."""


def _nothing() -> None:
    pass


class _Line:
    """The calls in one name: how many run, and those that wait."""

    __slots__ = ("name", "running", "waiting")

    def __init__(self, name: Hashable) -> None:
        self.name = name
        self.running = 0
        self.waiting: deque[_Job[object]] = deque()


class _Job(Generic[T]):
    """One call: what to run, who waits, in which line, and since when (``inf``: for ever)."""

    __slots__ = ("call", "error", "future", "line", "queued", "value")

    def __init__(self, call: Callable[[], T], future: asyncio.Future[T], line: _Line) -> None:
        self.call = call
        self.future = future
        self.line = line
        self.queued = math.inf
        self.value: T | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.value = self.call()
        except BaseException as error:  # noqa: BLE001 - it is raised again where the call was made
            self.error = error

    def deliver(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.value)  # type: ignore[arg-type]


class Pool:
    """At most ``threads`` calls at once, ``queue`` waiting, none for more than ``wait`` seconds.

    ``begin`` is called once in each worker. Used from one event loop. A call that has begun runs to
    its end, whoever stops waiting.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        *,
        queue: int = 1000,
        wait: float = 20.0,
        begin: Callable[[], None] = _nothing,
    ) -> None:
        self.name = name
        self._begin = begin
        self._threads = threads
        self._queue = queue
        self._wait = wait
        self._free = threads
        self._places = queue
        self._lines: dict[Hashable, _Line] = {}
        self._waiting: OrderedDict[Hashable, _Line] = OrderedDict()
        """Lines in which somebody waits; those that have waited longest for their turn first."""
        self._given: SimpleQueue[_Job[object] | None] = SimpleQueue()
        """What runs as soon as a thread has woken: there are as many threads for it as calls."""
        self._done: deque[_Job[object]] = deque()
        self._waking = False
        self._running: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def outstanding(self) -> int:
        """Calls that run or wait."""
        return self._threads - self._free + self._queue - self._places

    def submit(
        self, call: Callable[[], T], *, begun: bool = False, line: Hashable = ""
    ) -> asyncio.Future[T]:
        """Queue ``call`` in ``line``; raises Overloaded at once when there is no place for it.

        ``begun``: it goes on with something that a client has waited for already, so that it waits
        for a worker as long as it takes.
        """
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        if self._closed:
            raise Overloaded
        own = self._lines.get(line)
        if own is None:
            own = self._lines[line] = _Line(line)
        future: asyncio.Future[T] = loop.create_future()
        job = _Job(call, future, own)
        if not own.waiting and may_take(1, own.running, self._free):
            self._give(job)  # type: ignore[arg-type]
        else:
            self._enqueue(job, begun=begun)  # type: ignore[arg-type]
        return future

    async def run(self, call: Callable[[], T], *, begun: bool = False, line: Hashable = "") -> T:
        """Run ``call`` on a worker and return or raise what it does; Overloaded after the wait."""
        return await self.submit(call, begun=begun, line=line)

    def close(self) -> None:
        """Let queued calls finish, then let the threads end. Does not wait."""
        if not self._closed:
            self._closed = True
            # The loop may end before they do: nothing is left for it to decide.
            while self._waiting:
                self._give_first_of(next(iter(self._waiting.values())))
            for _ in self._running:
                self._given.put(None)

    def _give(self, job: _Job[object]) -> None:
        if self._threads - self._free >= len(self._running) < self._threads:
            try:
                self._start()
            except RuntimeError:  # the system has no thread left: those that are there will do
                if not self._running:
                    raise
        job.line.running += 1
        self._free -= 1
        self._given.put(job)

    def _enqueue(self, job: _Job[object], *, begun: bool) -> None:
        """Let it wait in its line. Raises Overloaded."""
        line = job.line
        if not may_take(1, len(line.waiting), self._places):
            self._drop_if_empty(line)
            raise Overloaded
        if not begun:
            job.queued = time.monotonic()
        self._places -= 1
        line.waiting.append(job)
        self._waiting[line.name] = line
        if self._sweeping is None and self._loop is not None:
            self._sweeping = self._loop.call_later(_SWEEP, self._sweep)

    def _give_waiting(self) -> None:
        """Give what is free to those whose turn it is."""
        while self._free > 0:
            for line in self._waiting.values():
                if may_take(1, line.running, self._free):
                    self._give_first_of(line)
                    break
            else:
                return

    def _give_first_of(self, line: _Line) -> None:
        """The turn of a line in which somebody waits."""
        job = line.waiting.popleft()
        self._places += 1
        if line.waiting:
            self._waiting.move_to_end(line.name)
        else:
            del self._waiting[line.name]
        if job.future.done():  # nobody waits for it any more
            self._drop_if_empty(line)
        else:
            self._give(job)

    def _drop_if_empty(self, line: _Line) -> None:
        if not line.running and not line.waiting:
            del self._lines[line.name]

    def _start(self) -> None:
        thread = threading.Thread(
            target=self._work, name=f"{self.name}-{len(self._running)}", daemon=True
        )
        thread.start()
        self._running.append(thread)

    def _work(self) -> None:
        self._begin()
        while (job := self._given.get()) is not None:
            if not job.future.cancelled():
                job.run()
            self._done.append(job)
            del job
            # A second wake-up that is one too many costs little; one too few would lose an answer:
            # the flag is lowered before the queue is emptied, and raised after it was filled.
            if not self._waking:
                self._waking = True
                self._wake()

    def _wake(self) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop has closed: nobody waits
            self._done.clear()

    def _deliver(self) -> None:
        self._waking = False
        while self._done:
            job = self._done.popleft()
            line = job.line
            line.running -= 1
            self._free += 1
            if not line.running and not line.waiting:
                del self._lines[line.name]
            job.deliver()
        if self._waiting:
            self._give_waiting()

    def _sweep(self) -> None:
        """Answer what has waited too long, though every worker hangs."""
        self._sweeping = None
        limit = time.monotonic() - self._wait

        def over(job: _Job[object]) -> bool:
            return job.queued <= limit or job.future.done()

        for line in list(self._waiting.values()):
            late = [job for job in line.waiting if over(job)]
            if not late:
                continue
            line.waiting = deque(job for job in line.waiting if not over(job))
            self._places += len(late)
            if not line.waiting:
                del self._waiting[line.name]
                self._drop_if_empty(line)
            for job in late:
                if not job.future.done():
                    job.future.set_exception(Overloaded())
        if self._waiting and self._loop is not None:
            self._sweeping = self._loop.call_later(_SWEEP, self._sweep)


@dataclass(frozen=True, slots=True)
class PoolLine:
    """One line of a pool: what is submitted here is submitted in its name."""

    pool: Pool
    name: Hashable

    def submit(self, call: Callable[[], T], *, begun: bool = False) -> asyncio.Future[T]:
        """As ``Pool.submit``."""
        return self.pool.submit(call, begun=begun, line=self.name)

    async def run(self, call: Callable[[], T], *, begun: bool = False) -> T:
        """As ``Pool.run``."""
        return await self.pool.submit(call, begun=begun, line=self.name)


@dataclass(frozen=True, slots=True)
class TenantWorkers:
    """One tenant's lines of the pools."""

    quick: PoolLine
    bulk: PoolLine
    patient: PoolLine


@dataclass(frozen=True, slots=True)
class Workers:
    """The pools that every door shares.

    ``quick`` is for short work, ``bulk`` for the blocks of large bodies, ``patient`` for copies and
    whole folders. ``sign_in`` is for looking at secrets, which asks the database alone: neither
    does who hangs there keep anybody from signing in, nor who signs in anybody from working.
    """

    quick: Pool
    bulk: Pool
    patient: Pool
    sign_in: Pool

    @classmethod
    def within(
        cls,
        limits: Limits,
        *,
        begin_quick: Callable[[], None] = _nothing,
        begin_other: Callable[[], None] = _nothing,
    ) -> Workers:
        """New pools; a ``begin`` is called once in each worker, for short or for other work."""

        def pool(name: str, threads: int, begin: Callable[[], None]) -> Pool:
            return Pool(name, threads, queue=limits.queue, wait=limits.wait, begin=begin)

        return cls(
            quick=pool("quick", limits.threads, begin_quick),
            bulk=pool("bulk", limits.threads, begin_other),
            patient=pool("patient", limits.long_threads, begin_other),
            sign_in=pool("sign-in", limits.sign_in_threads, begin_quick),
        )

    def of(self, tenant: str) -> TenantWorkers:
        """The pools in the name of a tenant."""
        return TenantWorkers(
            PoolLine(self.quick, tenant),
            PoolLine(self.bulk, tenant),
            PoolLine(self.patient, tenant),
        )

    @property
    def outstanding(self) -> int:
        """Calls that run or wait."""
        return sum(pool.outstanding for pool in self._pools)

    def close(self) -> None:
        """Let the workers end when they have done what is queued."""
        for pool in self._pools:
            pool.close()

    @property
    def _pools(self) -> tuple[Pool, ...]:
        return self.quick, self.bulk, self.patient, self.sign_in
