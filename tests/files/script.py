"""One-line scripts that run on any ``FileTree``, in the style of golang.org/x/net/webdav.

A step is a verb with paths and words, and at its end perhaps ``want <error>``, the error's class
with dashes (``want into-itself``) or several with ``|`` between where a tree may choose::

    mkdir /a
    write /a/b hello
    move /a /c              move! replaces what is there; so does copy!
    copy0 /c /d             the folder alone
    is /c/b hello           a file with that content
    list /c b               the names in a folder, in any order
    folder /c
    none /a                 nothing is there
    new move! /a /b         what a move, copy or write answered: the place was free (old: not)
"""

from __future__ import annotations

import pytest

from bridge.files import errors
from bridge.files.api import Buffer, Entry, FileTree, Guard, Reader, no_guard
from bridge.files.path import Path

BLOCK = 100_000
"""Bytes asked of a reader at once; no multiple of any chunk size on purpose."""


def path(text: str) -> Path:
    """``/a/b`` as a path; names are taken as they are, nothing is unquoted."""
    return Path(tuple(filter(None, text.split("/"))))


def write(
    tree: FileTree,
    where: str | Path,
    content: Buffer,
    *,
    guard: Guard = no_guard,
    content_type: str = "",
    mtime: float | None = None,
) -> tuple[Entry, bool]:
    """Write a whole file."""
    where = path(where) if isinstance(where, str) else where
    writer = tree.create(where, size=len(content), content_type=content_type, mtime=mtime)
    try:
        writer.write(content)
        return writer.commit(guard)
    finally:
        writer.abort()


def drain(reader: Reader, block: int = BLOCK) -> bytes:
    """All that is left in a reader, which is closed."""
    with reader:
        return b"".join(iter(lambda: bytes(reader.read(block)), b""))


def read(tree: FileTree, where: str | Path, offset: int = 0, length: int | None = None) -> bytes:
    """The content of a file, or a range of it."""
    where = path(where) if isinstance(where, str) else where
    return drain(tree.open(where, offset, length))


def names(tree: FileTree, where: str | Path) -> list[str]:
    """The names in a folder, sorted."""
    where = path(where) if isinstance(where, str) else where
    return sorted(entry.name for entry in tree.list(where))


def snapshot(tree: FileTree, where: Path | None = None) -> dict[str, object]:
    """Everything below a folder: names as shown, and for files their content; read afresh."""
    where = where or Path()
    found: dict[str, object] = {}
    for entry in tree.list(where):
        below = where.child(entry.name)
        found[entry.name] = snapshot(tree, below) if entry.is_directory else read(tree, below)
    return found


def run(tree: FileTree, script: str) -> None:
    """Run a script of lines, or of steps with commas between."""
    for line in script.replace(",", "\n").splitlines():
        if line.strip():
            try:
                _step(tree, line.split())
            except Exception as error:
                error.add_note(f"in the step: {line.strip()}")
                raise


def _step(tree: FileTree, words: list[str]) -> None:
    if "want" in words:
        at = words.index("want")
        wanted = tuple(_error(name) for name in words[at + 1].split("|"))
        with pytest.raises(wanted):
            _step(tree, words[:at])
        return
    if words[0] in ("new", "old"):
        answer = _do(tree, words[1], words[2:])
        assert answer is (words[0] == "new"), f"the place was free: {answer}"
        return
    _do(tree, words[0], words[1:])


def _do(tree: FileTree, verb: str, words: list[str]) -> bool | None:
    where = path(words[0])
    match verb:
        case "mkdir":
            assert tree.mkdir(where).is_directory
        case "write":
            return write(tree, where, " ".join(words[1:]).encode())[1]
        case "delete":
            tree.delete(where)
        case "move" | "move!":
            return tree.move(where, path(words[1]), overwrite=verb.endswith("!"))
        case "copy" | "copy!":
            return tree.copy(where, path(words[1]), overwrite=verb.endswith("!"))
        case "copy0" | "copy0!":
            return tree.copy(where, path(words[1]), overwrite=verb.endswith("!"), recursive=False)
        case "open":
            drain(tree.open(where))
        case "stat":
            tree.stat(where)
        case "props":
            tree.properties(where)
        case "set":
            tree.set_properties(where, set={words[1]: words[2]})
        case _:
            _check(tree, verb, where, words[1:])
    return None


def _check(tree: FileTree, verb: str, where: Path, words: list[str]) -> None:
    match verb:
        case "is":
            content = " ".join(words).encode()
            entry = tree.stat(where)
            assert not entry.is_directory
            assert (entry.size, read(tree, where)) == (len(content), content)
        case "folder":
            assert tree.stat(where).is_directory
        case "list":
            assert names(tree, where) == sorted(words)
        case "none":
            with pytest.raises(errors.NoSuchFile):
                tree.stat(where)
        case _:
            raise ValueError(f"no such verb: {verb}")


def _error(name: str) -> type[errors.FileError]:
    kind: type[errors.FileError] = getattr(errors, "".join(map(str.title, name.split("-"))))
    return kind
