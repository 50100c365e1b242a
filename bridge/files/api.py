"""The interface every door speaks to: a tree of files and folders.

``VaultTree`` implements it over an object store with everything encrypted. All of its
methods are synchronous, thread-safe, may block, and raise ``bridge.files.errors`` only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from bridge.files.path import Path

Buffer = bytes | bytearray | memoryview

ROOT = Path()


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or a folder.

    ``name`` as first written (``""`` for the root). ``size`` in bytes, 0 for a folder. ``mtime``
    and ``created`` in Unix seconds: a folder's mtime moves forward with each change
    of a child. ``etag``: unquoted, at most 40 characters of [0-9a-f-], new with each content;
    ``""`` for a folder. ``content_type``: what the client declared, or ``""``. ``properties``: dead
    properties by Clark name (``{namespace}local``), each value one XML element as text; None when
    they have spilled over: ask ``FileTree.properties``. ``damaged``: something is stored here that
    does not open; it can be deleted and nothing else.
    """

    name: str
    is_directory: bool
    size: int = 0
    mtime: float = 0.0
    created: float = 0.0
    etag: str = ""
    content_type: str = ""
    properties: Mapping[str, str] | None = field(default_factory=dict)
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of content, number of files, and bytes that content takes in the store, sealed."""

    bytes: int
    files: int
    stored: int


Guard = Callable[[Entry | None], None]
"""Asked with the entry as it is (None: nothing there) while nobody else can change it, just before
a change; raises, anything it likes, to stop the change. Locks and preconditions live in guards."""


def no_guard(_entry: Entry | None) -> None:
    """A guard that lets everything pass."""


class Reader(Protocol):
    """Content being read, always of one version. A context manager."""

    @property
    def entry(self) -> Entry:
        """The file whose content this is."""
        ...

    def read(self, size: int) -> Buffer:
        """The next bytes, at most about ``size``; empty only at the end of the range.

        Verified before it is returned. The buffer is the caller's to keep. Raises DamagedFile, and
        Busy where the store gives up a version that was replaced or removed meanwhile.
        """
        ...

    def close(self) -> None:
        """Release what it holds; may be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Writer(Protocol):
    """A file being written; the old content stays until ``commit``."""

    def write(self, data: Buffer) -> None:
        """Append all of ``data``; the buffer may be reused afterwards."""
        ...

    def commit(self, guard: Guard = no_guard) -> tuple[Entry, bool]:
        """Publish it durably; returns the new entry, and whether the path was free before.

        Raises IsDirectory, NoSuchParent (its folder was deleted meanwhile), and as ``guard`` does;
        then nothing has changed.
        """
        ...

    def abort(self) -> None:
        """Throw it away; may be called at any time, also twice."""
        ...


class FileTree(Protocol):
    """One tenant's files. Names are found in any Unicode normalization, shown as first written."""

    def stat(self, path: Path) -> Entry:
        """Raises NoSuchFile (also where an ancestor is missing or a file)."""
        ...

    def list(self, path: Path) -> Iterator[Entry]:
        """The children of a folder, in no particular order. Raises NoSuchFile, NotDirectory.

        Raised at the call, not at the first child.
        """
        ...

    def open(
        self, path: Path, offset: int = 0, length: int | None = None, *, etag: str | None = None
    ) -> Reader:
        """Read ``length`` bytes from ``offset`` (cut at the end; None: all the rest).

        ``etag``: raise ContentChanged unless this is the version. Raises NoSuchFile, IsDirectory,
        DamagedFile, Busy.
        """
        ...

    def create(
        self,
        path: Path,
        *,
        size: int | None = None,
        content_type: str = "",
        mtime: float | None = None,
    ) -> Writer:
        """Begin to write a file; ``size`` is what the client promised, None when unknown.

        Raises NoSuchParent, IsDirectory, RootRefused, FileTooLarge. Dead properties of a file that
        is overwritten are kept (RFC 4918, section 9.7.1).
        """
        ...

    def mkdir(self, path: Path, guard: Guard = no_guard) -> Entry:
        """Make a folder. Raises AlreadyExists, NoSuchParent."""
        ...

    def delete(self, path: Path, guard: Guard = no_guard) -> None:
        """Remove a file, or a folder with all in it, at once. Raises NoSuchFile, RootRefused."""
        ...

    def move(self, src: Path, dst: Path, *, overwrite: bool, guard: Guard = no_guard) -> bool:
        """Rename a file or folder of any size at once; returns whether ``dst`` was free before.

        ``guard`` is asked about ``dst``. What was there is replaced as a whole. Onto another form
        of its own name it changes what is shown. Raises NoSuchFile, NoSuchParent, AlreadyExists
        (not ``overwrite``), IntoItself, RootRefused.
        """
        ...

    def copy(
        self,
        src: Path,
        dst: Path,
        *,
        overwrite: bool,
        recursive: bool = True,
        guard: Guard = no_guard,
    ) -> bool:
        """Copy a file, or a folder with all in it (alone when not ``recursive``).

        A folder's copy appears at once when it is complete. Otherwise as ``move``.
        """
        ...

    def set_properties(
        self,
        path: Path,
        *,
        set: Mapping[str, str] = {},  # noqa: A002 - RFC 4918's own word
        remove: frozenset[str] = frozenset(),
        mtime: float | None = None,
        guard: Guard = no_guard,
    ) -> Entry:
        """Change dead properties and modification time in one step; content and etag stay.

        Raises NoSuchFile, PropertiesTooLarge.
        """
        ...

    def properties(self, path: Path) -> Mapping[str, str]:
        """All dead properties. Raises NoSuchFile."""
        ...

    def usage(self, path: Path = ROOT) -> Usage:
        """Count a file, or a folder with all in it, by walking it: slow. Raises NoSuchFile."""
        ...
