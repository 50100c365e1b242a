"""An upload that may end at any moment, and whoever watches whether it has to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from bridge.files.api import Entry, Guard, Writer
from bridge.http.errors import BodyCut, Overloaded, Refused
from bridge.http.turns import Turn
from bridge.webdav.call import Call

T = TypeVar("T")

LOOK = 2.0
"""Seconds between looks whether an upload has to end."""


class Upload:
    """A writer that one thread at a time uses, and that another may stop meanwhile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writer: Writer | None = None
        self._over = False

    @property
    def over(self) -> bool:
        """Whether it was aborted, or is being committed."""
        return self._over

    def begin(self, create: Callable[[], Writer]) -> None:
        """Open the writer."""
        writer = create()
        with self._lock:
            self._writer = writer
            over = self._over
        if over:
            writer.abort()

    def write(self, block: memoryview) -> None:
        """Append a block; nothing happens once it was aborted."""
        writer = self._writer
        if writer is None or self._over:
            return
        try:
            writer.write(block)
        finally:
            if self.over:  # meanwhile: what the writer took up beside its abort goes too
                writer.abort()

    def commit(self, guard: Guard) -> tuple[Entry, bool]:
        """Publish it. From now on ``abort`` leaves it alone: it is published, or aborted here."""
        with self._lock:
            if self._over or self._writer is None:
                raise BodyCut
            self._over = True
            writer = self._writer
        try:
            return writer.commit(guard)
        except BaseException:
            writer.abort()
            raise

    def abort(self) -> None:
        """Throw it away, in any thread, and at once: not after a write, which may wait for a store.

        Where a store can stop such a write (Storj's), this does; where it cannot (a disk that does
        not answer), this waits for it. What runs beside it ends by itself.
        """
        with self._lock:
            if self._over:
                return
            self._over = True
            writer = self._writer
        if writer is not None:
            writer.abort()


async def finished(turn: Turn, work: asyncio.Future[T]) -> T:
    """What comes of ``work``, which holds ``turn`` to its end, whoever stops waiting for it."""
    return await asyncio.shield(turn.held_by(work))


def abandon(call: Call, turn: Turn, upload: Upload) -> None:
    """Abort in a worker, and hold ``turn`` until that is done; nobody waits for it.

    Not in those that write blocks: it may have to end what all of them wait for.
    """
    try:
        done = call.workers.quick.submit(upload.abort, begun=True)
    except Refused:  # no room in the queue: what holds space must go all the same
        done = _in_a_thread(upload.abort)
    turn.held_by(done)


def _in_a_thread(abort: Callable[[], None]) -> asyncio.Future[None]:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def work() -> None:
        try:
            abort()
        finally:
            try:
                loop.call_soon_threadsafe(done.set_result, None)
            except RuntimeError:  # the loop has closed: no turn is given any more
                return

    threading.Thread(target=work, name="abort", daemon=True).start()
    return done


@asynccontextmanager
async def watched(call: Call) -> AsyncIterator[None]:
    """End the block when its client is shut out (as ``Share.still`` says) or gone (BodyCut)."""
    limit = asyncio.timeout(None)
    watch = _Watch(call, limit)
    try:
        async with limit:
            yield
    except TimeoutError:
        if watch.found is None:
            raise
        raise watch.found from None
    finally:
        watch.end()


class _Watch:
    """Looks every LOOK seconds, and lets ``limit`` pass once there is an end: it is ``found``."""

    def __init__(self, call: Call, limit: asyncio.Timeout) -> None:
        self._call = call
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._ended = False
        self.found: BaseException | None = None
        self._timer = self._loop.call_later(LOOK, self._look)

    def end(self) -> None:
        """Look no more."""
        self._ended = True
        self._timer.cancel()

    def _look(self) -> None:
        if self._call.body.broken:
            self._stop(BodyCut())
            return
        share = self._call.share
        # It asks the database, as those do who sign in; no thread there waits for a tenant's store.
        try:
            asked = self._call.tools.workers.sign_in.submit(
                share.still, line=("still", share.tenant)
            )
        except Overloaded:
            self._again()
        else:
            asked.add_done_callback(self._told)

    def _told(self, asked: asyncio.Future[None]) -> None:
        error = None if asked.cancelled() else asked.exception()
        if self._ended:
            return
        if error is None or isinstance(error, Overloaded):
            self._again()
        else:
            self._stop(error)

    def _again(self) -> None:
        self._timer = self._loop.call_later(LOOK, self._look)

    def _stop(self, error: BaseException) -> None:
        self.found = error
        self._limit.reschedule(self._loop.time())
