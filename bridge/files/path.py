"""Paths as value objects, made in one place from what a client sent.

Nothing else in the bridge splits, joins, quotes or unquotes a path. A target is split at
``/`` first and unquoted after, so that ``;``, ``?``, ``#``, ``%`` and ``+`` survive in names
and an encoded slash cannot become a separator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from bridge.crypto.names import normalize
from bridge.files.errors import InvalidPath

NAME_LIMIT = 255
"""Longest name by WebDAV, in bytes of UTF-8 (what every client's own file system holds)."""

DEPTH_LIMIT = 256
"""Most components of a path; deeper ones are refused so that no walk is endless."""

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SAFE = "/-._~!$&'()*+,=:@"  # RFC 3986 pchar, less ";" which some parsers cut at


@dataclass(frozen=True, slots=True, order=True)
class Path:
    """An absolute path in one tree; ``Path(())`` is its root. Names as the client wrote them."""

    names: tuple[str, ...] = ()

    @classmethod
    def from_target(cls, raw: str, *, name_limit: int = NAME_LIMIT) -> Path:
        """Parse the path of a request target or ``Destination``: percent-encoded, no query.

        Raw UTF-8 is accepted beside escapes (Pydio 8 sends it). Empty components are skipped, as
        servers do; ``.``, ``..``, NUL, ``%2F``, broken escapes, bytes that are not UTF-8 and names
        over ``name_limit`` bytes raise InvalidPath.
        """
        if _BAD_ESCAPE.search(raw):
            raise InvalidPath("the path has a broken percent escape")
        names = []
        for component in raw.split("/"):
            if component:
                try:
                    name = unquote_to_bytes(component.encode("utf-8", "surrogateescape")).decode()
                except UnicodeDecodeError:
                    raise InvalidPath("a name is not valid UTF-8") from None
                names.append(check_name(name, limit=name_limit))
        if len(names) > DEPTH_LIMIT:
            raise InvalidPath(f"the path is deeper than {DEPTH_LIMIT} folders")
        return cls(tuple(names))

    @classmethod
    def from_kept(cls, text: str) -> Path:
        """The path that ``str`` made ``text`` of, as roots of locks and credentials are kept."""
        return cls(tuple(name for name in text.split("/") if name))

    @property
    def name(self) -> str:
        """The last name; ``""`` for the root."""
        return self.names[-1] if self.names else ""

    @property
    def parent(self) -> Path:
        """The folder it lies in; the root is its own parent."""
        return Path(self.names[:-1])

    @property
    def is_root(self) -> bool:
        """Whether it is the root."""
        return not self.names

    def child(self, name: str) -> Path:
        """The path of ``name`` in this folder."""
        return Path((*self.names, name))

    def is_within(self, other: Path) -> bool:
        """Whether it is ``other`` or lies below it (as written; the tree checks by ids too)."""
        return self.names[: len(other.names)] == other.names

    def canonical(self) -> Path:
        """The form all spellings of this path share: names in NFC, as trees find them.

        For comparing paths, as lock roots are; never shown, and never written to a tree.
        """
        if "".join(self.names).isascii():
            return self
        return Path(tuple(map(normalize, self.names)))

    def quoted(self) -> str:
        """As an absolute path in a URL, every byte outside RFC 3986's pchar escaped."""
        return "/" + "/".join(map(quote_name, self.names))

    def __str__(self) -> str:
        """As people read it. For messages and DEBUG logs only, never for keys or URLs."""
        return "/" + "/".join(self.names)


def quote_name(name: str) -> str:
    """One name as a URL path segment."""
    return quote(name, safe=_SAFE[1:])


def check_name(name: str, *, limit: int = NAME_LIMIT) -> str:
    """Return ``name`` if a file or folder may have it, else raise InvalidPath."""
    if name in ("", ".", ".."):
        raise InvalidPath(f"{name!r} is not a name")
    if "/" in name or "\0" in name:
        raise InvalidPath("a name may not hold a slash or NUL")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidPath("a name is not valid UTF-8") from None
    if size > limit:
        raise InvalidPath(f"a name has {size} bytes, more than {limit}")
    return name
