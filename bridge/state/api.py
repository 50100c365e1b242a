"""The interfaces of the state that workers share, and the errors they raise.

Nothing here is the truth about files: the bucket is. The state can be lost and made anew
at the cost of locks, leases, tokens, usage and one rescan by clients; what it knows of tenants lies
sealed in the bucket too. Names appear only as the files layer's sealed bytes, directories only by
their ids; times are Unix seconds on the database's clock.

All methods are synchronous, thread-safe, and short; they raise ``StateUnavailable`` when the
database does not answer within the time set for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from sqlalchemy.sql.base import Executable

T = TypeVar("T")


class StateError(Exception):
    """The shared state refused or failed."""


class StateUnavailable(StateError):
    """The database cannot be reached or did not answer in time."""


class StateFull(StateUnavailable):
    """The database needs more room than its disk has. What is small is done on a full disk too."""


class StateNewer(StateError):
    """A newer version has taken the database over: this process must not go on with it.

    The message may be told to anybody.
    """


class LeaseBusy(StateError):
    """Somebody else holds one of the leases, and the time to wait is over."""


class LeaseLost(StateError):
    """A lease could not be renewed in time: what it guarded must not be finished."""


class LeaseName(NamedTuple):
    """What a lease guards: one sealed entry name in one directory.

    ``name`` may be a reserved word that is no sealed name (the structure lease).
    """

    directory: bytes
    name: bytes


class DirectoryState(NamedTuple):
    """What workers agree on about one directory.

    ``generation`` rises with every change of any entry in it, ``links`` only when an entry that
    is or was a directory is made, moved or removed. ``changing`` (``links_changing``) says that
    a lease which may change any entry (a directory entry) is held right now, so that no cache of
    it may be served. ``mtime``: whole Unix seconds, strictly rising with ``generation``.
    """

    generation: int
    links: int
    mtime: int
    changing: bool
    links_changing: bool


class Touch(NamedTuple):
    """One directory's part in a change: which directory, and whether directory entries change."""

    directory: bytes
    links: bool


class Lease(Protocol):
    """Held leases and the change made under them. A context manager that releases at its end.

    Renewed in the background from acquisition to release.
    """

    @property
    def before(self) -> Mapping[bytes, DirectoryState]:
        """The touched directories as they were when the leases were taken.

        Not counting this lease's own marks; without those that were never seen before.
        """
        ...

    @property
    def remaining(self) -> float:
        """Seconds for which it surely still holds; store calls under it must end sooner."""
        ...

    def check(self) -> None:
        """Raise LeaseLost unless it still holds."""
        ...

    def touch(self, touches: Collection[Touch]) -> None:
        """Announce more directories that this change will touch, before it changes them."""
        ...

    def finish(self) -> Mapping[bytes, DirectoryState]:
        """Raise the touched directories' generations and release, in one transaction.

        Returns their new states, by directory (``changing``: others still hold leases there); once
        finished, the same again. Raises LeaseLost when it had run out: the
        generations are raised all the same.
        """
        ...

    def release(self) -> None:
        """Release; raises the generations too unless ``unchanged`` was said.

        May be called twice. Does not raise: where the database does not answer, the lease is
        released later, or runs out.
        """
        ...

    def unchanged(self) -> None:
        """Say that nothing was changed in the store: release will raise no generation."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class TreeState(Protocol):
    """Leases, generations and directory times of one vault."""

    def acquire(
        self, names: Collection[LeaseName], touches: Collection[Touch], *, wait: float
    ) -> Lease:
        """Take all ``names`` or none, and mark the directories of ``touches`` as changing.

        Waits up to ``wait`` seconds for other holders, then raises LeaseBusy. A lease whose
        holder died runs out by itself; whoever then notices raises its directories'
        generations, since nobody knows whether the change was made.
        """
        ...

    def read(self, directories: Sequence[bytes]) -> list[DirectoryState]:
        """The states of these directories, in order, by one query.

        A directory never seen is created with the time of now.
        """
        ...

    def forget(self, directories: Iterable[bytes]) -> None:
        """Drop the rows of directories that exist no more."""
        ...

    def stale_leases(self) -> list[LeaseName]:
        """Leases that have run out and were not released, for fsck."""
        ...

    def clear_stale_leases(self) -> int:
        """Remove them, raising their directories' generations; returns how many."""
        ...


