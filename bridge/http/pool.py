"""Worker threads behind a bounded queue.

A request hops to a thread at least once, so the hop is what small requests cost. asyncio's own
executor makes two futures and one wake-up of the loop for every call; here a call is one
future, and all calls that finish while the loop is busy share one wake-up.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

from bridge.http.errors import Overloaded
from bridge.http.limits import Limits

T = TypeVar("T")

_SWEEP = 0.5
"""Seconds between looks for jobs that have waited too long."""


def _nothing() -> None:
    pass


class _Job(Generic[T]):
    """One call: what to run, who waits, and since when."""

    __slots__ = ("call", "error", "future", "queued", "value")

    def __init__(self, call: Callable[[], T], future: asyncio.Future[T], queued: float) -> None:
        self.call = call
        self.future = future
        self.queued = queued
        self.value: T | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.value = self.call()
        except BaseException as error:  # noqa: BLE001 - it is raised again where the call was made
            self.error = error

    def refuse(self) -> None:
        """Answer instead of the call, and keep nothing: a worker may take a while to drop it.

        The error is not kept either, whose traceback would hold the frames of whoever waits for it,
        and with them a body.
        """
        if not self.future.done():
            self.future.set_exception(Overloaded())
        del self.future, self.call

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
        self._jobs: deque[_Job[object]] = deque()
        # Whoever takes a job out of here answers it: a worker, or the sweep.
        self._unanswered: set[_Job[object]] = set()
        self._tokens: SimpleQueue[bool] = SimpleQueue()
        self._done: deque[_Job[object]] = deque()
        self._waking = False
        self._running: list[threading.Thread] = []
        self._outstanding = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def outstanding(self) -> int:
        """Calls that run or wait."""
        return self._outstanding

    def submit(self, call: Callable[[], T], *, begun: bool = False) -> asyncio.Future[T]:
        """Queue ``call``; raises Overloaded at once when the queue is full.

        ``begun``: it goes on with something that a client has waited for already, so that it waits
        for a worker as long as it takes.
        """
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        if self._closed or self._outstanding >= self._threads + self._queue:
            raise Overloaded
        future: asyncio.Future[T] = loop.create_future()
        job = _Job(call, future, math.inf if begun else time.monotonic())
        self._outstanding += 1
        self._unanswered.add(job)  # type: ignore[arg-type]
        self._jobs.append(job)  # type: ignore[arg-type]
        if self._outstanding > len(self._running) < self._threads:
            self._start()
        self._tokens.put(True)
        if self._outstanding > self._threads and self._sweeping is None:
            self._sweeping = loop.call_later(_SWEEP, self._sweep)
        return future

    async def run(self, call: Callable[[], T], *, begun: bool = False) -> T:
        """Run ``call`` on a worker and return or raise what it does; Overloaded after the wait."""
        return await self.submit(call, begun=begun)

    def close(self) -> None:
        """Let queued calls finish, then let the threads end. Does not wait."""
        if not self._closed:
            self._closed = True
            for _ in self._running:
                self._tokens.put(False)

    def _start(self) -> None:
        thread = threading.Thread(
            target=self._work, name=f"{self.name}-{len(self._running)}", daemon=True
        )
        self._running.append(thread)
        thread.start()

    def _work(self) -> None:
        self._begin()
        while self._tokens.get():
            job = self._jobs.popleft()
            try:
                self._unanswered.remove(job)
            except KeyError:
                del job
                continue
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
            self._outstanding -= 1
            job.deliver()

    def _sweep(self) -> None:
        """Answer what has waited too long, though every worker hangs."""
        self._sweeping = None
        limit = time.monotonic() - self._wait
        for job in list(self._jobs):
            if job.queued <= limit and job in self._unanswered:
                try:
                    self._unanswered.remove(job)
                except KeyError:  # a worker was faster
                    continue
                self._outstanding -= 1
                job.refuse()
        if self._unanswered and self._loop is not None:
            self._sweeping = self._loop.call_later(_SWEEP, self._sweep)


@dataclass(frozen=True, slots=True)
class Workers:
    """The pools that every door shares.

    ``quick`` is for short work, ``bulk`` for the blocks of large bodies, ``patient`` for copies and
    whole folders.
    """

    quick: Pool
    bulk: Pool
    patient: Pool

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
        )

    @property
    def outstanding(self) -> int:
        """Calls that run or wait."""
        return self.quick.outstanding + self.bulk.outstanding + self.patient.outstanding

    def close(self) -> None:
        """Let the workers end when they have done what is queued."""
        for pool in (self.quick, self.bulk, self.patient):
            pool.close()
