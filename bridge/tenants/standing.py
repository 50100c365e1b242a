"""Whether a credential still stands, asked again while what it has begun goes on.

Who signs in is looked at once, and a request may last for hours. So what changes something asks
again at its last moment, in the guard: nothing is changed by a credential that was revoked or has
expired, or whose tenant was suspended or deleted; nor is a lock taken, kept or given back, but for
one that was taken a moment ago. What only reads, lists or still sends asks every few seconds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping

from bridge.files.api import (
    ROOT,
    Buffer,
    Entry,
    FileTree,
    Guard,
    Reader,
    Usage,
    Writer,
    no_guard,
)
from bridge.files.errors import NotAllowed
from bridge.files.path import Path
from bridge.files.translate import translate
from bridge.state.api import Lock, Locks, StateError
from bridge.tenants.api import Credential, Status
from bridge.tenants.credential_rows import CredentialRows
from bridge.tenants.passing import PassingReader

REMEMBERED = 4.0
"""Seconds for which what was found is not asked again by what only reads: as doors do, so that a
revocation holds within 5 s."""


class Standing:
    """How one credential stands, which has signed in. Thread-safe.

    All requests of one sign-in may share it. Once it was seen not to stand, it never stands again:
    whoever is let in anew gets another.

    ``looked``: when it was last known to stand, taken before that was asked; by ``monotonic``, in
    seconds, as the time between looks. ``clock`` gives Unix seconds.
    """

    def __init__(
        self,
        rows: CredentialRows,
        credential: Credential,
        *,
        looked: float = -math.inf,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rows = rows
        self._credential = credential
        self._clock = clock
        self._monotonic = monotonic
        self._looked = looked
        self._refusal: str | None = None

    def require(self) -> None:
        """Raise NotAllowed unless it stands now; FileError where that cannot be known."""
        now = self._monotonic()
        try:
            self._look()
        except StateError as error:
            raise translate(error) from error
        self._looked = max(self._looked, now)

    def require_now_and_then(self) -> None:
        """As ``require``, unless that was asked a moment ago.

        While the database does not answer, what was begun goes on: that is no revocation, and
        whatever changes something fails by itself.
        """
        self._require_unrefused()
        now = self._monotonic()
        if now < self._looked + REMEMBERED:
            return
        self._looked = now  # While one asks, the others go on by the last answer.
        try:
            self._look()
        except StateError:
            return

    def _require_unrefused(self) -> None:
        if self._refusal is not None:
            raise NotAllowed(self._refusal)

    def _look(self) -> None:
        self._require_unrefused()
        try:
            self._ask()
        except NotAllowed as error:
            self._refusal = str(error)
            raise

    def _ask(self) -> None:
        its = self._credential
        found = self._rows.standing(its.tenant.id, its.label)
        if found is None or (found.made, found.created) != (its.tenant.created, its.created):
            raise NotAllowed(f"credential {its.name} was revoked")
        if found.status is not Status.ACTIVE:
            raise NotAllowed(f"tenant {its.tenant.id} is {found.status.value}")
        if found.expires is not None and found.expires <= self._clock():
            raise NotAllowed(f"credential {its.name} has expired")


class StandingTree:
    """A ``FileTree`` for as long as its credential stands. Raises NotAllowed.

    It lies directly over the vault's: so its guard is the last that is asked.
    """

    def __init__(self, tree: FileTree, standing: Standing) -> None:
        self._tree = tree
        self._standing = standing

    def stat(self, path: Path) -> Entry:
        """See ``FileTree.stat``."""
        self._standing.require_now_and_then()
        return self._tree.stat(path)

    def list(self, path: Path) -> Iterator[Entry]:
        """See ``FileTree.list``."""
        self._standing.require_now_and_then()
        return self._listed(self._tree.list(path))

    def open(
        self, path: Path, offset: int = 0, length: int | None = None, *, etag: str | None = None
    ) -> Reader:
        """See ``FileTree.open``."""
        self._standing.require_now_and_then()
        return _StandingReader(self._tree.open(path, offset, length, etag=etag), self._standing)

    def create(
        self,
        path: Path,
        *,
        size: int | None = None,
        content_type: str = "",
        mtime: float | None = None,
    ) -> Writer:
        """See ``FileTree.create``."""
        self._standing.require_now_and_then()
        writer = self._tree.create(path, size=size, content_type=content_type, mtime=mtime)
        return _StandingWriter(writer, self._standing)

    def mkdir(self, path: Path, guard: Guard = no_guard) -> Entry:
        """See ``FileTree.mkdir``."""
        return self._tree.mkdir(path, _last(guard, self._standing))

    def delete(self, path: Path, guard: Guard = no_guard) -> None:
        """See ``FileTree.delete``."""
        self._tree.delete(path, _last(guard, self._standing))

    def move(self, src: Path, dst: Path, *, overwrite: bool, guard: Guard = no_guard) -> bool:
        """See ``FileTree.move``."""
        return self._tree.move(src, dst, overwrite=overwrite, guard=_last(guard, self._standing))

    def copy(
        self,
        src: Path,
        dst: Path,
        *,
        overwrite: bool,
        recursive: bool = True,
        guard: Guard = no_guard,
    ) -> bool:
        """See ``FileTree.copy``."""
        guard = _last(guard, self._standing)
        return self._tree.copy(src, dst, overwrite=overwrite, recursive=recursive, guard=guard)

    def set_properties(
        self,
        path: Path,
        *,
        set: Mapping[str, str] = {},  # noqa: A002 - RFC 4918's own word
        remove: frozenset[str] = frozenset(),
        mtime: float | None = None,
        guard: Guard = no_guard,
    ) -> Entry:
        """See ``FileTree.set_properties``."""
        guard = _last(guard, self._standing)
        return self._tree.set_properties(path, set=set, remove=remove, mtime=mtime, guard=guard)

    def properties(self, path: Path) -> Mapping[str, str]:
        """See ``FileTree.properties``."""
        self._standing.require_now_and_then()
        return self._tree.properties(path)

    def usage(self, path: Path = ROOT) -> Usage:
        """See ``FileTree.usage``."""
        self._standing.require_now_and_then()
        return self._tree.usage(path)

    def _listed(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        for entry in entries:
            self._standing.require_now_and_then()
            yield entry
        # What a deletion has left of a folder is not all of it.
        self._standing.require_now_and_then()


def _last(guard: Guard, standing: Standing) -> Guard:
    """``guard``, and then whether the credential stands."""

    def both(entry: Entry | None) -> None:
        guard(entry)
        standing.require()

    return both


class _StandingReader(PassingReader):
    """A ``Reader`` that ends soon after its credential does."""

    def __init__(self, inner: Reader, standing: Standing) -> None:
        super().__init__(inner)
        self._standing = standing

    def read(self, size: int) -> Buffer:
        """See ``Reader``. Raises NotAllowed too."""
        self._standing.require_now_and_then()
        return super().read(size)


class _StandingWriter:
    """A ``Writer`` that asks now and then whether its credential stands, and at its commit."""

    def __init__(self, inner: Writer, standing: Standing) -> None:
        self._inner = inner
        self._standing = standing

    def write(self, data: Buffer) -> None:
        """See ``Writer``. Raises NotAllowed too."""
        self._standing.require_now_and_then()
        self._inner.write(data)

    def commit(self, guard: Guard = no_guard) -> tuple[Entry, bool]:
        """See ``Writer``. Raises NotAllowed too."""
        return self._inner.commit(_last(guard, self._standing))

    def abort(self) -> None:
        """See ``Writer``."""
        self._inner.abort()


class StandingLocks:
    """A tenant's ``Locks``, changed for as long as their credential stands. Raises NotAllowed.

    To read them asks nothing: that goes with the tree. Nor does ``remove_below``, which ends a
    change that was made, nor to take back what was added here: nobody else may know its token.
    """

    def __init__(self, locks: Locks, standing: Standing) -> None:
        self._locks = locks
        self._standing = standing
        self._added: set[str] = set()

    def add(self, lock: Lock) -> None:
        """See ``Locks.add``.

        Asks again when it is there. A revocation removes its credential's locks, so the one that
        comes between is seen here, and the one that comes later finds this lock.
        """
        self._standing.require()
        self._locks.add(lock)
        try:
            self._standing.require()
        except BaseException:
            self._locks.remove(lock.token)
            raise
        self._added.add(lock.token)

    def get(self, token: str) -> Lock | None:
        """See ``Locks.get``."""
        return self._locks.get(token)

    def refresh(self, token: str, timeout: int) -> Lock | None:
        """See ``Locks.refresh``."""
        self._standing.require()
        return self._locks.refresh(token, timeout)

    def remove(self, token: str) -> bool:
        """See ``Locks.remove``."""
        if token not in self._added:
            self._standing.require()
        removed = self._locks.remove(token)
        self._added.discard(token)
        return removed

    def covering(self, path: str, *, children: bool = False) -> list[Lock]:
        """See ``Locks.covering``."""
        return self._locks.covering(path, children=children)

    def any(self) -> bool:
        """See ``Locks.any``."""
        return self._locks.any()

    def remove_below(self, path: str) -> None:
        """See ``Locks.remove_below``."""
        self._locks.remove_below(path)

    def purge(self) -> int:
        """See ``Locks.purge``: of the whole tenant."""
        return self._locks.purge()
