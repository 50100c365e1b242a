"""Calls that may take hours: whoever asks waits a little, then asks again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

A = TypeVar("A")

_log = logging.getLogger("bridge.admin")

PATIENCE = 10.0
"""Seconds that an answer waits for the end of such a call."""

AT_ONCE = 2
"""How many of them run at once: each holds a worker thread."""


class Lasting(Generic[A]):
    """Such calls under way. One that runs is joined, not begun again. Used from one event loop."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[A]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def join(self, key: Hashable, call: Callable[[], Awaitable[A]]) -> A | None:
        """What the call of this key returns or raises; None while it goes on."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(self._run(call))
            task.add_done_callback(lambda _: self._tasks.pop(key))
        done, _ = await asyncio.wait({task}, timeout=PATIENCE)
        if not done:
            task.add_done_callback(_say)
            return None
        return task.result()

    async def _run(self, call: Callable[[], Awaitable[A]]) -> A:
        async with self._turns:
            return await call()


def _say(task: asyncio.Task[A]) -> None:
    """Log the failure of a call whose end nobody may ever ask about."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.warning("a call that went on failed: %r; asked again, it resumes", error)
