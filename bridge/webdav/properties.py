"""Live properties, each rendered as the element it is in an answer.

A renderer gives the whole element as text, or None where the resource has no such property. They
run for every entry of every listing: they format strings and make no objects.
"""

from __future__ import annotations

from collections.abc import Callable
from xml.sax.saxutils import escape

from bridge.files.api import Entry
from bridge.http.dates import http_date, iso_date
from bridge.tenants.api import Right
from bridge.webdav.media_types import guessed

Renderer = Callable[[Entry], str | None]

OC = "http://owncloud.org/ns"

SUPPORTED_LOCK = (
    "<D:supportedlock>"
    "<D:lockentry><D:lockscope><D:exclusive/></D:lockscope>"
    "<D:locktype><D:write/></D:locktype></D:lockentry>"
    "<D:lockentry><D:lockscope><D:shared/></D:lockscope>"
    "<D:locktype><D:write/></D:locktype></D:lockentry>"
    "</D:supportedlock>"
)


def escaped(text: str) -> str:
    """Text for XML; what XML cannot hold at all (control characters of names) becomes U+FFFD."""
    if text.isalnum():
        return text
    if not text.isprintable():
        text = "".join(
            c
            if c in "\t\n" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff"
            else "\ufffd"
            for c in text
        )
    return escape(text)


def _resource_type(entry: Entry) -> str:
    if entry.is_directory:
        return "<D:resourcetype><D:collection/></D:resourcetype>"
    return "<D:resourcetype/>"


def _content_length(entry: Entry) -> str | None:
    if entry.is_directory:
        return None
    return f"<D:getcontentlength>{entry.size}</D:getcontentlength>"


def _last_modified(entry: Entry) -> str:
    return f"<D:getlastmodified>{http_date(int(entry.mtime))}</D:getlastmodified>"


def _creation_date(entry: Entry) -> str | None:
    created = entry.created or entry.mtime
    return f"<D:creationdate>{iso_date(int(created))}</D:creationdate>"


def _etag(entry: Entry) -> str | None:
    return f'<D:getetag>"{entry.etag}"</D:getetag>' if entry.etag else None


def content_type(entry: Entry) -> str:
    """A file's type: the one it was given, else the one its name tells, else ``""``."""
    return entry.content_type or guessed(entry.name)


def _content_type(entry: Entry) -> str | None:
    if entry.is_directory:
        return None
    kind = content_type(entry)
    return f"<D:getcontenttype>{escape(kind)}</D:getcontenttype>" if kind else None


def _display_name(entry: Entry) -> str:
    kept = entry.properties.get("{DAV:}displayname") if entry.properties else None
    return kept or f"<D:displayname>{escaped(entry.name)}</D:displayname>"


def _supported_lock(_entry: Entry) -> str:
    return SUPPORTED_LOCK


def permissions(rights: Right) -> Renderer:
    """OwnCloud's letters, by which Nextcloud shows what a mount allows.

    Read, delete, rename, move, and write a file or create files and folders in a folder.
    """
    common = "G" if Right.READ in rights else ""
    if Right.DELETE in rights:
        common += "D"
        if Right.READ | Right.WRITE in rights:
            common += "NV"
    of_folder = common + ("CK" if Right.WRITE in rights else "")
    of_file = common + ("W" if Right.WRITE | Right.DELETE in rights else "")

    def renderer(entry: Entry) -> str:
        letters = of_folder if entry.is_directory else of_file
        return f'<x:permissions xmlns:x="{OC}">{letters}</x:permissions>'

    return renderer


LIVE: dict[str, Renderer] = {
    "{DAV:}creationdate": _creation_date,
    "{DAV:}displayname": _display_name,
    "{DAV:}getcontentlength": _content_length,
    "{DAV:}getcontenttype": _content_type,
    "{DAV:}getetag": _etag,
    "{DAV:}getlastmodified": _last_modified,
    "{DAV:}resourcetype": _resource_type,
    "{DAV:}supportedlock": _supported_lock,
}
"""What every resource has; ``allprop`` answers with these and the dead ones."""

PERMISSIONS = f"{{{OC}}}permissions"
"""Only told to who asks by name, as the quota is."""

LOCK_DISCOVERY = "{DAV:}lockdiscovery"
QUOTA_AVAILABLE = "{DAV:}quota-available-bytes"
QUOTA_USED = "{DAV:}quota-used-bytes"

PROTECTED = frozenset(
    {
        *(LIVE.keys() - {"{DAV:}displayname", "{DAV:}getlastmodified"}),
        PERMISSIONS,
        LOCK_DISCOVERY,
        QUOTA_AVAILABLE,
        QUOTA_USED,
        "{DAV:}source",
    }
)
"""What PROPPATCH may not change (RFC 4918, section 15)."""
