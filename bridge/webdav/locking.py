"""Whether a change may be made: locks and preconditions, before it and at its last moment.

The same questions are asked twice: when a request comes, so that it is refused before its body is
sent, and in the tree's guard, when nobody else can change the entry any more.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from bridge.files.api import Entry, Guard
from bridge.files.errors import InvalidPath
from bridge.files.path import Path
from bridge.http.errors import Refused
from bridge.state.api import Lock
from bridge.webdav.call import Call
from bridge.webdav.errors import condition
from bridge.webdav.mount import Elsewhere


def lock_root(path: Path) -> str:
    """A path as locks are kept by it: one form for all Unicode spellings."""
    return str(path.canonical())


def lock_path(root: str) -> Path:
    """The path that a lock's root is."""
    return Path.from_kept(root)


def covers(lock: Lock, root: str) -> bool:
    """Whether ``lock`` protects the resource at ``root``."""
    if lock.root == root:
        return True
    return lock.deep and (lock.root == "/" or root.startswith(lock.root + "/"))


def require_tokens(call: Call, path: Path, *, member: bool, subtree: bool = False) -> None:
    """Raise Refused 423 unless the token of each lock in the way was submitted by its owner.

    ``member``: the change adds the resource to its folder, or takes it away, which a lock of the
    folder protects too (RFC 4918, section 7.4). ``subtree``: all below it changes with it. Of
    several shared locks on one resource, the token of one will do.
    """
    locks = call.share.locks
    if not locks.any():
        return
    root = lock_root(path)
    held = locks.covering(root, children=subtree)
    guarded = [root]
    if subtree:
        guarded += sorted({lock.root for lock in held if lock.root.startswith(root + "/")})
        if root == "/":
            guarded += sorted({lock.root for lock in held if lock.root != "/"})
    if member and path.names:
        parent = lock_root(path.parent)
        held = [*held, *locks.covering(parent)]
        guarded.append(parent)
    for place in guarded:
        on_it = [lock for lock in held if covers(lock, place)]
        if on_it and not any(_usable(call, lock) for lock in on_it):
            href = call.href(lock_path(on_it[0].root), directory=False)
            raise condition(423, "lock-token-submitted", href)


def _usable(call: Call, lock: Lock) -> bool:
    return lock.token in call.tokens and lock.principal == call.share.principal


def require_conditions(call: Call, entry: Entry | None, *, read: bool = False) -> bool:
    """Check the HTTP conditions and the ``If`` header; ``entry`` is the request's own resource.

    Returns False when a read is to be answered by 304; raises Refused 412.
    """
    go_on = True
    if call.conditions is not None:
        go_on = call.conditions.check(
            exists=entry is not None,
            etag=entry.etag if entry else "",
            mtime=entry.mtime if entry else 0,
            read=read,
        )
    if call.if_header is not None and not call.if_header.holds(
        lambda url: _state(call, url, entry)
    ):
        raise Refused(412, "the If header does not hold")
    return go_on


def _state(call: Call, url: str | None, own: Entry | None) -> tuple[str, AbstractSet[str]]:
    """Etag and lock tokens of a resource that ``If`` names."""
    path = call.path
    entry = own
    if url is not None:
        try:
            path = call.tools.mount.resolve(url, call.origin)
        except (Elsewhere, InvalidPath):
            return "", frozenset()
        if lock_root(path) != lock_root(call.path):
            entry = call.stat(path)
    covering = call.share.locks.covering(lock_root(path))
    tokens = frozenset(lock.token for lock in covering if lock.token)
    return (entry.etag if entry else ""), tokens


def write_guard(call: Call, path: Path, *, subtree: bool = False) -> Guard:
    """The guard of a change at the request's own ``path``: conditions and locks, with the entry."""

    def guard(entry: Entry | None) -> None:
        require_conditions(call, entry)
        require_tokens(call, path, member=entry is None, subtree=subtree)

    return guard
