"""Writing a whole tree to a folder of the disk, in plain text.

What is there with the right size and time is skipped, so that an export that was cut off goes on
where it was, and one of yesterday is brought up to date. What cannot be written is reported, and
the rest goes on; only where nothing more can be read or written does it end early.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path as DiskPath

from bridge.crypto.record import Kind
from bridge.files.api import Entry
from bridge.files.errors import Busy, DamagedFile, IsDirectory, NoSuchFile
from bridge.files.findings import Finding
from bridge.files.path import Path
from bridge.files.plain_folder import CannotWrite, PlainFolder
from bridge.files.survey import Survey
from bridge.files.translate import translated
from bridge.files.vault_tree import VaultTree
from bridge.store.api import ObjectInfo

_AT_ONCE = 8
"""Files that are read at once: with a small one most time goes by waiting for the store."""

_AHEAD = 1_000
"""Most files that are known of and not yet written."""

_BLOCK = 4 << 20
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Trouble:
    """What did not come out as it is in the tree: ``path`` there, and what became of it."""

    path: str
    words: str


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export has done so far.

    ``skipped``: files, of all ``files``, that were there already; ``bytes``: of content written;
    ``troubles`` are told at the end.
    """

    files: int = 0
    skipped: int = 0
    folders: int = 0
    bytes: int = 0
    troubles: tuple[Trouble, ...] = ()


@dataclass(frozen=True, slots=True)
class _Folder:
    directory: bytes
    path: Path
    place: DiskPath


class _StoppedError(Exception):
    """Others have failed, and the export is over."""


class Export:
    """One export. ``progress`` is called by several threads, one at a time."""

    def __init__(
        self,
        tree: VaultTree,
        target: PlainFolder,
        progress: Callable[[Exported], None] = lambda _so_far: None,
    ) -> None:
        self._tree = tree
        self._vault = tree.vault
        self._target = target
        self._progress = progress
        self._lock = threading.Lock()
        self._so_far = Exported()
        self._troubles: list[Trouble] = []
        self._room = threading.BoundedSemaphore(_AHEAD)
        self._failed: BaseException | None = None
        self._survey = Survey(tree.vault, self._nameless, lambda _files: None)

    @translated
    def run(self) -> Exported:
        """Write everything. Raises FileError or TargetError when it cannot go on."""
        with ThreadPoolExecutor(_AT_ONCE, "export") as pool:
            try:
                folders = self._walk(pool)
            except BaseException as error:
                self._failed = error
                raise
        if self._failed is not None:
            raise self._failed
        for folder, mtime in folders:  # nothing is made in them any more
            with self._noted(folder.path, "its time could not be set"):
                self._target.set_time(folder.place, mtime)
        return replace(self._so_far, troubles=tuple(self._troubles))

    def _walk(self, pool: ThreadPoolExecutor) -> list[tuple[_Folder, float]]:
        """Make all folders, and have the files in them written; the folders and their times."""
        times: list[tuple[_Folder, float]] = []
        seen = {self._vault.root}
        waiting = [_Folder(self._vault.root, Path(), self._target.path)]
        while waiting:
            folder = waiting.pop()
            times.append((folder, self._vault.state.read([folder.directory])[0].mtime))
            for below in self._write_folder(folder, pool):
                if below.directory in seen:
                    self._note(below.path, "left out: the same folder is somewhere else, too")
                    continue
                with self._noted(below.path, "left out with all in it"):
                    self._target.make_folder(below.place)
                    seen.add(below.directory)
                    waiting.append(below)
                    self._count(folders=1)
        return times

    def _write_folder(self, folder: _Folder, pool: ThreadPoolExecutor) -> Iterator[_Folder]:
        """Have the files in a folder written; the folders in it."""
        names = self._target.names()
        for _info, node in self._survey.entries(folder.directory):
            path = folder.path.child(node.entry.name)
            if node.record is None:
                self._note(path, "left out: damaged, its record does not open")
                continue
            name = names.take(node.entry.name)
            if name != node.entry.name:
                self._note(path, f"written as {name!r}")
            if node.record.kind is Kind.DIRECTORY:
                yield _Folder(node.record.object_id, path, folder.place / name)
            else:
                self._room.acquire()
                if self._failed is not None:
                    raise self._failed
                written = pool.submit(self._write_file, path, node.entry, folder.place / name)
                written.add_done_callback(self._is_over)

    def _is_over(self, written: Future[None]) -> None:
        self._room.release()
        error = written.exception()
        if error is not None and self._failed is None:
            self._failed = error

    def _write_file(self, path: Path, entry: Entry, place: DiskPath) -> None:
        """Runs in a thread. Raises only what the next file would fail by as well."""
        if self._failed is not None:
            return
        if self._target.has(place, entry.size, entry.mtime):
            self._count(files=1, skipped=1)
            return
        with self._noted(path, "left out"):
            size = self._copy(path, place)
            self._count(files=1, bytes=size)

    def _copy(self, path: Path, place: DiskPath) -> int:
        """Write one file, in the version there is now; its size."""
        for left in reversed(range(_TRIES)):
            try:
                with (
                    self._tree.open(path) as reader,
                    self._target.new_file(place, reader.entry.mtime) as file,
                ):
                    while block := reader.read(_BLOCK):
                        if self._failed is not None:
                            raise _StoppedError
                        file.write(block)
                    return reader.entry.size
            except Busy:  # it was replaced while it was read
                if not left:
                    raise
        raise AssertionError("the last try returns or raises")

    @contextmanager
    def _noted(self, path: Path, words: str) -> Iterator[None]:
        """What concerns one file or folder alone is noted."""
        try:
            yield
        except (NoSuchFile, IsDirectory, _StoppedError):
            pass  # deleted or replaced meanwhile
        except (DamagedFile, Busy, CannotWrite) as error:
            self._note(path, f"{words}: {error}")

    def _nameless(self, finding: Finding, info: ObjectInfo) -> None:
        self._note(Path(), f"{finding.value}: {info.key}")

    def _note(self, path: Path, words: str) -> None:
        with self._lock:
            self._troubles.append(Trouble(str(path), words))

    def _count(self, *, files: int = 0, skipped: int = 0, folders: int = 0, bytes: int = 0) -> None:  # noqa: A002
        with self._lock:
            done = self._so_far
            self._so_far = replace(
                done,
                files=done.files + files,
                skipped=done.skipped + skipped,
                folders=done.folders + folders,
                bytes=done.bytes + bytes,
            )
            self._progress(self._so_far)
