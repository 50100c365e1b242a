"""A reader that passes on what another reads: what wrappers of readers have in common."""

from __future__ import annotations

from bridge.files.api import Buffer, Entry, Reader
from bridge.store.closing import Closing


class PassingReader(Closing):
    """A ``Reader`` over ``inner``; those made of it add something to ``read``."""

    def __init__(self, inner: Reader) -> None:
        self._inner = inner

    @property
    def entry(self) -> Entry:
        """The file whose content this is."""
        return self._inner.entry

    def read(self, size: int) -> Buffer:
        """See ``Reader``."""
        return self._inner.read(size)

    def close(self) -> None:
        """See ``Reader``."""
        self._inner.close()
