"""PUT (RFC 9110, section 9.3.4): whole or not at all.

The order matters. What can be known before the body comes is answered before it comes: a client
that waits for 100 sends nothing in vain; and it waits for its turn to upload. Then the body streams
into a writer that nobody sees. Only when all that was promised has come is it published, after the
same questions were asked again while nobody else can change the entry.

Whoever is seen to have gone, or is shut out, is done with soon; the turn lasts until the memory is
free.
"""

from __future__ import annotations

import asyncio
import re

from aiohttp import web

from bridge.files.api import Entry, Writer
from bridge.files.errors import IsDirectory, NoSuchParent, StorageFull
from bridge.http.body import promised_length
from bridge.http.dates import http_date
from bridge.http.errors import BodyCut, Refused
from bridge.http.limits import BLOCK
from bridge.http.turns import Turn
from bridge.webdav.call import Call
from bridge.webdav.locking import require_conditions, require_tokens, write_guard
from bridge.webdav.media_types import declared
from bridge.webdav.upload import Upload, abandon, finished, watched

_EPOCH = re.compile(r"-?\d{1,12}(?:\.\d+)?")


class _Content:
    """The content of one PUT on its way: what is asked before it and at its end. Blocks."""

    def __init__(self, call: Call, size: int | None) -> None:
        self._call = call
        self._size = size
        self.upload = Upload()
        self.mtime = _mtime(call)

    def begin(self) -> None:
        """Ask all that can be asked before the body, then open the writer."""
        if self.upload.over:
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
        self.upload.begin(self._create)

    def _create(self) -> Writer:
        call = self._call
        return call.share.tree.create(
            call.path,
            size=self._size,
            content_type=declared(call.header("Content-Type")),
            mtime=self.mtime,
        )

    def commit(self) -> tuple[Entry, bool]:
        """Publish; the guard asks again what was asked at the beginning."""
        return self.upload.commit(write_guard(self._call, self._call.path))

    def whole(self, body: memoryview) -> tuple[Entry, bool]:
        """All of it in one hop, for a body that is there already.

        With nothing left to hold back, what ``begin`` asks beforehand is asked once, at the commit.
        """
        try:
            available = self._call.share.quota().available
            if available is None or len(body) <= available:
                self.upload.begin(self._create)
            else:
                self.begin()
            if body:
                self.upload.write(body)
            return self.commit()
        except BaseException:
            self.upload.abort()
            raise


async def put(call: Call) -> web.StreamResponse:
    """Create or overwrite a file."""
    if call.header("Content-Range") is not None:
        # RFC 9110, section 14.5: who sends a part to a server that takes wholes destroys the file.
        raise Refused(400, "a part of a file cannot be written")
    if call.path.is_root:
        raise IsDirectory("a folder is there")
    promised = promised_length(call.request)
    content = _Content(call, promised)
    async with call.upload(promised) as turn:
        entry, free = await _uploaded(call, turn, content, promised)
    headers = {"ETag": f'"{entry.etag}"', "Last-Modified": http_date(int(entry.mtime))}
    if content.mtime is not None:
        headers["X-OC-Mtime"] = "accepted"
    headers["OC-ETag"] = headers["ETag"]
    return call.answer(201 if free else 204, headers=headers)


async def _uploaded(
    call: Call, turn: Turn, content: _Content, promised: int | None
) -> tuple[Entry, bool]:
    """Take the body and publish it: in one hop where that is little, and surely comes."""
    length = call.body.length
    if length is not None and length <= BLOCK and not call.body.expects:
        buffer = memoryview(bytearray(length))
        if call.body.arrived:  # most have, and need nobody to watch them
            _require_whole(await call.body.fill(buffer), promised)
        else:
            async with watched(call):
                _require_whole(await call.body.fill(buffer), promised)
        return await finished(turn, call.workers.quick.submit(lambda: content.whole(buffer)))
    try:
        async with watched(call):
            await _streamed(call, turn, content, promised)
        # Nothing holds it up any more but the store, and whether all still stands, it asks itself.
        return await finished(turn, call.workers.bulk.submit(content.commit, begun=True))
    except BaseException:
        abandon(call, turn, content.upload)
        raise


async def _streamed(call: Call, turn: Turn, content: _Content, promised: int | None) -> None:
    """Block by block, the next one coming while the last is written."""
    pool, upload = call.workers.bulk, content.upload
    await finished(turn, pool.submit(content.begin))
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
            await asyncio.shield(writing)
            writing = None
        if filled:
            part = block[:filled]
            writing = turn.held_by(
                pool.submit(lambda part=part: upload.write(part), begun=True)  # type: ignore[misc]
            )
            block, spare = spare, block
        if filled < size:
            break
    if writing is not None:
        await asyncio.shield(writing)
    _require_whole(received, promised)


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
