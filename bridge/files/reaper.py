"""Empties removed directories in the background, whenever it was interrupted.

A removed directory's entry waits at ``r/<id>``. The reaper lets a time pass that is longer than
any commit may take, so that a write that raced the removal has found out and undone itself. It
claims a child directory by moving its entry to ``r/<child id>`` before it descends: not found
means that somebody moved the child away in time, and it is left alone. Files are removed
without a claim, except those with extras, whose extras must not be taken from a file that was
moved away.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from bridge.crypto.errors import CryptoError
from bridge.files.change import CALL_LIMIT, LEASE_WAIT
from bridge.files.layout import id_bytes
from bridge.files.node import Node
from bridge.files.vault import Vault
from bridge.store.api import NotFound

log = logging.getLogger(__name__)

GRACE = 2 * (CALL_LIMIT + LEASE_WAIT)
"""Seconds a removed directory is left alone."""

PAUSE = 30.0
"""Seconds between looks while something waits to be emptied."""

REST = 3600.0
"""Seconds until the next look where nothing does, and nobody has removed anything here."""

_BATCH = 500


class Reaper:
    """Removes what hangs on ``r/``. ``clock`` is monotonic."""

    def __init__(
        self,
        vault: Vault,
        *,
        grace: float = GRACE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vault = vault
        self._grace = grace
        self._clock = clock
        self._first_seen: dict[bytes, float] = {}
        self._wake = threading.Event()
        self._next_look = -REST

    @property
    def backlog(self) -> int:
        """Removed directories seen and not emptied yet."""
        return len(self._first_seen)

    def notify(self) -> None:
        """Say that a directory was removed."""
        self._wake.set()

    def look(self) -> None:
        """Empty what there is to empty, if it is time to look. To be called every second or so.

        Where nothing was removed it looks seldom: each look is a request to the store. Raises
        StoreError, StateError.
        """
        now = self._clock()
        told = self._wake.is_set()
        if not told and now < self._next_look:
            return
        self._wake.clear()
        self._next_look = now + PAUSE  # also where this fails
        self.reap()
        self._next_look = self._clock() + (PAUSE if self.backlog else REST)

    def reap(self) -> int:
        """Empty every removed directory whose time has come; returns how many are done."""
        done = 0
        now = self._clock()
        waiting = list(self._removed())
        self._first_seen = {
            directory: self._first_seen.get(directory, now) for directory in waiting
        }
        for directory in waiting:
            if now - self._first_seen[directory] >= self._grace:
                done += self._empty(directory)
                self._first_seen.pop(directory, None)
        return done

    def _removed(self) -> list[bytes]:
        prefix = self._vault.layout.removals
        keys = [info.key[len(prefix) :] for info in self._vault.store.list(prefix)]
        return [directory for directory in map(id_bytes, keys) if directory is not None]

    def _empty(self, directory: bytes) -> int:
        """Empty one directory and all below it, which its removal took out of reach long ago."""
        vault = self._vault
        waiting = [directory]
        done = 0
        while waiting:
            current = waiting[-1]
            claimed = self._empty_one(current)
            if claimed:
                waiting.extend(claimed)
                continue
            waiting.pop()
            vault.state.forget([current])
            vault.cache.forget(current)
            self._remove_entry(current)
            done += 1
        return done

    def _empty_one(self, directory: bytes) -> list[bytes]:
        """Remove a directory's files and claim its child directories; returns the claimed."""
        vault = self._vault
        claimed: list[bytes] = []
        batch: list[str] = []
        prefix = vault.layout.directory(directory)
        for info in vault.store.list(prefix, recursive=True):
            node = vault.nodes.from_info("", info)
            child = node.directory_id
            if child is not None:
                if self._claim(info.key, child):
                    claimed.append(child)
            elif node.record is not None and vault.extras.has_any(node.record):
                self._remove_with_extras(directory, info.key, node)
            else:
                batch.append(info.key)
                if len(batch) == _BATCH:
                    vault.store.delete_many(batch)
                    batch.clear()
        if batch:
            vault.store.delete_many(batch)
        return claimed

    def _claim(self, key: str, child: bytes) -> bool:
        try:
            self._vault.store.move(key, self._vault.layout.removed(child))
        except NotFound:
            return False
        return True

    def _remove_with_extras(self, directory: bytes, key: str, node: Node) -> None:
        vault = self._vault
        try:
            norm = vault.keys.names.open(directory, key.rsplit("/", 1)[1])
        except CryptoError:
            # Put here behind the bridge's back: nobody can reach it by name to move it away.
            vault.store.delete(key)
            vault.extras.discard(node.record)
            return
        place = vault.walker.at([directory], (), norm)
        with vault.changes.hold(place) as change:
            now = change.look(place)
            if now is None or now.object_id != node.object_id:
                return
            change.begin()
            vault.store.delete(key)
            change.became(place, None)
        vault.extras.discard(now.record)

    def _remove_entry(self, directory: bytes) -> None:
        """Remove ``r/<id>`` and, for a directory that had properties spilled, those."""
        vault = self._vault
        key = vault.layout.removed(directory)
        try:
            record = vault.nodes.from_info("", vault.store.stat(key)).record
        except NotFound:
            return
        vault.store.delete(key)
        vault.extras.discard(record)
