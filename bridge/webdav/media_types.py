"""Content types: what the client said, when it said something, else by the name."""

from __future__ import annotations

import re
from functools import lru_cache
from mimetypes import MimeTypes

_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:[ \t]*;[\x20-\x7e]*)?")

_MEANINGLESS = frozenset(
    {
        "application/octet-stream",  # what clients say that do not know
        "binary/octet-stream",
        "application/x-www-form-urlencoded",  # what curl says unasked
        "text/xml",  # what some clients say of every WebDAV body
    }
)

_ADDED = {
    ".7z": "application/x-7z-compressed",
    ".apk": "application/vnd.android.package-archive",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".epub": "application/epub+zip",
    ".flac": "audio/flac",
    ".gz": "application/gzip",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".md": "text/markdown",
    ".mkv": "video/x-matroska",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ogg": "audio/ogg",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".rar": "application/vnd.rar",
    ".webm": "video/webm",
    ".webp": "image/webp",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".xz": "application/x-xz",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zst": "application/zstd",
}


def _table() -> dict[str, str]:
    types = MimeTypes()  # Python's own table: the machine's files would differ from host to host
    return {**types.types_map[True], **_ADDED}


_TABLE = _table()

# No comma: browsers take what stands after one for another type.
_SHOWN_INLINE = re.compile(r"(?i:image/(?!svg)|audio/|video/|text/plain\b)[^,]*")


def declared(header: str | None) -> str:
    """The content type to keep with a file, of what the client sent with it; ``""`` for none."""
    if header is None:
        return ""
    text = header.strip()
    if len(text) > 200 or not _TYPE.fullmatch(text):
        return ""
    return "" if text.partition(";")[0].strip().lower() in _MEANINGLESS else text


@lru_cache(maxsize=4096)
def _by_suffix(suffix: str) -> str:
    return _TABLE.get(suffix, "")


def guessed(name: str) -> str:
    """The type a name's ending tells; ``""`` where it tells none."""
    dot = name.rfind(".")
    return "" if dot <= 0 else _by_suffix(name[dot:].lower())


def shown_inline(content_type: str) -> bool:
    """Whether a browser may show it in place: nothing that could carry a script."""
    return _SHOWN_INLINE.fullmatch(content_type) is not None
