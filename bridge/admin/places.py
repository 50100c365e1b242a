"""How much is served at once: the operator's requests, and apart from them those of tenants.

What waits for a store holds its place meanwhile, and a tenant may have a store that hangs. So no
token of a tenant takes a place that the operator needs to revoke it, nor all that tenants have.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import NamedTuple

from bridge.http.errors import Overloaded


class Most(NamedTuple):
    """Requests at once, and how many of them change something, each in a worker thread.

    One request more is told to come again, one change more waits for its turn.
    """

    requests: int
    changes: int


OPERATORS = Most(32, 8)
"""Of all with tokens of the operator."""

TENANTS = Most(16, 4)
"""Of all with tokens that are bound to tenants."""

TENANT = Most(4, 1)
"""Of those with tokens of one tenant, within ``TENANTS``: its changes write one copy in turns."""


class _Room:
    """Where so many are served."""

    def __init__(self, most: Most) -> None:
        self.most = most.requests
        self.running = 0
        self.changes = asyncio.Semaphore(most.changes)


class Places:
    """The places there are, used from one event loop. ``wait``: seconds for a change's turn."""

    def __init__(self, wait: float) -> None:
        self._wait = wait
        self._operators = _Room(OPERATORS)
        self._tenants = _Room(TENANTS)
        self._its: dict[str, _Room] = {}
        """Of each tenant for which something runs."""

    @contextmanager
    def request(self, tenant: str | None) -> Iterator[None]:
        """One for a request of a tenant's, None for the operator's; raises Overloaded."""
        rooms = self._rooms(tenant)
        if any(room.running >= room.most for room in rooms):
            raise Overloaded
        if tenant is not None:
            self._its[tenant] = rooms[0]
        for room in rooms:
            room.running += 1
        try:
            yield
        finally:
            for room in rooms:
                room.running -= 1
            if tenant is not None and not rooms[0].running:
                del self._its[tenant]

    @asynccontextmanager
    async def change(self, tenant: str | None) -> AsyncIterator[None]:
        """One for a change, within a request's; raises Overloaded after the wait."""
        async with AsyncExitStack() as turns:
            try:
                async with asyncio.timeout(self._wait):
                    # The tenant's own first: who waits for that keeps nothing from others.
                    for room in self._rooms(tenant):
                        await turns.enter_async_context(room.changes)
            except TimeoutError:
                raise Overloaded from None
            yield

    def _rooms(self, tenant: str | None) -> tuple[_Room, ...]:
        """Those in which it takes a place, the narrowest first."""
        if tenant is None:
            return (self._operators,)
        return self._its.get(tenant) or _Room(TENANT), self._tenants