@dataclass(frozen=True, slots=True)
class Lock:
    """A WebDAV write lock (RFC 4918, section 6), by the path of its root within one tenant.

    ``root``: percent-decoded path with a leading and no trailing ``/`` (``/`` itself for the
    root). ``owner``: the client's own XML, opaque. ``principal``: who made it. ``left``: for how
    many seconds more it was held when it was read, by the database's clock, since a machine's own
    may be wrong. ``Locks.add`` lets it live for ``timeout`` seconds, whatever ``left`` says.
    """

    token: str
    root: str
    deep: bool
    exclusive: bool
    owner: str
    principal: str
    timeout: int
    left: float


class LockConflict(StateError):
    """A lock that cannot be had beside those that are held. ``held`` names one of them."""

    def __init__(self, held: Lock) -> None:
        super().__init__(f"locked: {held.root}")
        self.held = held


class Locks(Protocol):
    """The locks of one tenant. Expired ones are never returned."""

    def add(self, lock: Lock) -> None:
        """Keep a new lock, checking in the same transaction that no lock conflicts.

        Conflicts: a lock on the root or, where either is deep, on an ancestor or descendant,
        when either of the two is exclusive. Raises LockConflict.
        """
        ...

    def get(self, token: str) -> Lock | None:
        """The lock with this token."""
        ...

    def refresh(self, token: str, timeout: int) -> Lock | None:
        """Let it live ``timeout`` seconds from now."""
        ...

    def remove(self, token: str) -> bool:
        """Remove it; whether it was held until now."""
        ...

    def covering(self, path: str, *, children: bool = False) -> list[Lock]:
        """Locks on ``path``, deep locks on its ancestors; ``children``: and all locks below it."""
        ...

    def any(self) -> bool:
        """Whether there is any lock at all: the cheap question before each write."""
        ...

    def remove_below(self, path: str) -> None:
        """Remove the locks rooted at ``path`` and below it, as DELETE and MOVE do."""
        ...

    def purge(self) -> int:
        """Remove expired locks; returns how many."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement gave: its rows, and how many rows it changed."""

    rows: Sequence[tuple[Any, ...]]
    changed: int


class Transaction(Protocol):
    """A transaction that writes. Nobody else's runs at the same time."""

    @property
    def now(self) -> float:
        """The transaction's time, by the database's clock."""
        ...

    def execute(self, statement: Executable, **parameters: object) -> Answer:
        """Run a statement of SQLAlchemy Core; ``parameters`` by the names of its ``bindparam``."""
        ...


class Rows(Protocol):
    """Tables that are read and written by whoever owns them, in SQLAlchemy Core."""

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` in a transaction, which is committed when this returns what it returned.

        It is perhaps shared with changes of others: ``work`` may raise before its first statement
        that changes something, and not after it.
        """
        ...

    def ask(self, statement: Executable, **parameters: object) -> Sequence[tuple[Any, ...]]:
        """The rows of one statement that only reads."""
        ...


class State(Protocol):
    """One state database."""

    @property
    def rows(self) -> Rows:
        """Its other tables."""
        ...

    @property
    def epoch(self) -> bytes:
        """16 random bytes, new whenever the database is made anew."""
        ...

    def tree(self, vault: str) -> TreeState:
        """Leases, generations and times of one vault."""
        ...

    def locks(self, tenant: str) -> Locks:
        """The WebDAV locks of one tenant."""
        ...

    def probe(self) -> None:
        """Ask the database, for real, whether it can read and write.

        Raises StateUnavailable, and StateNewer where it was brought up to date under this process.
        """
        ...

    def close(self) -> None:
        """Release what is held and close; may be called twice."""
        ...
