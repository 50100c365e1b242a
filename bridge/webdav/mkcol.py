"""MKCOL (RFC 4918, section 9.3)."""

from __future__ import annotations

from aiohttp import web

from bridge.files.errors import AlreadyExists
from bridge.http.errors import Refused
from bridge.webdav.call import Call
from bridge.webdav.locking import require_conditions, require_tokens, write_guard


async def mkcol(call: Call) -> web.StreamResponse:
    """Make a folder."""
    if call.body.length != 0 and await call.body.small():
        raise Refused(415, "MKCOL takes no body")
    await call.workers.quick.run(lambda: _make(call))
    return call.answer(201)


def _make(call: Call) -> None:
    entry = call.stat()
    if entry is not None:
        raise Refused(405, "something is there already")
    require_conditions(call, None)
    require_tokens(call, call.path, member=True)
    try:
        call.share.tree.mkdir(call.path, write_guard(call, call.path))
    except AlreadyExists:
        raise Refused(405, "something is there already") from None
