"""Passes over a vault that seal anew what is under a retired key; bodies stay as they are.

Beside everybody's changes one pass that finds nothing is proof, once nobody seals under a retired
key any more: what is still under one then stays at its key, because whoever moves or copies it
seals it anew first (``reseal``), or goes from ``d/`` to ``r/``, which is looked at later (ADR 14).
A spill is under the same key as its record, and goes with it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import Enum, auto

from bridge.crypto.errors import CryptoError, Tampered, Unconfirmed
from bridge.crypto.keyset import kid_of
from bridge.files.change import CALL_LIMIT, LEASE_WAIT, StaleError
from bridge.files.copies import INTENT_RENEWAL
from bridge.files.layout import RECORD
from bridge.files.reseal import entry_place, says_retired, seal_anew
from bridge.files.vault import Vault
from bridge.state.api import LeaseBusy
from bridge.store.api import Changed, Damaged, NotFound, ObjectInfo
from bridge.store.deadline import deadline

QUIET = INTENT_RENEWAL + 2 * (CALL_LIMIT + LEASE_WAIT)
"""Seconds after which an intent that was not renewed is a dead copy's, and a removed directory is
put back by nobody. Before that neither is touched: no lease guards them."""

_CLEAR = 5
"""Bytes of an intent that hold its kid."""

_TOLD_EVERY = 100


@dataclass(frozen=True, slots=True)
class Tally:
    """What a pass has met so far.

    ``looked``: sealed things. ``resealed``: those it sealed anew. ``waiting``: those left under a
    retired key for now, since others work on them. ``damaged``: entries whose record does not open.
    """

    looked: int = 0
    resealed: int = 0
    waiting: int = 0
    damaged: int = 0

    @property
    def found(self) -> int:
        """How many things were under a retired key when they were met."""
        return self.resealed + self.waiting


class _Outcome(Enum):
    RESEALED = auto()
    WAITING = auto()
    DAMAGED = auto()
    DONE = auto()  # by somebody else, or it is gone


class Resealer:
    """Makes passes over one vault. ``workers``: entries sealed at once. ``clock`` is monotonic."""

    def __init__(
        self,
        vault: Vault,
        *,
        workers: int = 4,
        quiet: float = QUIET,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vault = vault
        self._workers = workers
        self._quiet = quiet
        self._clock = clock
        self._met: dict[tuple[str, str], float] = {}
        self._meeting: dict[tuple[str, str], float] = {}
        self._tally = Tally()
        self._progress: Callable[[Tally], None] = lambda _tally: None

    def run(self, progress: Callable[[Tally], None] = lambda _tally: None) -> Tally:
        """One pass over all that is sealed under keys of the keyring.

        May be stopped at any point and begun anew. Raises StoreError, StateError, Unconfirmed, and
        what ``progress`` raises.
        """
        self._tally = Tally()
        self._meeting = {}
        self._progress = progress
        # In the order in which things move while this goes on.
        self._work(self._entries(), self._reseal_entry)
        self._work(self._removals(), self._reseal_removal)
        self._work(self._intents(), self._reseal_intent)
        self._met = self._meeting
        progress(self._tally)
        return self._tally

    def _work(self, found: Iterable[ObjectInfo], work: Callable[[ObjectInfo], _Outcome]) -> None:
        running: deque[Future[_Outcome]] = deque()
        with ThreadPoolExecutor(self._workers, thread_name_prefix="reseal") as pool:
            for info in found:
                running.append(pool.submit(work, info))
                if len(running) > 2 * self._workers:
                    self._count(running.popleft().result())
            for future in running:
                self._count(future.result())

    def _count(self, outcome: _Outcome) -> None:
        tally = self._tally
        match outcome:
            case _Outcome.RESEALED:
                self._tally = replace(tally, resealed=tally.resealed + 1)
            case _Outcome.WAITING:
                self._tally = replace(tally, waiting=tally.waiting + 1)
            case _Outcome.DAMAGED:
                self._tally = replace(tally, damaged=tally.damaged + 1)
            case _Outcome.DONE:
                return

    def _look(self) -> None:
        self._tally = replace(self._tally, looked=self._tally.looked + 1)
        if self._tally.looked % _TOLD_EVERY == 0:
            self._progress(self._tally)

    # Entries

    def _entries(self) -> Iterator[ObjectInfo]:
        """Entries under a retired key, in whatever directory; damaged ones are counted."""
        vault = self._vault
        for info in vault.store.list(vault.layout.directories, recursive=True):
            self._look()
            if vault.nodes.from_info("", info).record is None:
                self._count(_Outcome.DAMAGED)
            elif says_retired(vault, info):
                yield info

    def _reseal_entry(self, info: ObjectInfo) -> _Outcome:
        record = self._vault.nodes.from_info("", info).record
        try:
            if record is not None and record.spill is not None:
                return self._reseal_spilled(info.key)
            return self._reseal_plain(info.key)
        except (LeaseBusy, StaleError, Changed):
            return _Outcome.WAITING
        except NotFound:
            return _Outcome.DONE  # removed, or moved by somebody who has sealed it anew
        except Damaged:
            return _Outcome.DAMAGED

    def _reseal_plain(self, key: str) -> _Outcome:
        """Nothing that anybody remembers of the entry changes: no generation rises."""
        vault = self._vault
        with vault.changes.hold(read_only=[entry_place(vault, key)]) as change:
            info = vault.store.stat(key)
            record = vault.nodes.from_info("", info).record
            if record is None or not says_retired(vault, info):
                return _Outcome.DONE
            if record.spill is not None:
                return _Outcome.WAITING  # since a moment ago: the next pass knows
            change.begin()
            vault.store.set_metadata(key, {RECORD: vault.keys.seal_record(record)}, info.version)
        return _Outcome.RESEALED

    def _reseal_spilled(self, key: str) -> _Outcome:
        """The record names another spill then, so this is a change like that of properties."""
        vault = self._vault
        place = entry_place(vault, key)
        with vault.changes.hold(place) as change:
            info = vault.store.stat(key)
            record = vault.nodes.from_info("", info).record
            if record is None or not says_retired(vault, info):
                return _Outcome.DONE
            change.begin()
            fresh = seal_anew(vault, info, record)
            if place.norm:
                change.became(place, vault.node(place, fresh, info.version))
        vault.extras.discard(record, kept=fresh)
        return _Outcome.RESEALED

    # Removed directories, and intents

    def _removals(self) -> Iterator[ObjectInfo]:
        vault = self._vault
        for info in vault.store.list(vault.layout.removals):
            self._look()
            if says_retired(vault, info) and self._has_been_quiet(info):
                yield info

    def _reseal_removal(self, info: ObjectInfo) -> _Outcome:
        vault = self._vault
        record = vault.nodes.from_info("", info).record
        if record is None:
            return _Outcome.DONE  # nobody needs it: the directory is named by its key
        try:
            with deadline(CALL_LIMIT):
                fresh = seal_anew(vault, info, record)
        except (NotFound, Changed, Damaged):
            return _Outcome.DONE
        vault.extras.discard(record, kept=fresh)
        return _Outcome.RESEALED

    def _intents(self) -> Iterator[ObjectInfo]:
        vault = self._vault
        for info in vault.store.list(vault.layout.intents):
            self._look()
            try:
                kid = kid_of(vault.extras.read(info.key, _CLEAR))
            except (NotFound, Tampered):
                continue
            if kid in vault.keys.sealing().retired and self._has_been_quiet(info):
                yield info

    def _reseal_intent(self, info: ObjectInfo) -> _Outcome:
        vault = self._vault
        try:
            copy, renewed = vault.keys.open_intent(vault.extras.read(info.key))
        except Unconfirmed:
            raise
        except (NotFound, CryptoError):
            return _Outcome.DONE  # gone, or never one: nobody needs what it says
        with deadline(CALL_LIMIT):
            upload = vault.store.put(info.key)
            try:
                upload.write(vault.keys.seal_intent(copy, renewed))
                upload.commit({})
            except BaseException:
                upload.abort()
                raise
        return _Outcome.RESEALED

    def _has_been_quiet(self, info: ObjectInfo) -> bool:
        """Whether this very object was met long enough ago; else it is counted as waiting."""
        now = self._clock()
        first = self._meeting[info.key, info.version] = self._met.get((info.key, info.version), now)
        if now - first >= self._quiet:
            return True
        self._count(_Outcome.WAITING)
        return False
