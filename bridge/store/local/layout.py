"""Where an object lies: keys to paths and back.

Each component of a key becomes a name of ``[a-z0-9_-]``, in which ``%2e`` stands for any other
byte, so that no character is special to any file system. Upper case is written as lower case, to
survive a file system that ignores case, and a mask after ``=`` says where: the name's letters are
its bits, the last one the lowest, in hexadecimal. ``aBc`` is ``abc=2``.

A suffix says what it is: ``.o`` an object, ``.d`` the directory of what lies below this component,
so that the keys ``a`` and ``a/b`` may both exist. A name longer than file systems allow is cut
into pieces: each but the last is a directory with suffix ``.c``.
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

_WRITTEN = re.compile(r"((?:[a-z0-9_-]|%[0-9a-f]{2})+)(?:=([0-9a-f]+))?")

_PLAIN = re.compile(r"[A-Za-z0-9_-]")

_UPPER = {code: "1" if chr(code).isupper() else "0" for code in range(128)}
"""For str.translate: a name as the binary number of its mask."""

_FLIPS = {ord("0"): 0x00, ord("1"): 0x20}
"""For str.translate: a mask in binary as what an upper case letter differs by from a lower."""


class _Escapes(dict[int, str]):
    """For str.translate: how each character is written, case aside; worked out once."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        raw = char.encode("utf-8", "surrogatepass")
        written = char if _PLAIN.fullmatch(char) else "".join(f"%{byte:02x}" for byte in raw)
        if code < 128:  # a bound on what is kept
            self[code] = written
        return written


_ESCAPES = _Escapes()


def _written(component: str) -> str:
    name = component.translate(_ESCAPES)
    lower = name.lower()
    return name if name == lower else f"{lower}={int(name.translate(_UPPER), 2):x}"


def _path(component: str, suffix: str) -> str:
    name = _written(component)
    *front, last = (name[start : start + _PIECE] for start in range(0, max(1, len(name)), _PIECE))
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
    match = _WRITTEN.fullmatch(name)
    if match is None:
        return None
    name, mask = match.groups()
    try:
        if mask:
            # As numbers, because this is done for each object of a listing.
            flips = f"{int(mask, 16):0{len(name)}b}".translate(_FLIPS).encode()
            upper = int.from_bytes(name.encode()) ^ int.from_bytes(flips)
            name = upper.to_bytes(len(name)).decode()
        return unquote(name, errors="strict") if "%" in name else name
    except (OverflowError, UnicodeDecodeError):
        return None
