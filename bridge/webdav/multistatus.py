"""Multistatus answers (RFC 4918, section 13), written as text.

A listing of 10,000 entries is on the way of every sync client: no element tree is built, and
what is equal in all entries is rendered once.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bridge.files.api import Entry
from bridge.files.errors import DamagedFile, NoSuchFile
from bridge.files.path import Path, quote_name
from bridge.tenants.api import Right
from bridge.webdav.properties import (
    LIVE,
    LOCK_DISCOVERY,
    PERMISSIONS,
    QUOTA_AVAILABLE,
    QUOTA_USED,
    Renderer,
    permissions,
)
from bridge.webdav.share import Quota
from bridge.webdav.xml import empty_element

log = logging.getLogger(__name__)

HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">'
TAIL = "</D:multistatus>\n"

_FOUND = "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"
_MISSING = "</D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>"
_PROPSTAT = "<D:propstat><D:prop>"
_END = "</D:response>"

_PLAIN = re.compile(r"[A-Za-z0-9._-]+")

_BLOCK = 256 * 1024
"""Characters gathered before they are handed on."""

Dead = Callable[[Path], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a PROPFIND asks for.

    ``names``: the properties named, in order, or None for ``allprop`` (with ``include``) and
    ``propname`` (``names_only``).
    """

    names: tuple[str, ...] | None = None
    include: tuple[str, ...] = ()
    names_only: bool = False


@dataclass(slots=True)
class Facts:
    """What entries do not know of themselves.

    Locks by path, quota, spilled properties, and the rights of whoever asks.
    """

    lock_discovery: Callable[[Path], str]
    quota: Callable[[], Quota]
    dead: Dead
    rights: Right
    _quota: Quota | None = field(default=None)

    def room(self) -> Quota:
        """The quota, asked for once."""
        if self._quota is None:
            self._quota = self.quota()
        return self._quota


class Rows:
    """Writes ``response`` elements for one PROPFIND."""

    def __init__(self, wanted: Wanted, facts: Facts) -> None:
        self._wanted = wanted
        self._facts = facts
        names = wanted.names
        self._plan: list[tuple[Renderer | None, str, str]] = []
        self._needs_path = names is None or LOCK_DISCOVERY in names
        for name in names or ():
            renderer = LIVE.get(name) or self._on_request(name)
            self._plan.append((renderer, name, empty_element(name)))

    def row(self, href: str, path: Path | None, entry: Entry) -> str:
        """One ``response``; ``href`` is escaped. ``path`` may be None unless locks are asked."""
        if self._wanted.names is None:
            return self._all(href, path or Path(), entry)
        found = ""
        missing = ""
        dead: Mapping[str, str] | None = None
        for renderer, name, empty in self._plan:
            if renderer is not None:
                text = renderer(entry)
            elif name == LOCK_DISCOVERY:
                assert path is not None
                text = self._facts.lock_discovery(path)
            else:
                if dead is None:  # what has spilled is read once for all names
                    dead = self._dead(path, entry)
                text = dead.get(name)
            if text is None:
                missing += empty
            else:
                found += text
        if missing:
            missing = f"{_PROPSTAT}{missing}{_MISSING}"
        if found or not missing:
            found = f"{_PROPSTAT}{found}{_FOUND}"
        return f"<D:response><D:href>{href}</D:href>{found}{missing}{_END}"

    @property
    def needs_path(self) -> bool:
        """Whether ``row`` must be told the path."""
        return self._needs_path

    def _dead(self, path: Path | None, entry: Entry) -> Mapping[str, str]:
        if entry.properties is not None:
            return entry.properties
        if path is None:
            return {}
        try:
            return self._facts.dead(path)
        except NoSuchFile:
            return {}  # gone since it was listed, which must not take the folder with it
        except DamagedFile as error:
            log.warning("shown without its dead properties: %s", error)
            return {}

    def _on_request(self, name: str) -> Renderer | None:
        if name == PERMISSIONS:
            return permissions(self._facts.rights)
        if name not in (QUOTA_AVAILABLE, QUOTA_USED):
            return None
        tag = name.removeprefix("{DAV:}")

        def renderer(entry: Entry) -> str | None:
            if not entry.is_directory:
                return None  # RFC 4331, section 3: of collections
            room = self._facts.room()
            value = room.available if name == QUOTA_AVAILABLE else room.used
            return None if value is None else f"<D:{tag}>{max(0, value)}</D:{tag}>"

        return renderer

    def _all(self, href: str, path: Path, entry: Entry) -> str:
        dead = self._dead(path, entry)
        if self._wanted.names_only:
            names = [name for name, renderer in LIVE.items() if renderer(entry) is not None]
            names.append(LOCK_DISCOVERY)
            names += [name for name in dead if name not in LIVE]
            found = "".join(map(empty_element, names))
        else:
            parts = [renderer(entry) for renderer in LIVE.values()]
            parts.append(self._facts.lock_discovery(path))
            parts += [text for name, text in dead.items() if name not in LIVE]
            for name in self._wanted.include:
                if name not in LIVE and name != LOCK_DISCOVERY and name not in dead:
                    renderer = self._on_request(name)
                    parts.append(renderer(entry) if renderer else None)
            found = "".join(part for part in parts if part is not None)
        return f"<D:response><D:href>{href}</D:href>{_PROPSTAT}{found}{_FOUND}{_END}"


def escape_href(href: str) -> str:
    """A quoted path for XML: of all it can hold only ``&`` must be escaped."""
    return href.replace("&", "&amp;") if "&" in href else href


def child_rows(rows: Rows, folder: Path, prefix: str, entries: Iterable[Entry]) -> Iterator[str]:
    """``response`` elements of a folder's children; ``prefix`` is its escaped href, with slash."""
    plain = _PLAIN.fullmatch
    row = rows.row
    # Dead properties that have spilled are asked for by path too.
    needs_path = rows.needs_path
    for entry in entries:
        name = entry.name
        href = prefix + (name if plain(name) else escape_href(quote_name(name)))
        if entry.is_directory:
            href += "/"
        path = folder.child(name) if needs_path or entry.properties is None else None
        yield row(href, path, entry)


def blocks(parts: Iterable[str]) -> Iterator[bytes]:
    """The document around ``parts``, in blocks of some 256 KiB."""
    gathered = [HEAD]
    size = 0
    for part in parts:
        gathered.append(part)
        size += len(part)
        if size >= _BLOCK:
            yield "".join(gathered).encode()
            gathered = []
            size = 0
    gathered.append(TAIL)
    yield "".join(gathered).encode()
