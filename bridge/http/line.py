"""The line in which sign-ins wait that nobody has vouched for yet, one for each address.

They wait in the event loop, where a wait costs no thread. Of one address only a few are looked at
at once, so that whoever sends thousands takes a few worker threads at most, and only so many wait:
each holds a connection that somebody else may need.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from bridge.http.errors import Overloaded
from bridge.http.failures import Failures

AT_ONCE = 8
"""Sign-ins of one address that are looked at at once."""

WAITING = 250
"""Sign-ins of one address that wait: a quarter of the connections there are by default."""

WAITING_IN_ALL = 2_000
"""Sign-ins that wait, of all addresses together."""


class _Address:
    """Who of one address is in line."""

    __slots__ = ("length", "looked_at")

    def __init__(self) -> None:
        self.length = 0
        self.looked_at = asyncio.Semaphore(AT_ONCE)


class Line:
    """Used from one event loop. ``most``: how many of one address may be in line."""

    def __init__(
        self,
        failures: Failures,
        *,
        most: int = WAITING,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._failures = failures
        self._most = most
        self._most_in_all = max(most, WAITING_IN_ALL)
        self._sleep = sleep
        self._addresses: dict[bytes, _Address] = {}
        self.length = 0
        """Sign-ins in line, of all addresses."""

    @asynccontextmanager
    async def turn(self, client: bytes, username: str) -> AsyncIterator[None]:
        """Look at a sign-in of a ``client_of`` address when it is its turn.

        Raises Overloaded at once where too many are in line.
        """
        with self._place(client) as address:
            async with address.looked_at:
                # Asked only now: those before it may have failed while it was in line.
                seconds = self._failures.wait(client, username)
                if not seconds:
                    yield
                    return
            await self._sleep(seconds)
            async with address.looked_at:
                yield

    @contextmanager
    def _place(self, client: bytes) -> Iterator[_Address]:
        address = self._addresses.get(client, _Address())
        if address.length >= self._most or self.length >= self._most_in_all:
            busy = Overloaded("too many sign-ins from this address are waiting; try again")
            busy.close = True  # its connection may be one that somebody else lacks
            raise busy
        self._addresses[client] = address
        address.length += 1
        self.length += 1
        try:
            yield address
        finally:
            address.length -= 1
            self.length -= 1
            if not address.length:
                del self._addresses[client]
