"""GET and HEAD (RFC 9110, sections 9.3.1, 13 and 14)."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import quote

from aiohttp import web

from bridge.files.api import Buffer, Entry, Reader
from bridge.files.errors import ContentChanged, DamagedFile, IsDirectory
from bridge.http.ahead import Ahead
from bridge.http.answer import SERVER, send_blocks
from bridge.http.conditions import range_still_valid
from bridge.http.dates import http_date
from bridge.http.limits import BLOCK
from bridge.http.ranges import parse_range
from bridge.webdav.call import Call
from bridge.webdav.deviations import content_type_for
from bridge.webdav.index import page
from bridge.webdav.locking import require_conditions
from bridge.webdav.media_types import shown_inline
from bridge.webdav.properties import content_type

_SAFE = {
    # Whatever a stored file holds, a browser that opens it runs nothing of it here.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "img-src 'self' data:; media-src 'self'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-cache",
    "Accept-Ranges": "bytes",
}

_TRIES = 3
"""How often a file that is overwritten between looking and opening is looked at again."""


@dataclass(slots=True)
class _Opened:
    """What one hop to a worker brought: enough for the whole answer, if it is small."""

    entry: Entry
    status: int
    reader: Reader | None = None
    first: Buffer = b""
    ranges: list[tuple[int, int]] = field(default_factory=list)
    listing: bytes | None = None


async def get(call: Call) -> web.StreamResponse:
    """A file's content, or a page that lists a folder."""
    opened = await call.workers.quick.run(lambda: _open(call))
    if opened.listing is not None:
        return _listing(call, opened)
    entry = opened.entry
    headers = _headers(call, entry)
    if opened.status == 304:
        return call.answer(304, headers=headers)
    if opened.status == 206 and len(opened.ranges) > 1:
        return await _multipart(call, opened, headers)
    length = entry.size
    if opened.status == 206:
        offset, length = opened.ranges[0]
        headers["Content-Range"] = f"bytes {offset}-{offset + length - 1}/{entry.size}"
    if call.method == "HEAD":
        headers["Content-Length"] = str(length)
        return call.answer(opened.status, headers=headers)
    if opened.reader is None:
        return call.answer(opened.status, body=bytes(opened.first), headers=headers)
    response = web.StreamResponse(
        status=opened.status, headers={"Server": SERVER, **call.extra, **headers}
    )
    response.content_length = length
    blocks = _blocks(call, opened.reader, opened.first, length)
    await send_blocks(call.request, response, blocks, call.tools.limits)
    return response


def _open(call: Call) -> _Opened:
    range_header = call.header("Range") if call.method == "GET" else None
    if range_header is None and call.method == "GET":
        return _open_whole(call)
    for _ in range(_TRIES - 1):
        try:
            return _open_as_it_is(call, range_header)
        except ContentChanged:
            continue
    return _open_as_it_is(call, range_header)


def _open_whole(call: Call) -> _Opened:
    try:
        reader = call.share.tree.open(call.path)
    except IsDirectory:
        return _open_folder(call, call.share.tree.stat(call.path))
    try:
        entry = reader.entry
        if not require_conditions(call, entry, read=True):
            reader.close()
            return _Opened(entry, 304)
        return _read_first(_Opened(entry, 200), reader, entry.size)
    except BaseException:
        reader.close()
        raise


def _open_as_it_is(call: Call, range_header: str | None) -> _Opened:
    entry = call.share.tree.stat(call.path)
    if entry.is_directory:
        return _open_folder(call, entry)
    if entry.damaged:
        raise DamagedFile("what is stored here does not open")
    if not require_conditions(call, entry, read=True):
        return _Opened(entry, 304)
    if_range = call.header("If-Range")
    ranges = None
    if range_header is not None and (
        if_range is None or range_still_valid(if_range, entry.etag, entry.mtime)
    ):
        ranges = parse_range(range_header, entry.size)
    opened = _Opened(entry, 200 if ranges is None else 206, ranges=ranges or [])
    if call.method == "HEAD" or len(opened.ranges) > 1:
        return opened
    offset, length = opened.ranges[0] if opened.ranges else (0, entry.size)
    reader = call.share.tree.open(call.path, offset, length, etag=entry.etag)
    try:
        return _read_first(opened, reader, length)
    except BaseException:
        reader.close()
        raise


