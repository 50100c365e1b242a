"""Many clients that upload slowly at once, and a measure of when all have come as far as they can.

Each asks first (``Expect: 100-continue``), sends all but the end when it is told to, and holds that
back until the others have sent as much or were refused. Then all send the end.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.clients.dav import Dav

BLOCK = 1 << 16

END = 4_096
"""Bytes that a client holds back, but for one now and then: who is silent is cut off."""

DRIP = 5.0
"""Seconds between two of those bytes."""

PATIENCE = 600.0
"""Seconds within which every client must have got so far, or its answer."""


@dataclass
class Upload:
    """One client's upload of ``size`` bytes to ``path``, and what became of it."""

    path: str
    size: int
    seed: int
    told_to_send: bool = False
    settled: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """Set when it has sent all but the end, or has its answer."""
    status: int = 0
    retry_after: str = ""
    sha256: str = ""
    """Of what was sent."""

    async def run(self, dav: Dav, release: asyncio.Event) -> None:
        """Upload; the end when ``release`` is set."""
        async with _connected(dav) as (reader, writer):
            writer.write(
                f"PUT {dav.target(self.path)} HTTP/1.1\r\nHost: localhost\r\n"
                f"Authorization: {dav.authorization}\r\nExpect: 100-continue\r\n"
                f"Content-Length: {self.size}\r\n\r\n".encode()
            )
            await self._answered(reader)
            if self.status == 100:
                self.told_to_send = True
                await self._send(writer, release)
                await self._answered(reader)
            self.settled.set()

    async def _send(self, writer: asyncio.StreamWriter, release: asyncio.Event) -> None:
        chance = random.Random(self.seed)
        digest = hashlib.sha256()

        async def send(size: int) -> None:
            block = chance.randbytes(size)
            digest.update(block)
            writer.write(block)
            await writer.drain()

        left = self.size
        while left > END:
            part = min(BLOCK, left - END)
            await send(part)
            left -= part
        self.settled.set()
        while not release.is_set():
            assert left > 1, f"{self.path}: nothing is left to wait with"
            await send(1)
            left -= 1
            await _waited(release, DRIP)
        await send(left)
        self.sha256 = digest.hexdigest()

    async def _answered(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *fields = head.rstrip().split("\r\n")
        self.status = int(first.split()[1])
        names = {
            name.lower(): value for name, _, value in (each.partition(": ") for each in fields)
        }
        self.retry_after = names.get("retry-after", "")


class Crowd:
    """Runs ``uploads`` at once, each on a connection of its own."""

    def __init__(self, dav: Dav, uploads: Sequence[Upload]) -> None:
        self._dav = dav
        self._uploads = uploads
        self._release = asyncio.Event()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Let them come; they send the end after the block, and have their answers when it is over.

        Where one of them fails the block is cancelled.
        """
        async with asyncio.TaskGroup() as running:
            for each in self._uploads:
                running.create_task(each.run(self._dav, self._release))
            yield
            self._release.set()

    async def settled(self) -> None:
        """Wait until each has sent all but the end, or has its answer."""
        async with asyncio.timeout(PATIENCE):
            for each in self._uploads:
                await each.settled.wait()


@asynccontextmanager
async def _connected(
    dav: Dav,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    wire = socket.create_connection(dav.address)
    # What the kernel keeps back has not been sent.
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BLOCK)
    reader, writer = await asyncio.open_connection(sock=wire)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _waited(event: asyncio.Event, seconds: float) -> None:
    """Wait for ``event``, but no longer than so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
