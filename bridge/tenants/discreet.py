"""Errors of a tree in words that tell nothing of the paths in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from bridge.files import errors
from bridge.files.api import Buffer, Entry, Guard, Reader, Writer, no_guard
from bridge.files.path import Path
from bridge.tenants.passing import PassingReader

_WORDS: Mapping[type[errors.FileError], str] = {
    errors.InvalidPath: "the path cannot be one",
    errors.NoSuchFile: "nothing is there",
    errors.NoSuchParent: "the folder that should hold it is missing",
    errors.AlreadyExists: "something is there already",
    errors.IsDirectory: "a folder is there",
    errors.NotDirectory: "it is not a folder",
    errors.IntoItself: "a file or folder cannot be moved or copied into itself, or onto its folder",
    errors.RootRefused: "the root cannot be deleted, moved or replaced",
    errors.ContentChanged: "the file has changed",
    errors.Busy: "somebody else works on this; look at it again",
    errors.PropertiesTooLarge: "the properties are too large to be kept",
    errors.FileTooLarge: "the content is too large; if its length was not sent, send it",
    errors.StorageFull: "there is no room left",
    errors.NotAllowed: "this is not allowed here",
    errors.StorageForbidden: "the store does not allow this",
    errors.StorageUnavailable: "the storage did not answer; try again",
    errors.DamagedFile: "what is stored here is damaged",
}
"""What may be said of each error to whoever may not know where in the tenant's tree it is."""


def _reworded(error: errors.FileError) -> errors.FileError:
    for kind in type(error).__mro__:
        words = _WORDS.get(kind)
        if words is not None:
            seen: errors.FileError = kind(words)
            return seen
    raise TypeError(f"no words for {type(error).__name__}") from error


@contextmanager
def discreet(root: Path) -> Iterator[None]:
    """Let no error of the tree below tell where a credential's root lies."""
    try:
        yield
    except errors.NotAllowed:
        raise  # said here
    except errors.FileError as error:
        if root.is_root:
            raise
        raise _reworded(error) from error


class DiscreetReader(PassingReader):
    """A ``Reader`` whose errors tell nothing of the tenant's paths."""

    def __init__(self, inner: Reader, root: Path) -> None:
        super().__init__(inner)
        self._root = root

    def read(self, size: int) -> Buffer:
        """See ``Reader``."""
        with discreet(self._root):
            return super().read(size)


class DiscreetWriter:
    """A ``Writer`` whose errors tell nothing of the tenant's paths.

    ``guarded`` makes the guard that is asked of the one that a commit comes with.
    """

    def __init__(self, inner: Writer, root: Path, guarded: Callable[[Guard], Guard]) -> None:
        self._inner = inner
        self._root = root
        self._guarded = guarded

    def write(self, data: Buffer) -> None:
        """See ``Writer``."""
        with discreet(self._root):
            self._inner.write(data)

    def commit(self, guard: Guard = no_guard) -> tuple[Entry, bool]:
        """See ``Writer``. Raises NotAllowed too."""
        with discreet(self._root):
            return self._inner.commit(self._guarded(guard))

    def abort(self) -> None:
        """See ``Writer``."""
        self._inner.abort()
