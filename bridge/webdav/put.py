"""PUT (RFC 9110, section 9.3.4): whole or not at all.

The order matters. What can be known before the body comes is answered before it comes: a client
that waits for 100 sends nothing in vain; and it waits for its turn to upload. Then the body streams
into a writer that nobody sees. Only when all that was promised has come is it published, after the
same questions were asked again while nobody else can change the entry.
"""

from __future__ import annotations

import asyncio
import re
import threading

from aiohttp import web

from bridge.files.api import Entry, Writer
from bridge.files.errors import IsDirectory, NoSuchParent, StorageFull
from bridge.http.body import promised_length
from bridge.http.dates import http_date
from bridge.http.errors import BodyCut, Refused
from bridge.http.limits import BLOCK
from bridge.webdav.call import Call
from bridge.webdav.locking import require_conditions, require_tokens, write_guard
from bridge.webdav.media_types import declared

_EPOCH = re.compile(r"-?\d{1,12}(?:\.\d+)?")


class _Upload:
    """A writer that several threads may be done with: each call waits for the one before it."""

    def __init__(self, call: Call, size: int | None) -> None:
        self._call = call
        self._size = size
        self._lock = threading.Lock()
        self._writer: Writer | None = None
        self._over = False
        self.mtime = _mtime(call)

    def begin(self) -> None:
        """Ask all that can be asked before the body, then open the writer."""
        with self._lock:
            if self._over:
                return
            call = self._call
            entry = call.stat()
            if entry is not None and entry.is_directory:
                raise IsDirectory("a folder is there")
            if entry is None:
                _require_parent(call)
            require_conditions(call, entry)
            require_tokens(call, call.path, member=entry is None)
            _require_room(call, self._size, entry)
            self._create()

    def _create(self) -> None:
        call = self._call
        self._writer = call.share.tree.create(
            call.path,
            size=self._size,
            content_type=declared(call.header("Content-Type")),
            mtime=self.mtime,
        )

    def write(self, block: memoryview) -> None:
        """Append a block."""
        with self._lock:
            if self._writer is not None and not self._over:
                self._writer.write(block)

    def commit(self) -> tuple[Entry, bool]:
        """Publish; the guard asks again what was asked at the beginning."""
        with self._lock:
            assert self._writer is not None
            committed = self._writer.commit(write_guard(self._call, self._call.path))
            self._over = True
            return committed

    def abort(self) -> None:
        """Throw it away, after what still runs."""
        with self._lock:
            if not self._over:
                self._over = True
                if self._writer is not None:
                    self._writer.abort()

    def whole(self, body: memoryview) -> tuple[Entry, bool]:
        """All of it in one hop, for a body that is there already.

        With nothing left to hold back, what ``begin`` asks beforehand is asked once, at the commit.
        """
        try:
            available = self._call.share.quota().available
            if available is None or len(body) <= available:
                self._create()
            else:
                self.begin()
            if body:
                self.write(body)
            return self.commit()
        except BaseException:
            self.abort()
            raise


async def put(call: Call) -> web.StreamResponse:
    """Create or overwrite a file."""
    if call.header("Content-Range") is not None:
        # RFC 9110, section 14.5: who sends a part to a server that takes wholes destroys the file.
        raise Refused(400, "a part of a file cannot be written")
    if call.path.is_root:
        raise IsDirectory("a folder is there")
    promised = promised_length(call.request)
    upload = _Upload(call, promised)
    async with call.upload(promised):
        entry, free = await _uploaded(call, upload, promised)
    headers = {"ETag": f'"{entry.etag}"', "Last-Modified": http_date(int(entry.mtime))}
    if upload.mtime is not None:
        headers["X-OC-Mtime"] = "accepted"
    headers["OC-ETag"] = headers["ETag"]
    return call.answer(201 if free else 204, headers=headers)


async def _uploaded(call: Call, upload: _Upload, promised: int | None) -> tuple[Entry, bool]:
    """Take the body and publish it: in one hop where that is little, and surely comes."""
    length = call.body.length
    if length is not None and length <= BLOCK and not call.body.expects:
        buffer = memoryview(bytearray(length))
        _require_whole(await call.body.fill(buffer) if length else 0, promised)
        return await call.workers.quick.run(lambda: upload.whole(buffer))
    return await _streamed(call, upload, promised)


async def _streamed(call: Call, upload: _Upload, promised: int | None) -> tuple[Entry, bool]:
    """Block by block, the next one coming while the last is written."""
    pool = call.workers.bulk
    try:
        await pool.run(upload.begin)
        size = BLOCK if promised is None else max(1, min(BLOCK, promised))
        block, spare = memoryview(bytearray(size)), memoryview(bytearray(size))
        received = 0
        writing: asyncio.Future[None] | None = None
        while True:
            filled = await call.body.fill(block)
            received += filled
            if promised is not None and received > promised:
                break
            if writing is not None:
                await writing
                writing = None
            if filled:
                part = block[:filled]
                writing = pool.submit(lambda part=part: upload.write(part), begun=True)  # type: ignore[misc]
                block, spare = spare, block
            if filled < size:
                break
        if writing is not None:
            await writing
        _require_whole(received, promised)
        return await pool.run(upload.commit, begun=True)
    except BaseException:
        _abandon(call, upload)
        raise


def _abandon(call: Call, upload: _Upload) -> None:
    """Abort in a worker; nobody waits for it, not even a task that is being cancelled."""
    try:
        done = call.workers.bulk.submit(upload.abort, begun=True)
    except Refused:  # no room in the queue: what holds space must go all the same
        threading.Thread(target=upload.abort, name="abort", daemon=True).start()
    else:
        done.add_done_callback(lambda future: future.cancelled() or future.exception())


def _require_whole(received: int, promised: int | None) -> None:
    if promised is not None and received != promised:
        raise BodyCut(f"{received} bytes came of {promised} promised")


def _require_parent(call: Call) -> None:
    parent = call.stat(call.path.parent)
    if parent is None or not parent.is_directory:
        raise NoSuchParent("the folder is missing")


def _require_room(call: Call, size: int | None, entry: Entry | None) -> None:
    available = call.share.quota().available
    if size is None or available is None:
        return
    if size - (entry.size if entry else 0) > available:
        raise StorageFull("there is no room left for this file")


def _mtime(call: Call) -> float | None:
    """``X-OC-Mtime``: Unix seconds that the file is to show."""
    header = call.header("X-OC-Mtime")
    if header is None or not _EPOCH.fullmatch(header.strip()):
        return None
    seconds = float(header)
    return seconds if 0 <= seconds < 253402300800 else None
