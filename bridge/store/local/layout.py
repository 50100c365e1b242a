"""Where an object lies: keys to paths and back.

Each component of a key becomes a name of ``[a-z0-9_-]`` in which ``=a`` stands for ``A`` and
``%2e`` for any other byte, so that upper case survives a file system that ignores case, and
nothing is special to any. A suffix says what it is: ``.o`` an object, ``.d`` the directory of
what lies below this component, so that the keys ``a`` and ``a/b`` may both exist. A name longer
than file systems allow is cut into pieces: each but the last is a directory with suffix ``.c``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

OBJECT = ".o"
DIRECTORY = ".d"
CONTINUED = ".c"

_PIECE = 250
"""Characters of a name before its suffix: file systems allow 255 in all."""

_ESCAPED = re.compile(r"(?:[a-z0-9_-]|=[a-z]|%[0-9a-f]{2})+")


class _Escapes(dict[int, str]):
    """For str.translate: how each character is written, worked out once."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if re.fullmatch(r"[a-z0-9_-]", char):
            written = char
        elif re.fullmatch(r"[A-Z]", char):
            written = "=" + char.lower()
        else:
            written = "".join(f"%{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))
        if code < 128:  # a bound on what is kept
            self[code] = written
        return written


_ESCAPES = _Escapes()


def _pieces(component: str) -> list[str]:
    name = component.translate(_ESCAPES)
    return [name[start : start + _PIECE] for start in range(0, len(name), _PIECE)] or [""]


def _path(component: str, suffix: str) -> str:
    *front, last = _pieces(component)
    return "".join(f"{piece}{CONTINUED}/" for piece in front) + last + suffix


@lru_cache(maxsize=4096)
def directory_of(prefix: str) -> str:
    """The path below the store's objects of the keys in ``prefix`` (without its last ``/``)."""
    if not prefix:
        return ""
    return "/".join(_path(component, DIRECTORY) for component in prefix.split("/"))


def place_of(key: str) -> tuple[str, str]:
    """The directory of the object at ``key``, and its name in there."""
    prefix, _, component = key.rpartition("/")
    directory = directory_of(prefix)
    name = _path(component, OBJECT)
    if "/" in name:
        front, _, name = name.rpartition("/")
        directory = f"{directory}/{front}" if directory else front
    return directory, name


def component_of(name: str) -> str | None:
    """The component written as ``name``, its pieces joined; None where none is (a stray file)."""
    if _ESCAPED.fullmatch(name) is None:
        return None
    if "=" in name:
        first, *rest = name.split("=")
        name = first + "".join([piece[0].upper() + piece[1:] for piece in rest])
    if "%" in name:
        try:
            name = unquote(name, errors="strict")
        except UnicodeDecodeError:
            return None
    return name
