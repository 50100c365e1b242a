"""Calls that may take hours: whoever asks waits a little, then asks again."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

from bridge.http.errors import Overloaded

A = TypeVar("A")

_log = logging.getLogger("bridge.admin")

PATIENCE = 10.0
"""Seconds that an answer waits for the end of such a call."""

AT_ONCE = 2
"""How many of them run at once: each holds a worker thread."""


class Lasting(Generic[A]):
    """Such calls under way. One that runs is joined, not begun again. Used from one event loop."""

    def __init__(self) -> None:
        self._calls: dict[Hashable, _Call[A]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def join(
        self,
        key: Hashable,
        work: Callable[[], A],
        run: Callable[[Callable[[], A]], Awaitable[A]],
    ) -> A | None:
        """What the call of this key returns or raises; None while it goes on.

        ``work`` is done in a worker, by ``run``. Raises Overloaded where it has not begun when the
        wait ends: then it will not, once nobody waits for it, since nobody was told that it would.
        """
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = _Call(work)
            call.task = asyncio.create_task(self._run(call, run))
            call.task.add_done_callback(partial(self._forget, key, call))
        task = call.task
        call.waiting += 1
        try:
            await asyncio.wait({task}, timeout=PATIENCE)
        finally:
            call.waiting -= 1
            if not call.waiting and call.withdraw():
                self._forget(key, call)
                task.cancel()
        if task.done():
            return task.result()
        if not call.begun:
            raise Overloaded
        task.add_done_callback(_say)
        return None

    async def _run(self, call: _Call[A], run: Callable[[Callable[[], A]], Awaitable[A]]) -> A:
        async with self._turns:
            return await run(call.do)

    def _forget(self, key: Hashable, call: _Call[A], _task: object = None) -> None:
        if self._calls.get(key) is call:
            del self._calls[key]


class _Call(Generic[A]):
    """A call that is done, or withdrawn before it has begun: one of the two."""

    task: asyncio.Task[A]

    def __init__(self, work: Callable[[], A]) -> None:
        self._work = work
        self._decided = threading.Lock()  # never released
        self._withdrawn = False
        self.waiting = 0

    @property
    def begun(self) -> bool:
        """Whether it is being done, or was."""
        return self._decided.locked() and not self._withdrawn

    def do(self) -> A:
        """Do it, in a worker, unless it was withdrawn."""
        if not self._decided.acquire(blocking=False):
            raise Overloaded
        return self._work()

    def withdraw(self) -> bool:
        """Whether it has not begun; it never does then. Asked once, and in the event loop."""
        self._withdrawn = self._decided.acquire(blocking=False)
        return self._withdrawn


def _say(task: asyncio.Task[A]) -> None:
    """Log the failure of a call whose end nobody may ever ask about."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.warning("a call that went on failed: %r; asked again, it resumes", error)
