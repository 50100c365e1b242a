"""LOCK and UNLOCK (RFC 4918, sections 6, 7, 9.10 and 9.11)."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from aiohttp import web

from bridge.files.errors import NoSuchParent
from bridge.http.errors import Refused
from bridge.state.api import Lock, LockConflict
from bridge.webdav.call import Call, Settings
from bridge.webdav.errors import condition
from bridge.webdav.lock_xml import discovery
from bridge.webdav.locking import (
    covers,
    lock_path,
    lock_root,
    require_conditions,
    require_tokens,
)
from bridge.webdav.xml import parse_xml, serialized

_SECONDS = re.compile(r"second-(\d{1,10})", re.IGNORECASE)
_CODED_URL = re.compile(r"\s*<([^<>\s]+)>\s*")
_OWNER_LIMIT = 4096

_MOST_SHARED = 32
"""Locks that one resource may have: each is told with every entry below a deep one."""


@dataclass(frozen=True, slots=True)
class _Request:
    exclusive: bool
    owner: str


async def lock(call: Call) -> web.StreamResponse:
    """Take a lock, on a new empty file if nothing is there; or refresh one."""
    body = await call.body.small()
    timeout = lock_timeout(call.header("Timeout"), call.tools.settings)
    if not body.strip():
        held = await call.workers.quick.run(lambda: _refresh(call, timeout))
        return call.xml(200, _body(call, [held]))
    wanted = _parse(parse_xml(body, "{DAV:}lockinfo"))
    deep = call.depth("infinity", "0", "infinity") == "infinity"
    taken, created = await call.workers.quick.run(lambda: _lock(call, wanted, timeout, deep=deep))
    return call.xml(
        201 if created else 200, _body(call, [taken]), {"Lock-Token": f"<{taken.token}>"}
    )


async def unlock(call: Call) -> web.StreamResponse:
    """Give a lock back."""
    await call.body.small()
    match = _CODED_URL.fullmatch(call.header("Lock-Token") or "")
    if match is None:
        raise Refused(400, "the Lock-Token header is missing or malformed")
    await call.workers.quick.run(lambda: _unlock(call, match[1]))
    return call.answer(204)


def lock_timeout(header: str | None, settings: Settings) -> int:
    """Seconds, of what the client wishes the first that can be had (section 10.7), capped."""
    for wish in (header or "").split(","):
        if wish.strip().lower() == "infinite":
            return settings.lock_longest
        match = _SECONDS.fullmatch(wish.strip())
        if match is not None:
            return max(1, min(int(match[1]), settings.lock_longest))
    return settings.lock_default


def _body(call: Call, held: list[Lock]) -> bytes:
    inner = discovery(held, lambda path: call.href(path, directory=False))
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<D:prop xmlns:D="DAV:">{inner}</D:prop>\n'
    ).encode()


def _parse(info: Element) -> _Request:
    scope = info.find("{DAV:}lockscope")
    kind = info.find("{DAV:}locktype")
    if scope is None or kind is None:
        raise Refused(400, "lockinfo needs lockscope and locktype")
    if kind.find("{DAV:}write") is None:
        raise Refused(422, "only write locks can be had")
    exclusive = scope.find("{DAV:}exclusive") is not None
    if not exclusive and scope.find("{DAV:}shared") is None:
        raise Refused(400, "lockscope must be exclusive or shared")
    owner = info.find("{DAV:}owner")
    text = "" if owner is None else serialized(owner)
    if len(text) > _OWNER_LIMIT:
        raise Refused(413, "the owner element is too long")
    return _Request(exclusive, text)


def _lock(call: Call, wanted: _Request, timeout: int, *, deep: bool) -> tuple[Lock, bool]:
    entry = call.stat()
    require_conditions(call, entry)
    if entry is None:
        parent = call.stat(call.path.parent)
        if parent is None or not parent.is_directory:
            raise NoSuchParent("the folder is missing")
        require_tokens(call, call.path.parent, member=False)
    taken = Lock(
        token=f"urn:uuid:{uuid.uuid4()}",
        root=lock_root(call.path),
        deep=deep,
        exclusive=wanted.exclusive,
        owner=wanted.owner,
        principal=call.share.principal,
        timeout=timeout,
        left=timeout,
    )
    locks = call.share.locks
    if not wanted.exclusive and len(locks.covering(taken.root)) >= _MOST_SHARED:
        raise Refused(507, "too many locks are on this resource")
    try:
        locks.add(taken)
    except LockConflict as conflict:
        href = call.href(lock_path(conflict.held.root), directory=False)
        raise condition(423, "no-conflicting-lock", href) from None
    if entry is not None:
        return taken, False
    try:
        created = _create_empty(call)
    except BaseException:
        locks.remove(taken.token)
        raise
    return taken, created


def _create_empty(call: Call) -> bool:
    """Make the empty file that a lock on an unmapped URL stands for (section 7.3)."""

    class _Appeared(Exception):
        """Somebody made it first; nothing is to be overwritten."""

    def guard(found: object) -> None:
        if found is not None:
            raise _Appeared

    writer = call.share.tree.create(call.path, size=0)
    try:
        writer.commit(guard)
    except _Appeared:
        writer.abort()
        return False
    except BaseException:
        writer.abort()
        raise
    return True


def _refresh(call: Call, timeout: int) -> Lock:
    if call.if_header is None:
        raise Refused(400, "a LOCK without a body refreshes a lock, and needs If with its token")
    require_conditions(call, call.stat())
    root = lock_root(call.path)
    locks = call.share.locks
    for token in sorted(call.tokens):
        held = locks.get(token)
        if held is not None and covers(held, root) and held.principal == call.share.principal:
            refreshed = locks.refresh(token, timeout)
            if refreshed is not None:
                return refreshed
    raise condition(412, "lock-token-matches-request-uri")


def _unlock(call: Call, token: str) -> None:
    locks = call.share.locks
    held = locks.get(token)
    if held is None or not covers(held, lock_root(call.path)):
        raise condition(409, "lock-token-matches-request-uri")
    if held.principal != call.share.principal:
        raise Refused(403, "somebody else holds this lock")
    require_conditions(call, call.stat())
    locks.remove(token)
