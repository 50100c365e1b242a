"""Blocks read ahead of their sender, in a worker thread that keeps going while it is let.

Waking a thread for every block would cost more than reading it. So one call in the pool reads
block after block as long as it has leave, and ends when it has none: a client that takes its
time holds no thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

from bridge.http.errors import Overloaded
from bridge.http.pool import Pool, PoolLine

Buffer = bytes | bytearray | memoryview

AHEAD = 2
"""Blocks read before the sender asks for them."""


class Ahead:
    """``read`` is called for one block after another until it returns an empty one or raises.

    ``close``, called in the pool, ends it: after the read that runs, never beside it.
    """

    def __init__(
        self, pool: Pool | PoolLine, read: Callable[[], Buffer], close: Callable[[], None]
    ) -> None:
        self._pool = pool
        self._read = read
        self._close = close
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._leave = 0
        self._working = False
        self._ended = False
        self._blocks: deque[Buffer | BaseException] = deque()
        self._arrived = asyncio.Event()
        self._allow(AHEAD)

    async def next(self) -> Buffer:
        """The next block; empty at the end. Raises what ``read`` does."""
        while not self._blocks:
            self._arrived.clear()
            if self._blocks:
                break
            await self._arrived.wait()
        block = self._blocks.popleft()
        if isinstance(block, BaseException):
            raise block
        self._allow(1)
        return block

    def end(self) -> None:
        """Read no more, and close. May be called twice."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            if self._working:
                return  # the worker closes
        self._submit(self._close)

    def _allow(self, blocks: int) -> None:
        with self._lock:
            if self._ended:
                return
            self._leave += blocks
            if self._working:
                return
            self._working = True
        self._submit(self._work)

    def _submit(self, call: Callable[[], None]) -> None:
        try:
            # Begun: the answer's header has been sent, and nothing else would ever end the reader.
            done = self._pool.submit(call, begun=True)
        except Overloaded as error:  # no room in the queue: it ends here, and lets go
            self._ended = True
            self._blocks.append(error)
            self._arrived.set()
            threading.Thread(target=self._close, name="close", daemon=True).start()
        else:
            done.add_done_callback(lambda future: future.cancelled() or future.exception())

    def _work(self) -> None:
        while True:
            with self._lock:
                if self._ended or self._leave == 0:
                    self._working = False
                    break
                self._leave -= 1
            block: Buffer | BaseException
            try:
                block = self._read()
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                block = error
            self._blocks.append(block)
            self._wake()
            if isinstance(block, BaseException) or not block:
                with self._lock:
                    self._leave = 0
        if self._ended:
            self._close()

    def _wake(self) -> None:
        if not self._arrived.is_set():
            self._loop.call_soon_threadsafe(self._arrived.set)