def _read_first(opened: _Opened, reader: Reader, length: int) -> _Opened:
    """The first block; a reader that has given all is closed in the same hop."""
    opened.first = reader.read(min(BLOCK, length)) if length else b""
    if len(opened.first) < length:
        opened.reader = reader
    else:
        reader.close()
    return opened


async def _blocks(call: Call, reader: Reader, first: Buffer, length: int) -> AsyncIterator[Buffer]:
    """The content, read ahead of what is being sent."""
    sent = len(first)
    ahead = Ahead(call.workers.bulk, lambda: reader.read(BLOCK), reader.close)
    try:
        yield first
        while sent < length:
            block = await ahead.next()
            sent += len(block)
            if not block or sent > length:
                raise DamagedFile("the content is not as long as its record says")
            yield block
    finally:
        ahead.end()


def _headers(call: Call, entry: Entry) -> dict[str, str]:
    kind = content_type(entry) or "application/octet-stream"
    headers = {
        **_SAFE,
        "Content-Type": content_type_for(call.agent, kind),
        "Last-Modified": http_date(int(entry.mtime)),
    }
    if entry.etag:
        headers["ETag"] = f'"{entry.etag}"'
    if not shown_inline(kind):
        headers["Content-Disposition"] = (
            f"attachment; filename*=UTF-8''{quote(entry.name, safe='')}"
        )
    return headers


async def _multipart(call: Call, opened: _Opened, headers: dict[str, str]) -> web.StreamResponse:
    """Several ranges as ``multipart/byteranges`` (RFC 9110, section 14.6)."""
    boundary = secrets.token_hex(16)
    size = opened.entry.size
    heads = [
        (
            f"\r\n--{boundary}\r\nContent-Type: {headers['Content-Type']}\r\n"
            f"Content-Range: bytes {offset}-{offset + length - 1}/{size}\r\n\r\n"
        ).encode()
        for offset, length in opened.ranges
    ]
    tail = f"\r\n--{boundary}--\r\n".encode()
    headers["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    response = web.StreamResponse(status=206, headers={"Server": SERVER, **call.extra, **headers})
    response.content_length = (
        sum(map(len, heads)) + sum(length for _, length in opened.ranges) + len(tail)
    )
    pool = call.workers.quick

    async def parts() -> AsyncIterator[Buffer]:
        for head, (offset, length) in zip(heads, opened.ranges, strict=True):
            yield head
            whole = await pool.run(
                lambda o=offset, n=length: _open_range(call, opened, o, n),  # type: ignore[misc]
                begun=True,
            )
            if whole.reader is None:
                yield whole.first
            else:
                async for block in _blocks(call, whole.reader, whole.first, length):
                    yield block
        yield tail

    await send_blocks(call.request, response, parts(), call.tools.limits)
    return response


def _open_range(call: Call, opened: _Opened, offset: int, length: int) -> _Opened:
    entry = opened.entry
    reader = call.share.tree.open(call.path, offset, length, etag=entry.etag)
    try:
        return _read_first(_Opened(entry, 206), reader, length)
    except BaseException:
        reader.close()
        raise


def _open_folder(call: Call, entry: Entry) -> _Opened:
    require_conditions(call, entry, read=True)
    base = call.href(call.path, directory=True)
    listing = page(call.path, base, call.share.tree.list(call.path))
    return _Opened(entry, 200, listing=listing)


def _listing(call: Call, opened: _Opened) -> web.Response:
    assert opened.listing is not None
    headers = {
        **_SAFE,
        # Ours, with every name escaped; a sandbox would keep its links from downloading.
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        "Content-Type": "text/html; charset=utf-8",
        "Last-Modified": http_date(int(opened.entry.mtime)),
    }
    del headers["Accept-Ranges"]
    if call.method == "HEAD":
        headers["Content-Length"] = str(len(opened.listing))
        return call.answer(200, headers=headers)
    return call.answer(200, body=opened.listing, headers=headers)
