"""Uploads take turns by the memory they need, not by their number."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SHORT = (1 << 20) - (64 << 10)
"""Bytes up to which an upload is short: encrypted, less than the MiB up to which Storj's store
keeps an object until its commit. Short ones have a lane of their own, so that they never wait for a
large one whose client is slow."""

_SHORT_BESIDE = 64 << 10
"""Bytes that a short upload holds beside its content."""

_SHORT_SHARE = 8
"""The short lane is this part of all."""


class _Waiting:
    """Somebody who waits for ``size`` bytes, and by how many bytes others have overtaken it."""

    __slots__ = ("given", "overtaken", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.overtaken = 0
        self.given: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Lane:
    """``total`` bytes that are lent. Used from one event loop.

    Who asked first comes first; but who asks for less may overtake those for whom there is too
    little left, until as much was lent past each of these as it asks for itself.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._free = total
        self._queue: deque[_Waiting] = deque()

    @property
    def lent(self) -> int:
        """Bytes that are lent now."""
        return self._total - self._free

    @asynccontextmanager
    async def turn(self, size: int, wait: float) -> AsyncIterator[None]:
        """Hold ``size`` bytes, or all there are. Raises TimeoutError after ``wait`` seconds."""
        waiting = _Waiting(min(size, self._total))
        self._queue.append(waiting)
        self._lend()
        if not waiting.given.done():
            await self._wait(waiting, wait)
        try:
            yield
        finally:
            self._free += waiting.size
            self._lend()

    async def _wait(self, waiting: _Waiting, wait: float) -> None:
        try:
            async with asyncio.timeout(wait):
                await waiting.given
        except BaseException:
            if waiting.given.done() and not waiting.given.cancelled():
                self._free += waiting.size  # it came, and nobody is there to use it
            else:
                waiting.given.cancel()
                self._queue.remove(waiting)
            self._lend()
            raise

    def _lend(self) -> None:
        passed: list[_Waiting] = []
        for waiting in list(self._queue):
            if waiting.given.done():  # cancelled: its task, which has yet to run, takes it out
                continue
            size = waiting.size
            if size <= self._free and all(one.overtaken + size <= one.size for one in passed):
                for one in passed:
                    one.overtaken += size
                self._free -= size
                self._queue.remove(waiting)
                waiting.given.set_result(None)
            else:
                passed.append(waiting)
                if self._free == 0:
                    return


class Turns:
    """Turns for uploads that together may hold ``total`` bytes of memory.

    ``each``: how much of its content a long one holds at most; ``beside``: what it holds besides,
    of its connection and of blocks on their way.
    """

    def __init__(self, total: int, each: int, beside: int) -> None:
        self._each = each
        self._beside = beside
        short = total // _SHORT_SHARE
        self._short = Lane(short)
        self._long = Lane(total - short)

    @property
    def lent(self) -> int:
        """Bytes that uploads under way may hold."""
        return self._short.lent + self._long.lent

    @asynccontextmanager
    async def turn(self, size: int | None, wait: float) -> AsyncIterator[None]:
        """A turn for an upload of ``size`` bytes, None if it is unknown.

        Raises TimeoutError when none has come after ``wait`` seconds.
        """
        if size is not None and size <= SHORT:
            lane, held = self._short, size + _SHORT_BESIDE
        else:
            lane = self._long
            held = self._beside + (self._each if size is None else min(size, self._each))
        async with lane.turn(held, wait):
            yield
