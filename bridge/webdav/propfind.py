"""PROPFIND (RFC 4918, section 9.1)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from xml.etree.ElementTree import Element

from aiohttp import web

from bridge.files.api import Entry
from bridge.files.errors import NoSuchFile, NotDirectory
from bridge.files.path import DEPTH_LIMIT, Path
from bridge.http.answer import SERVER, send_blocks
from bridge.http.errors import Refused
from bridge.state.api import Lock
from bridge.tenants.api import Right
from bridge.webdav.call import Call
from bridge.webdav.errors import condition
from bridge.webdav.lock_xml import NO_LOCKS, discovery
from bridge.webdav.locking import covers, lock_root, require_conditions
from bridge.webdav.mount import Above
from bridge.webdav.multistatus import (
    Facts,
    Rows,
    Wanted,
    blocks,
    child_rows,
    escape_href,
)
from bridge.webdav.properties import LOCK_DISCOVERY
from bridge.webdav.share import no_quota
from bridge.webdav.xml import parse_xml

_TYPE = {"Content-Type": "application/xml; charset=utf-8"}

_MOST_NAMES = 1000
_MOST_NAMED = 64 * 1024
"""Characters of all names asked for: each comes again with every entry of the answer."""

_MOST_HELD = 32 << 20
"""Bytes of an answer that is held whole in memory."""


async def propfind(call: Call) -> web.StreamResponse:
    """Properties of a resource, of its children too, or of all below it."""
    wanted = parse_propfind(await call.body.small())
    # "1,noroot" of old Microsoft clients, and Min-Depth of old PHP ones, leave the folder out:
    # both leave it to the server, and all of them skip it themselves.
    depth = (call.header("Depth") or "infinity").strip().lower().partition(",")[0]
    if depth not in ("0", "1", "infinity"):
        raise Refused(400, "Depth must be 0, 1 or infinity")
    if depth == "infinity":
        whole = await call.workers.patient.run(lambda: _everything(call, wanted))
        return await _send(call, whole, None)
    first, rest = await call.workers.quick.run(lambda: _begin(call, wanted, depth))
    return await _send(call, first, rest)


async def _send(call: Call, ready: list[bytes], rest: Iterator[bytes] | None) -> web.StreamResponse:
    """Send blocks that are there, and the others while they are made."""
    if rest is None and len(ready) == 1:
        return call.answer(207, body=ready[0], headers=_TYPE)
    pool = call.workers.quick

    async def all_blocks() -> AsyncIterator[bytes]:
        # One ahead of what is sent. Begun: the answer's header is, so it is too late to refuse.
        ahead = None if rest is None else pool.submit(lambda: next(rest, None), begun=True)
        try:
            for block in ready:
                yield block
            while ahead is not None:
                made = await ahead
                if made is None:
                    return
                ahead = None if rest is None else pool.submit(lambda: next(rest, None), begun=True)
                yield made
        finally:
            if ahead is not None:  # fetched, though nobody waits for it any more
                ahead.add_done_callback(lambda future: future.cancelled() or future.exception())

    response = web.StreamResponse(status=207, headers={"Server": SERVER, **call.extra, **_TYPE})
    await send_blocks(call.request, response, all_blocks(), call.tools.limits)
    return response


def parse_propfind(body: bytes) -> Wanted:
    """What the body asks; an empty one asks for all properties. Raises Refused 400."""
    if not body.strip():
        return Wanted()
    element = parse_xml(body, "{DAV:}propfind")
    kinds = [
        child for child in element if child.tag in ("{DAV:}prop", "{DAV:}allprop", "{DAV:}propname")
    ]
    if len(kinds) != 1:
        raise Refused(400, "propfind asks for prop, allprop or propname")
    kind = kinds[0]
    if kind.tag == "{DAV:}prop":
        return Wanted(_names(kind))
    if kind.tag == "{DAV:}propname":
        return Wanted(names_only=True)
    include = element.find("{DAV:}include")
    return Wanted(include=() if include is None else _names(include))


def _names(parent: Element) -> tuple[str, ...]:
    """The properties that an element names, each once."""
    names = tuple(dict.fromkeys(child.tag for child in parent))
    if len(names) > _MOST_NAMES or sum(map(len, names)) > _MOST_NAMED:
        raise Refused(
            400,
            f"at most {_MOST_NAMES} properties with {_MOST_NAMED} characters can be asked for",
        )
    return names


def _facts(call: Call, wanted: Wanted, *, children: bool) -> Facts:
    asked = wanted.names is None or LOCK_DISCOVERY in wanted.names
    held: list[Lock] = []
    if asked and call.share.locks.any():
        held = call.share.locks.covering(lock_root(call.path), children=children)
    by_root: dict[str, list[Lock]] = {}
    for lock in held:
        by_root.setdefault(lock.root, []).append(lock)

    def lock_discovery(path: Path) -> str:
        if not held:
            return NO_LOCKS
        root = lock_root(path)
        # Looked up and not searched for: a folder may have a lock on each of its entries.
        places = {"/", root, *(root[:at] for at, char in enumerate(root) if char == "/" and at)}
        found = [lock for place in places for lock in by_root.get(place, ())]
        on_it = [lock for lock in found if covers(lock, root)]
        return discovery(on_it, lambda p: call.href(p, directory=False))

    share = call.share
    return Facts(lock_discovery, share.quota, share.tree.properties, share.rights)


def _begin(call: Call, wanted: Wanted, depth: str) -> tuple[list[bytes], Iterator[bytes] | None]:
    """The first block, and those that follow."""
    entry = call.share.tree.stat(call.path)
    require_conditions(call, entry)
    rows = Rows(wanted, _facts(call, wanted, children=depth == "1"))
    href = escape_href(call.href(call.path, directory=entry.is_directory))
    own = rows.row(href, call.path, entry)
    if depth == "0" or not entry.is_directory:
        return list(blocks([own])), None
    children = call.share.tree.list(call.path)
    prefix = href if href.endswith("/") else href + "/"

    def parts() -> Iterator[str]:
        yield own
        yield from child_rows(rows, call.path, prefix, children)

    document = blocks(parts())
    first = next(document)
    # A document of one block is whole when nothing follows; to know it the next one is made,
    # which for a small folder costs nothing and saves a hop.
    second = next(document, None)
    if second is None:
        return [first], None
    return [first, second], document


def _everything(call: Call, wanted: Wanted) -> list[bytes]:
    """The whole tree below, held in memory; refused when it is too much."""
    limit = call.tools.settings.infinity
    entry = call.share.tree.stat(call.path)
    require_conditions(call, entry)
    rows = Rows(wanted, _facts(call, wanted, children=True))

    def parts() -> Iterator[str]:
        href = escape_href(call.href(call.path, directory=entry.is_directory))
        yield rows.row(href, call.path, entry)
        waiting: list[Path] = [call.path] if entry.is_directory else []
        count = 0
        while waiting:
            folder = waiting.pop()
            found: list[Entry] = []
            try:
                for child in call.share.tree.list(folder):
                    count += 1
                    if count > limit:
                        raise condition(403, "propfind-finite-depth")
                    found.append(child)
            except (NoSuchFile, NotDirectory):
                continue  # gone since it was listed
            prefix = escape_href(call.href(folder, directory=True))
            yield from child_rows(rows, folder, prefix, found)
            if len(folder.names) + 1 < DEPTH_LIMIT:  # damaged, a folder may lie in itself
                waiting.extend(folder.child(child.name) for child in found if child.is_directory)

    whole = []
    size = 0
    for block in blocks(parts()):
        size += len(block)
        if size > _MOST_HELD:
            raise condition(403, "propfind-finite-depth")
        whole.append(block)
    return whole


def propfind_above(above: Above, body: bytes, depth: str) -> bytes:
    """A collection above the mount: Windows and gvfs look at each on their way down."""
    facts = Facts(lambda _path: NO_LOCKS, no_quota, lambda _path: {}, Right.LIST)
    rows = Rows(parse_propfind(body), facts)
    name = above.href.strip("/").rpartition("/")[2]
    parts = [rows.row(escape_href(above.href), Path(), Entry(name=name, is_directory=True))]
    if depth != "0":
        below = Entry(name=above.below, is_directory=True)
        parts += child_rows(rows, Path(), escape_href(above.href), [below])
    return b"".join(blocks(parts))
