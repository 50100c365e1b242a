"""The frame of every change: leases and checks before, generations and caches after.

A change runs inside ``Changes.hold``. Before its first store call that may have an effect it
calls ``begin``: from there on its directories' generations rise whatever happens, and its store
calls end before the leases do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from bridge.files.cache import Delta, DirectoryCache
from bridge.files.errors import Busy
from bridge.files.node import Node
from bridge.files.walk import Fate, Place, Walker
from bridge.state.api import Lease, LeaseName, Touch, TreeState
from bridge.store.deadline import deadline

LEASE_WAIT = 20.0
"""Seconds to wait for somebody else's change of the same name."""

CALL_LIMIT = 40.0
"""Seconds the store calls of one change may take in all; always less than the lease lasts."""

_LEASE_MARGIN = 5.0
_LOOKS = 20

STRUCTURE = LeaseName(b"", b"structure")
"""Held by whoever moves a directory: two moves at once could make a loop cut off from the root."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


class StaleError(Exception):
    """What was found while no lease was held is so no more: look again."""


def looking_again(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """Start ``method`` over when it raises StaleError."""

    @wraps(method)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for _ in range(_LOOKS):
            try:
                return method(*args, **kwargs)
            except StaleError:
                continue
        raise Busy("this, or a folder on the way to it, keeps changing; try again")

    return call


class Change:
    """One change under way."""

    def __init__(
        self, lease: Lease, directories: Sequence[bytes], stack: ExitStack, walker: Walker
    ) -> None:
        self._lease = lease
        self._stack = stack
        self._walker = walker
        self.begun = False
        self.deltas: dict[bytes, list[Delta]] = {directory: [] for directory in directories}

    def begin(self) -> None:
        """Say that the next store call may change something."""
        if not self.begun:
            self._lease.check()
            self.begun = True
            limit = min(CALL_LIMIT, self._lease.remaining - _LEASE_MARGIN)
            self._stack.enter_context(deadline(max(limit, 0.0)))

    def look(self, place: Place) -> Node | None:
        """What is at ``place``, whose lease is held: nobody else can change it now."""
        before = self._lease.before.get(place.parent)
        if before is None:
            return self._walker.read(place)
        return self._walker.look(place, before, leased=True)

    def became(self, place: Place, node: Node | None) -> None:
        """Note what is now at ``place``, for the caches."""
        self.deltas[place.parent].append((place.norm, node))


class Changes:
    """Makes changes of one vault."""

    def __init__(self, state: TreeState, cache: DirectoryCache, walker: Walker) -> None:
        self._state = state
        self._cache = cache
        self._walker = walker

    @contextmanager
    def hold(
        self,
        *places: Place,
        read_only: Sequence[Place] = (),
        links: bool = False,
        structure: bool = False,
    ) -> Iterator[Change]:
        """Hold the leases on ``places``, to change them, and on ``read_only``.

        ``links``: an entry that is or was a directory may change. Raises what the body raises,
        StaleError when a directory on the way to ``places`` was moved or removed since it was
        found, LeaseBusy, StateUnavailable.
        """
        names = {LeaseName(place.parent, place.sealed.encode()) for place in (*places, *read_only)}
        if structure:
            names.add(STRUCTURE)
        directories = list(dict.fromkeys(place.parent for place in places))
        touches = [Touch(directory, links) for directory in directories]
        with (
            self._state.acquire(names, touches, wait=LEASE_WAIT) as lease,
            ExitStack() as stack,
        ):
            change = Change(lease, directories, stack, self._walker)
            try:
                for place in places:
                    if self._walker.fate(place) is not Fate.LINKED:
                        raise StaleError
                yield change
            except BaseException:
                if not change.begun:
                    lease.unchanged()
                raise
            if not change.begun:
                lease.unchanged()
                return
            for directory, state in lease.finish().items():
                if directory in change.deltas:
                    self._cache.apply(directory, change.deltas[directory], state, links=links)
