"""A store that fails by a plan, and one that counts: for tests of whoever uses a store.

    store = FaultyStore(MemoryStore(), Script(commit=[None, LOST], move=[FAILED]))

lets the first commit pass, applies the second and loses its answer, and refuses the first move
without doing it. Plans:

- ``Script``: for each operation, what happens at its first, second, … call; then all pass
- ``RandomFaults``: each call fails with a probability, from a seeded ``random.Random``
- ``EndsAt``: from the n-th changing call on every call fails, as when the network or this
  process dies there; the n-th itself is either not done, or done and its answer lost

or any function of (operation, key) that returns a Fault or None. Operations are those of
``bridge.store.wrapping.Operation``; ``CHANGES`` are the ones that change what is stored.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bridge.store import deadline
from bridge.store.api import ObjectStore, StoreError, Unavailable
from bridge.store.wrapping import Operation, WrappedStore

CHANGES: frozenset[Operation] = frozenset(
    {
        "commit",
        "delete",
        "delete_many",
        "copy",
        "move",
        "set_metadata",
        "create_multipart",
        "commit_part",
        "complete_multipart",
        "abort_multipart",
    }
)
"""The operations that change what is stored."""

T = TypeVar("T")


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one call.

    ``error`` is raised, before the call reaches the store or ``after`` it has been applied. None
    raises nothing (for a call that only hangs). ``hang``: first wait until the event is set, or
    until the ambient deadline ends the call with Unavailable.
    """

    error: type[StoreError] | None = Unavailable
    after: bool = False
    hang: threading.Event | None = None


FAILED = Fault()
"""The call never reaches the store."""

LOST = Fault(after=True)
"""The call is applied, and its answer is lost."""


class Plan(Protocol):
    """Decides about each call, from any thread."""

    def __call__(self, operation: Operation, key: str) -> Fault | None: ...


class Script:
    """For each operation, the faults of its first, second, … call (None: it passes)."""

    def __init__(self, **faults: Sequence[Fault | None]) -> None:
        self._left = {operation: list(planned) for operation, planned in faults.items()}
        self._lock = threading.Lock()

    def __call__(self, operation: Operation, key: str) -> Fault | None:
        with self._lock:
            planned = self._left.get(operation)
            return planned.pop(0) if planned else None

    @property
    def done(self) -> bool:
        """Whether every fault has happened."""
        return not any(self._left.values())


class RandomFaults:
    """Each call fails with probability ``rate``: half of the changes after being applied.

    ``operations`` limits it to some. Set ``on`` to False to let everything pass for a while.
    """

    def __init__(
        self,
        chance: random.Random,
        rate: float,
        operations: Collection[Operation] | None = None,
        errors: Sequence[type[StoreError]] = (Unavailable,),
    ) -> None:
        self._chance = chance
        self._rate = rate
        self._operations = operations
        self._errors = errors
        self._lock = threading.Lock()
        self.on = True
        self.count = 0

    def __call__(self, operation: Operation, key: str) -> Fault | None:
        if not self.on or (self._operations is not None and operation not in self._operations):
            return None
        with self._lock:
            if self._chance.random() >= self._rate:
                return None
            self.count += 1
            after = operation in CHANGES and self._chance.random() < 0.5
            # What was applied and lost is always "may or may not have taken effect".
            return LOST if after else Fault(self._chance.choice(self._errors))


class EndsAt:
    """The ``number``-th change (from 1) and everything that follows fails.

    ``after``: that change is applied, and its answer lost. ``reached`` says whether it came so far.
    """

    def __init__(self, number: int, *, after: bool = False) -> None:
        self._left = number
        self._after = after
        self._lock = threading.Lock()

    @property
    def reached(self) -> bool:
        """Whether the end has come."""
        return self._left <= 0

    def __call__(self, operation: Operation, key: str) -> Fault | None:
        with self._lock:
            if self._left <= 0:
                return FAILED
            if operation not in CHANGES:
                return None
            self._left -= 1
            if self._left > 0:
                return None
            return LOST if self._after else FAILED


class FaultyStore(WrappedStore):
    """``inner``, failing as ``plan`` says. ``plan`` may be replaced at any time."""

    def __init__(self, inner: ObjectStore, plan: Plan) -> None:
        super().__init__(inner)
        self.plan = plan

    def around(self, operation: Operation, key: str, call: Callable[[], T]) -> T:
        fault = self.plan(operation, key)
        if fault is None:
            return call()
        if fault.hang is not None and not fault.hang.wait(deadline.remaining()):
            raise Unavailable(f"{operation} took too long", key=key)
        if fault.error is None:
            return call()
        if fault.after:
            call()
            raise fault.error(f"{operation} was done, and its answer lost, by plan", key=key)
        raise fault.error(f"{operation} failed by plan", key=key)


class CountingStore(WrappedStore):
    """``inner``, with every call counted by operation, for tests of budgets."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def around(self, operation: Operation, key: str, call: Callable[[], T]) -> T:
        with self._lock:
            self._counts[operation] += 1
        return call()

    def take(self) -> Counter[str]:
        """The counts since the last ``take``."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return counts
