"""Uploads take turns by the memory they need, not by their number."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SHORT = 1 << 20
"""Bytes up to which an upload is short. Short ones have a lane of their own, so that they never
wait for a large one whose client is slow."""

_SHORT_BUFFERS = 64 << 10
_LONG_BUFFERS = 2 << 20
"""Bytes that an upload holds beside its content: of its connection, and its blocks on their way."""

_SHORT_SHARE = 8
"""The short lane is this part of all."""


class Lane:
    """``total`` bytes that are lent in the order they are asked for. Used from one event loop."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._free = total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def lent(self) -> int:
        """Bytes that are lent now."""
        return self._total - self._free

    @asynccontextmanager
    async def turn(self, size: int, wait: float) -> AsyncIterator[None]:
        """Hold ``size`` bytes, or all there are. Raises TimeoutError after ``wait`` seconds."""
        size = min(size, self._total)
        if self._waiting or size > self._free:
            await self._queue(size, wait)
        else:
            self._free -= size
        try:
            yield
        finally:
            self._free += size
            self._lend()

    async def _queue(self, size: int, wait: float) -> None:
        given: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, given))
        try:
            async with asyncio.timeout(wait):
                await given
        except BaseException:
            if given.done() and not given.cancelled():
                self._free += size  # it came, and nobody is there to use it
            given.cancel()
            self._lend()
            raise

    def _lend(self) -> None:
        while self._waiting:
            size, given = self._waiting[0]
            if not given.done():
                if size > self._free:
                    return
                self._free -= size
                given.set_result(None)
            self._waiting.popleft()


class Turns:
    """Turns for uploads that together may hold ``total`` bytes of memory.

    ``each``: how much of its content a long one holds at most, however long it is.
    """

    def __init__(self, total: int, each: int) -> None:
        self._each = each
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
            lane, held = self._short, size + _SHORT_BUFFERS
        else:
            lane = self._long
            held = _LONG_BUFFERS + (self._each if size is None else min(size, self._each))
        async with lane.turn(held, wait):
            yield
