"""What one signed-in client works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bridge.files.api import FileTree
from bridge.state.api import Locks
from bridge.tenants.api import ALL_RIGHTS, Right


@dataclass(frozen=True, slots=True)
class Quota:
    """Bytes in use, and bytes that may still come; None: not known, or not limited."""

    used: int | None
    available: int | None


def no_quota() -> Quota:
    """The quota of a share that has none."""
    return Quota(None, None)


def forever() -> None:
    """How a share stands that nothing ends."""


@dataclass(frozen=True, slots=True)
class Share:
    """A client's tree, the locks on it, its name as an owner of locks, and what room it has.

    ``tenant``: in whose name it uses threads and memory. ``quota`` is asked in a worker thread, and
    must answer from what is known. ``rights`` are only told: the tree and the locks hold the client
    to them. ``still``, asked in a worker every other second while a body comes, raises FileError
    once the client is shut out.
    """

    tree: FileTree
    locks: Locks
    principal: str
    tenant: str
    quota: Callable[[], Quota] = no_quota
    rights: Right = ALL_RIGHTS
    still: Callable[[], None] = forever
