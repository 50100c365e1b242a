"""What a power cut could leave of a traced run: the model, and the states it allows.

The model of the file system (what POSIX promises, and of rename what journaling file systems
do; ext4, XFS, btrfs keep more):

- A write to a file is certain once that file is synced after it. Until then a cut may leave
  all of it, none, one end of it, or its length filled with zeros or garbage, independently of
  every other write.
- An entry of a directory (created, linked, renamed, removed) is certain once that directory is
  synced after it, and until then may be there or not, independently of every other. Syncing a
  file says nothing about its entry, and syncing a directory nothing about its own.
- A rename between two directories happens as a whole or not at all, one transaction of the
  journal, and is certain once either directory is synced (``Rename``). With ``split`` the model
  is weaker: its two halves are entries like others, each certain with its own directory, as on
  file systems without a journal. There only what was acknowledged must hold; a move under way
  may be at both places or none.

``TracingDisk`` records what a store does; ``cuts`` gives the states that may be left at each
point; ``Node.build`` makes one real.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bridge.store.api import Buffer
from bridge.store.local.disk import Disk

ROOT = 0

_LATEST = 10
"""Of the uncertain events, how many of the latest are kept alone, and lost alone."""


@dataclass(frozen=True)
class Event:
    """One call that changed something; ``site`` is where in the store it was made."""

    kind: str
    site: str = ""


@dataclass(frozen=True)
class Make(Event):
    """A new file or directory ``node`` with no entry yet."""

    node: int = 0
    is_directory: bool = False


@dataclass(frozen=True)
class Write(Event):
    node: int = 0
    offset: int = 0
    data: bytes = b""


@dataclass(frozen=True)
class Sync(Event):
    node: int = 0


@dataclass(frozen=True)
class Enter(Event):
    """The entry ``name`` of a directory becomes ``node``, or nothing (None)."""

    directory: int = 0
    name: str = ""
    node: int | None = None


@dataclass(frozen=True)
class Rename(Event):
    """``remove`` and ``add`` as one, certain with either directory."""

    remove: Enter = field(default_factory=lambda: Enter(""))
    add: Enter = field(default_factory=lambda: Enter(""))


@dataclass(frozen=True)
class Mark(Event):
    """Between two operations: the number of operations acknowledged so far."""

    acknowledged: int = 0


class TracingDisk(Disk):
    """A Disk that also records. ``root`` is the directory that stands for the whole disk."""

    def __init__(self, root: Path) -> None:
        self.events: list[Event] = []
        # Inode numbers are used again; ids are not.
        self._ids: dict[int, int] = {root.stat().st_ino: ROOT}
        self._next = ROOT + 1

    def mark(self, acknowledged: int) -> None:
        """Record that so many operations have been answered."""
        self.events.append(Mark("mark", acknowledged=acknowledged))

    def open(self, path: str, flags: int, dir_fd: int) -> int:
        new = bool(flags & os.O_CREAT) and not _is_there(path, dir_fd)
        fd = super().open(path, flags, dir_fd)
        if new:
            node = self._new(fd)
            self.events.append(Make("create", _site(), node=node))
            self._enter("entry", path, dir_fd, node)
        return fd

    def write(self, fd: int, data: Buffer, offset: int) -> None:
        super().write(fd, data, offset)
        self.events.append(
            Write("write", _site(), node=self._id(fd), offset=offset, data=bytes(data))
        )

    def truncate(self, fd: int) -> None:
        raise AssertionError("the model knows of no file that becomes shorter")

    def copy(self, src: int, dst: int, count: int, src_offset: int, dst_offset: int) -> int:
        done = os.copy_file_range(src, dst, count, src_offset, dst_offset)
        data = os.pread(src, done, src_offset)
        self.events.append(Write("copy", _site(), node=self._id(dst), offset=dst_offset, data=data))
        return done

    def sync(self, fd: int) -> None:
        super().sync(fd)
        self.events.append(Sync("sync", _site(), node=self._id(fd)))

    def sync_data(self, fd: int) -> None:
        super().sync_data(fd)
        self.events.append(Sync("sync_data", _site(), node=self._id(fd)))

    def rename(self, src: str, dst: str, src_fd: int, dst_fd: int) -> None:
        node = self._id_of(src, src_fd)
        super().rename(src, dst, src_fd, dst_fd)
        self.events.append(
            Rename(
                "rename",
                _site(),
                remove=Enter("half", directory=self._id(src_fd), name=src),
                add=Enter("half", directory=self._id(dst_fd), name=dst, node=node),
            )
        )

    def link(self, src: str, dst: str, src_fd: int, dst_fd: int) -> None:
        super().link(src, dst, src_fd, dst_fd)
        self._enter("link", dst, dst_fd, self._id_of(src, src_fd))

    def unlink(self, path: str, dir_fd: int) -> None:
        super().unlink(path, dir_fd)
        self._enter("unlink", path, dir_fd, None)

    def mkdir(self, path: str, dir_fd: int | None) -> None:
        assert dir_fd is not None
        super().mkdir(path, dir_fd)
        fd = os.open(path, os.O_RDONLY, dir_fd=dir_fd)
        try:
            node = self._new(fd)
        finally:
            os.close(fd)
        self.events.append(Make("mkdir", _site(), node=node, is_directory=True))
        self._enter("entry", path, dir_fd, node)

    def rmdir(self, path: str, dir_fd: int) -> None:
        super().rmdir(path, dir_fd)
        self._enter("rmdir", path, dir_fd, None)

    def _enter(self, kind: str, path: str, dir_fd: int, node: int | None) -> None:
        above, _, name = path.rpartition("/")
        directory = self._id_of(above, dir_fd) if above else self._id(dir_fd)
        self.events.append(Enter(kind, _site(), directory=directory, name=name, node=node))

    def _new(self, fd: int) -> int:
        self._ids[os.fstat(fd).st_ino] = self._next
        self._next += 1
        return self._next - 1

    def _id(self, fd: int) -> int:
        return self._ids[os.fstat(fd).st_ino]

    def _id_of(self, path: str, dir_fd: int) -> int:
        return self._ids[os.stat(path, dir_fd=dir_fd, follow_symlinks=False).st_ino]


class CarelessDisk(Disk):
    """A Disk that syncs nothing: for the many short-lived stores on replayed states."""

    def sync(self, fd: int) -> None:
        """Do nothing."""

    def sync_data(self, fd: int) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Node:
    """A file's content or a directory's entries, all the way down; equal when all is equal."""

    content: bytes | None = None
    entries: tuple[tuple[str, Node], ...] = ()

    def build(self, path: Path) -> None:
        """Make it real at ``path``."""
        if self.content is not None:
            path.write_bytes(self.content)
            return
        path.mkdir()
        for name, node in self.entries:
            node.build(path / name)


@dataclass(frozen=True)
class Cut:
    """A state that may be left: after ``acknowledged`` operations, during the next one."""

    acknowledged: int
    root: Node


def cuts(
    events: Sequence[Event],
    chance: random.Random,
    samples: int,
    *,
    split: bool = False,
    start: int = 0,
) -> Iterator[Cut]:
    """The states that a cut at each point of the trace from ``start`` on may leave, each once.

    Where what is uncertain allows more than ``samples`` states, these are chosen: nothing of it
    kept, all kept, all but one of the latest, only one of the latest, and ``samples`` at random.
    """
    if split:
        start += sum(isinstance(event, Rename) for event in events[:start])
        events = [half for event in events for half in _halves(event)]
    seen: set[tuple[int, Node]] = set()
    acknowledged = 0
    for end in range(len(events) + 1):
        if end and isinstance(events[end - 1], Mark):
            acknowledged = events[end - 1].acknowledged  # type: ignore[attr-defined]
        if end < start:
            continue
        past = events[:end]
        uncertain = _uncertain(past)
        for kept in _choices(len(uncertain), chance, samples):
            fates = dict(zip(uncertain, kept, strict=True))
            root = _state(past, fates, chance)
            if (acknowledged, root) not in seen:
                seen.add((acknowledged, root))
                yield Cut(acknowledged, root)


def without(events: Sequence[Event], site: str) -> tuple[list[Event], int]:
    """The trace as if the syncs made at ``site`` had been left out, and where the first was."""
    missing = [isinstance(event, Sync) and event.site == site for event in events]
    left = [event for event, gone in zip(events, missing, strict=True) if not gone]
    return left, missing.index(True)


def sites(events: Sequence[Event]) -> list[str]:
    """Where the program syncs."""
    return sorted({event.site for event in events if isinstance(event, Sync)})


def _halves(event: Event) -> Sequence[Event]:
    return (event.add, event.remove) if isinstance(event, Rename) else (event,)


def _uncertain(past: Sequence[Event]) -> list[int]:
    """The events that a cut may undo."""
    synced: set[int] = set()
    found = []
    for index in range(len(past) - 1, -1, -1):
        event = past[index]
        if isinstance(event, Sync):
            synced.add(event.node)
        elif isinstance(event, Write):
            if event.node not in synced:
                found.append(index)
        elif isinstance(event, Enter):
            if event.directory not in synced:
                found.append(index)
        elif isinstance(event, Rename) and synced.isdisjoint(
            {event.add.directory, event.remove.directory}
        ):
            found.append(index)
    return found


def _choices(count: int, chance: random.Random, samples: int) -> Iterator[Sequence[bool]]:
    if 2**count <= samples:
        for number in range(2**count):
            yield [bool(number >> bit & 1) for bit in range(count)]
        return
    yield [False] * count
    yield [True] * count
    # The latest come first; what has been uncertain for long is mostly names of temporary files.
    for only in range(min(count, _LATEST)):
        yield [index == only for index in range(count)]
        yield [index != only for index in range(count)]
    for _ in range(samples):
        yield [chance.random() < 0.5 for _ in range(count)]


def _state(past: Sequence[Event], kept: dict[int, bool], chance: random.Random) -> Node:
    files: dict[int, bytearray] = {}
    directories: dict[int, dict[str, int]] = {ROOT: {}}
    for index, event in enumerate(past):
        if isinstance(event, Make):
            if event.is_directory:
                directories[event.node] = {}
            else:
                files[event.node] = bytearray()
        elif isinstance(event, Write):
            fate = kept.get(index)
            if fate is None:
                _write(files[event.node], event.offset, event.data)
            else:
                _write_partly(files[event.node], event, chance, kept=fate)
        elif kept.get(index, True):
            for half in _halves(event):
                if isinstance(half, Enter):
                    entries = directories[half.directory]
                    if half.node is None:
                        entries.pop(half.name, None)
                    else:
                        entries[half.name] = half.node

    def node(number: int) -> Node:
        if number in files:
            return Node(content=bytes(files[number]))
        entries = directories[number]
        return Node(entries=tuple((name, node(entries[name])) for name in sorted(entries)))

    return node(ROOT)


def _write(file: bytearray, offset: int, data: bytes) -> None:
    if len(file) < offset:
        file.extend(bytes(offset - len(file)))
    file[offset : offset + len(data)] = data


def _write_partly(file: bytearray, event: Write, chance: random.Random, *, kept: bool) -> None:
    """An uncertain write: whole, or one of the ways in which it may have been lost."""
    if kept and chance.random() < 0.6:
        _write(file, event.offset, event.data)
    elif kept:
        # Sectors of 512 bytes reach the disk in any order.
        data = bytearray(file[event.offset : event.offset + len(event.data)])
        data.extend(bytes(len(event.data) - len(data)))
        for start in range(0, len(data), 512):
            if chance.random() < 0.5:
                data[start : start + 512] = event.data[start : start + 512]
        _write(file, event.offset, bytes(data))
    elif len(file) < event.offset + len(event.data) and chance.random() < 0.5:
        # The length is there, and what was on the disk before, or zeros.
        length = event.offset + len(event.data) - len(file)
        file.extend(chance.randbytes(length) if chance.random() < 0.5 else bytes(length))


def _is_there(path: str, dir_fd: int) -> bool:
    try:
        os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _site() -> str:
    """The place in the store that makes the call."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename == __file__ or frame.f_code.co_filename.endswith("/disk.py"):
        assert frame.f_back is not None
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_name}:{frame.f_lineno}"
