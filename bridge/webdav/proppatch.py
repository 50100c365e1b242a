"""PROPPATCH (RFC 4918, section 9.2): all changes or none, in one step of the tree."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from aiohttp import web

from bridge.files.api import Entry
from bridge.files.errors import NoSuchFile
from bridge.http.dates import parse_http_date
from bridge.http.errors import Refused
from bridge.webdav.call import Call
from bridge.webdav.locking import require_conditions, require_tokens
from bridge.webdav.multistatus import HEAD, TAIL, escape_href
from bridge.webdav.properties import PROTECTED
from bridge.webdav.xml import empty_element, language, parse_xml, serialized

_TIMES = frozenset(
    {
        "{DAV:}lastmodified",  # Nextcloud's
        "{DAV:}getlastmodified",  # Cyberduck's and rclone's
        "{urn:schemas-microsoft-com:}Win32LastModifiedTime",
    }
)
"""Properties by which clients set a file's modification time."""

_KEPT_TIMES = frozenset({"{urn:schemas-microsoft-com:}Win32LastModifiedTime"})
"""Those that are kept beside, because Windows reads them back."""

_MOST = 1000


@dataclass(slots=True)
class _Changes:
    """What a PROPPATCH asks, in the end: later instructions win over earlier ones."""

    order: dict[str, None] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    mtime: float | None = None
    failed: dict[str, int] = field(default_factory=dict)


async def proppatch(call: Call) -> web.StreamResponse:
    """Set and remove dead properties, and the modification time."""
    body = await call.body.small()
    changes = _parse(parse_xml(body, "{DAV:}propertyupdate"))
    entry = await call.workers.quick.run(lambda: _apply(call, changes))
    href = escape_href(call.href(call.path, directory=entry.is_directory))
    return call.xml(207, _answer(href, changes))


def _parse(update: Element) -> _Changes:
    changes = _Changes()
    count = 0
    for instruction in update:
        if instruction.tag not in ("{DAV:}set", "{DAV:}remove"):
            continue  # RFC 4918, section 17: what is not known is passed over
        for prop in instruction.findall("{DAV:}prop"):
            lang = language(prop) or language(instruction) or language(update)
            count += len(prop)
            if count > _MOST:
                raise Refused(413, f"at most {_MOST} properties can be changed at once")
            for element in prop:
                _instruct(changes, element, lang, setting=instruction.tag == "{DAV:}set")
    if not changes.order:
        raise Refused(400, "the body changes no property")
    return changes


def _instruct(changes: _Changes, element: Element, lang: str | None, *, setting: bool) -> None:
    name = element.tag
    changes.order[name] = None
    if name in PROTECTED:
        changes.failed[name] = 403
        return
    if name in _TIMES and setting:
        mtime = _time(element.text or "")
        if mtime is not None:
            changes.mtime = mtime
        elif name not in _KEPT_TIMES:
            changes.failed[name] = 409
        if name not in _KEPT_TIMES:
            return
    elif name == "{DAV:}getlastmodified":
        changes.failed[name] = 403
        return
    if setting:
        changes.removed.discard(name)
        changes.values[name] = serialized(element, lang)
    else:
        changes.values.pop(name, None)
        changes.removed.add(name)


def _time(text: str) -> float | None:
    """Unix seconds of an epoch or an HTTP date."""
    try:
        seconds = float(text.strip())
    except ValueError:
        date = parse_http_date(text.strip())
        return None if date is None else float(date)
    # Up to the year 9999: what does not fit a date cannot be shown again.
    return seconds if math.isfinite(seconds) and 0 <= seconds < 253402300800 else None


def _apply(call: Call, changes: _Changes) -> Entry:
    entry = call.stat()
    if entry is None:
        raise NoSuchFile("nothing is there")

    def guard(found: Entry | None) -> None:
        require_conditions(call, found)
        require_tokens(call, call.path, member=False)

    guard(entry)
    if changes.failed:
        return entry
    return call.share.tree.set_properties(
        call.path,
        set=changes.values,
        remove=frozenset(changes.removed),
        mtime=changes.mtime,
        guard=guard,
    )


_PHRASES = {
    200: "HTTP/1.1 200 OK",
    403: "HTTP/1.1 403 Forbidden",
    409: "HTTP/1.1 409 Conflict",
    424: "HTTP/1.1 424 Failed Dependency",
}


def _answer(href: str, changes: _Changes) -> bytes:
    by_status: dict[int, str] = {}
    for name in changes.order:
        status = changes.failed.get(name, 424 if changes.failed else 200)
        by_status[status] = by_status.get(status, "") + empty_element(name)
    stats = "".join(
        f"<D:propstat><D:prop>{names}</D:prop><D:status>{_PHRASES[status]}</D:status>"
        + ("<D:error><D:cannot-modify-protected-property/></D:error>" if status == 403 else "")
        + "</D:propstat>"
        for status, names in by_status.items()
    )
    text = f"{HEAD}<D:response><D:href>{href}</D:href>{stats}</D:response>{TAIL}"
    return text.encode()
