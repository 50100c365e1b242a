"""DELETE (RFC 4918, section 9.6): a file, or a folder with all in it, at once."""

from __future__ import annotations

from aiohttp import web

from bridge.files.api import Entry
from bridge.files.errors import NoSuchFile
from bridge.http.errors import Refused
from bridge.webdav.call import Call
from bridge.webdav.locking import lock_root, require_conditions, require_tokens


async def delete(call: Call) -> web.StreamResponse:
    """Remove what is there, and every lock on it and below it."""
    await call.body.small()
    await call.workers.quick.run(lambda: _delete(call))
    return call.answer(204)


def _delete(call: Call) -> None:
    entry = call.share.tree.stat(call.path)
    _check(call, entry)
    call.share.tree.delete(call.path, lambda found: _check(call, found))
    if call.share.locks.any():
        call.share.locks.remove_below(lock_root(call.path))


def _check(call: Call, entry: Entry | None) -> None:
    if entry is None:
        raise NoSuchFile("nothing is there")
    if entry.is_directory and (call.header("Depth") or "infinity").strip().lower() != "infinity":
        raise Refused(400, "a folder can only be deleted with all in it")
    require_conditions(call, entry)
    require_tokens(call, call.path, member=True, subtree=True)
