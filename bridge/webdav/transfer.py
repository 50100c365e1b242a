"""COPY and MOVE (RFC 4918, sections 9.8 and 9.9), each one call of the tree."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from bridge.files.api import Entry
from bridge.files.path import Path
from bridge.http.errors import Refused
from bridge.webdav.call import Call
from bridge.webdav.locking import lock_root, require_conditions, require_tokens
from bridge.webdav.mount import Elsewhere


@dataclass(frozen=True, slots=True)
class _Plan:
    destination: Path
    overwrite: bool
    depth: str


async def copy(call: Call) -> web.StreamResponse:
    """Copy; a client that goes away meanwhile stops nothing."""
    plan = await _plan(call)
    free = await call.workers.patient.run(lambda: _copy(call, plan))
    return _answer(call, plan, free=free)


async def move(call: Call) -> web.StreamResponse:
    """Move or rename."""
    plan = await _plan(call)
    free = await call.workers.quick.run(lambda: _move(call, plan))
    return _answer(call, plan, free=free)


async def _plan(call: Call) -> _Plan:
    await call.body.small()  # RFC 2518's propertybehavior: read and left alone
    header = call.header("Destination")
    if not header:
        raise Refused(400, "the Destination header is missing")
    overwrite = (call.header("Overwrite") or "T").strip().upper()
    if overwrite not in ("T", "F"):
        raise Refused(400, "Overwrite must be T or F")
    if "#" in header:
        raise Refused(400, "a # in a name must be escaped as %23")
    try:
        destination = call.tools.mount.resolve(header.strip(), call.origin)
    except Elsewhere:
        raise Refused(502, "the destination is not on this server") from None
    depth = call.depth("infinity", "0", "infinity")
    return _Plan(destination, overwrite == "T", depth)


def _answer(call: Call, plan: _Plan, *, free: bool) -> web.Response:
    if not free:
        return call.answer(204)
    return call.answer(201, headers={"Location": call.href(plan.destination, directory=False)})


def _source(call: Call, plan: _Plan) -> Entry:
    source = call.share.tree.stat(call.path)
    require_conditions(call, source)
    if call.path == plan.destination:
        raise Refused(403, "source and destination are the same")
    # The tree refuses it too; here it costs no lease. Another spelling of a name is no destination
    # of its own: renaming to it changes what is shown.
    renamed = lock_root(call.path) == lock_root(plan.destination)
    if not plan.overwrite and not renamed and call.stat(plan.destination) is not None:
        raise Refused(412, "the destination exists, and Overwrite is F")
    return source


def _copy(call: Call, plan: _Plan) -> bool:
    _source(call, plan)

    def guard(at_destination: Entry | None) -> None:
        member = at_destination is None
        require_tokens(call, plan.destination, member=member, subtree=True)

    guard(call.stat(plan.destination))
    free = call.share.tree.copy(
        call.path,
        plan.destination,
        overwrite=plan.overwrite,
        recursive=plan.depth == "infinity",
        guard=guard,
    )
    _forget_locks_below(call, plan.destination)
    return free


def _move(call: Call, plan: _Plan) -> bool:
    source = _source(call, plan)
    if source.is_directory and plan.depth != "infinity":
        raise Refused(400, "a folder can only be moved with all in it")

    def guard(at_destination: Entry | None) -> None:
        if call.conditions is not None or call.if_header is not None:
            require_conditions(call, call.stat())
        require_tokens(call, call.path, member=True, subtree=True)
        member = at_destination is None
        require_tokens(call, plan.destination, member=member, subtree=True)

    guard(call.stat(plan.destination))
    free = call.share.tree.move(call.path, plan.destination, overwrite=plan.overwrite, guard=guard)
    if call.share.locks.any() and lock_root(call.path) != lock_root(plan.destination):
        # A lock does not move with its resource (section 9.9.3).
        call.share.locks.remove_below(lock_root(call.path))
    _forget_locks_below(call, plan.destination)
    return free


def _forget_locks_below(call: Call, path: Path) -> None:
    """What was inside a replaced folder is gone; a lock on the replaced URL itself stays."""
    locks = call.share.locks
    if locks.any():
        root = lock_root(path)
        for lock in locks.covering(root, children=True):
            if lock.root.startswith(root + "/"):
                locks.remove(lock.token)
