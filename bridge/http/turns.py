"""Uploads take turns by the memory they need, not by their number.

A turn is taken in the name of a tenant, once somebody has signed in and before the body is asked
for. No tenant holds all there is (``bridge.fair``), however many slow uploads it begins. It is
given back when the memory is free: a client that goes away does not end the call that still holds
its content.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from bridge.fair import may_take
from bridge.http.errors import Overloaded

T = TypeVar("T")

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

    __slots__ = ("given", "overtaken", "size", "tenant")

    def __init__(self, tenant: str, size: int) -> None:
        self.tenant = tenant
        self.size = size
        self.overtaken = 0
        self.given: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Turn:
    """Memory that is lent to one upload, until whoever took it has left and nothing holds it.

    Used from one event loop. ``give_back`` is called once.
    """

    __slots__ = ("_give_back", "_holders")

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back = give_back
        self._holders = 1

    def held_by(self, work: asyncio.Future[T]) -> asyncio.Future[T]:
        """Go on until ``work`` is done, too, and return it; what it raises, nobody need ask for.

        It must not be done before its work is: shield it from whoever stops waiting for it.
        """
        self._holders += 1
        work.add_done_callback(self._done)
        return work

    def _done(self, work: asyncio.Future[T]) -> None:
        if not work.cancelled():
            work.exception()
        self.leave()

    def leave(self) -> None:
        """Whoever took it is done with it."""
        self._holders -= 1
        if not self._holders:
            self._give_back()


class Lane:
    """``total`` bytes that are lent. Used from one event loop.

    Who asked first comes first; but who may not take so much now, because there is too little left
    or its tenant holds much already, may be overtaken: by tenants that hold less always, by others
    until as much was lent past it as it asks for itself.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._free = total
        self._held: Counter[str] = Counter()
        self._queue: deque[_Waiting] = deque()
        self.turns = 0
        """Turns that go on."""

    @property
    def lent(self) -> int:
        """Bytes that are lent now."""
        return self._total - self._free

    @asynccontextmanager
    async def turn(self, tenant: str, size: int, wait: float) -> AsyncIterator[Turn]:
        """Hold ``size`` bytes, or all there are. Raises TimeoutError after ``wait`` seconds."""
        waiting = _Waiting(tenant, min(size, self._total))
        self._queue.append(waiting)
        self._lend()
        if not waiting.given.done():
            await self._wait(waiting, wait)
        self.turns += 1
        turn = Turn(lambda: self._end(waiting))
        try:
            yield turn
        finally:
            turn.leave()

    def _end(self, waiting: _Waiting) -> None:
        self.turns -= 1
        self._take_back(waiting)
        self._lend()

    async def _wait(self, waiting: _Waiting, wait: float) -> None:
        try:
            async with asyncio.timeout(wait):
                await waiting.given
        except BaseException:
            if waiting.given.done() and not waiting.given.cancelled():
                self._take_back(waiting)  # it came, and nobody is there to use it
            else:
                waiting.given.cancel()
                self._queue.remove(waiting)
            self._lend()
            raise

    def _take_back(self, waiting: _Waiting) -> None:
        self._free += waiting.size
        self._held[waiting.tenant] -= waiting.size
        if not self._held[waiting.tenant]:
            del self._held[waiting.tenant]

    def _lend(self) -> None:
        held = self._held
        passed: list[_Waiting] = []
        for waiting in list(self._queue):
            if waiting.given.done():  # cancelled: its task, which has yet to run, takes it out
                continue
            size, its = waiting.size, held[waiting.tenant]
            if may_take(size, its, self._free) and self._overtakes(waiting, passed):
                self._free -= size
                held[waiting.tenant] += size
                self._queue.remove(waiting)
                waiting.given.set_result(None)
            else:
                passed.append(waiting)
                if self._free == 0:
                    return

    def _overtakes(self, waiting: _Waiting, passed: list[_Waiting]) -> bool:
        """Whether it may come before those who have ``passed``, which is then remembered."""
        held, size = self._held, waiting.size
        its = held[waiting.tenant]
        # What seldom holds is asked first: of a thousand who wait each is asked of all before it.
        if any(one.overtaken + size > one.size and held[one.tenant] <= its for one in passed):
            return False
        for one in passed:
            if held[one.tenant] <= its:
                one.overtaken += size
        return True


class Turns:
    """Turns for uploads that together may hold ``total`` bytes of memory.

    ``each``: how much of its content a long one holds at most; ``beside``: what it holds besides,
    of its connection and of blocks on their way; ``wait``: seconds that one waits for its turn.
    Every door whose clients upload takes turns from the same. Used from one event loop.
    """

    def __init__(self, total: int, each: int, beside: int, wait: float) -> None:
        self._each = each
        self._beside = beside
        self._wait = wait
        short = total // _SHORT_SHARE
        self._short = Lane(short)
        self._long = Lane(total - short)

    @property
    def uploads(self) -> int:
        """Uploads under way, those too that are being thrown away."""
        return self._short.turns + self._long.turns

    @property
    def lent(self) -> int:
        """Bytes that uploads under way may hold."""
        return self._short.lent + self._long.lent

    @asynccontextmanager
    async def turn(self, tenant: str, size: int | None) -> AsyncIterator[Turn]:
        """A turn for an upload of ``size`` bytes, None if it is unknown.

        Raises Overloaded, which closes the connection, when none has come in time: take it before
        the body is asked for.
        """
        if size is not None and size <= SHORT:
            lane, held = self._short, size + _SHORT_BESIDE
        else:
            lane = self._long
            held = self._beside + (self._each if size is None else min(size, self._each))
        async with AsyncExitStack() as stack:
            try:
                turn = await stack.enter_async_context(lane.turn(tenant, held, self._wait))
            except TimeoutError:
                busy = Overloaded("too many uploads at once; try again")
                busy.close = True  # its body has not been read
                raise busy from None
            yield turn
