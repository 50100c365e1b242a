"""Copies. A file's is one server-side copy; a directory's is built aside and linked last.

A directory copy writes an intent at ``c/<new id>`` first and renews it while it runs. Should the
process die, the half-made subtree hangs on that intent alone: fsck leaves it for a day and
then removes it.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from bridge.crypto.record import Kind, Record
from bridge.files.change import CALL_LIMIT, StaleError
from bridge.files.errors import DamagedFile, NotAllowed
from bridge.files.layout import RECORD
from bridge.files.node import Node
from bridge.files.reseal import reseal
from bridge.files.vault import Vault
from bridge.files.walk import Place
from bridge.state.api import StateError
from bridge.store.api import Exists, ObjectStore, StoreError
from bridge.store.deadline import deadline

log = logging.getLogger(__name__)

INTENT_LIFE = 24 * 3600.0
"""Seconds after its last renewal for which an intent protects its copy."""

INTENT_RENEWAL = 60.0
"""Seconds between renewals of a running copy's intent."""

_MOST_VISITS = 8
"""A directory moved about while it is copied may be met again; one linked in a circle, for ever."""

Link = Callable[[Record], bool]
"""Gives a finished copy its name; returns whether the place was free."""


_Job = tuple[bytes, str, ObjectStore]


class Running:
    """The copies of directories that run: by source, target, and the store that makes them."""

    def __init__(self) -> None:
        self.jobs: dict[_Job, Future[bool]] = {}
        self.lock = threading.Lock()


class Copies:
    """Makes copies in one vault. ``running`` is shared by all that act in it."""

    def __init__(self, vault: Vault, running: Running) -> None:
        self._vault = vault
        self._running = running

    def copy_file(self, src: str, record: Record, there: Place, *, free: bool) -> Node:
        """Copy the file at the key ``src``, whose record is given, to ``there``.

        ``free``: nothing is there. The leases are the caller's. The copy has an object id and
        etag of its own, and shares neither spill nor body.
        """
        vault = self._vault
        fresh = vault.shown(
            replace(record, object_id=vault.new_id(), etag=vault.new_etag(), created=vault.clock()),
            there,
        )
        if vault.extras.has_any(record):
            return self._copy_apart(src, record, fresh, there, free=free)
        reseal(vault, src)  # the copy has the source's record at first
        try:
            version = vault.acting.copy(src, there.key, if_absent=free).version
        except Exists:
            ours = vault.version_if_ours(there.key, record.object_id)
            if ours is None:
                raise
            version = ours
        vault.acting.set_metadata(there.key, {RECORD: vault.keys.seal_record(fresh)}, version)
        return vault.node(there, fresh, version)

    def _copy_apart(
        self, src: str, record: Record, fresh: Record, there: Place, *, free: bool
    ) -> Node:
        """Copy a file that has extras: its body to ``o/``, then its spill, its entry last."""
        vault = self._vault
        source = vault.layout.body(record.body) if record.body else src
        vault.acting.copy(source, vault.layout.body(fresh.object_id))
        fresh, sealed = vault.extras.seal(
            replace(fresh, body=fresh.object_id), vault.extras.properties(record)
        )
        version = vault.put_record(there.key, fresh, sealed, free=free)
        return vault.node(there, fresh, version)

    def copy_directory(self, record: Record, there: Place, *, recursive: bool, link: Link) -> bool:
        """Copy the directory of ``record`` and give it its name; as ``FileTree.copy``.

        All of its properties are in ``record``: what has spilled over may be gone at the end.
        A second call for the same copy while the first runs waits for it and shares its outcome;
        but it raises StaleError where the first was refused: that may be for its caller alone.
        """
        job = (record.object_id, there.key, self._vault.acting)
        running = self._running
        with running.lock:
            future = running.jobs.get(job)
            joined = future is not None
            if future is None:
                future = running.jobs[job] = Future[bool]()
        if joined:
            try:
                return future.result()
            except NotAllowed:
                raise StaleError from None
        try:
            outcome = self._copy_directory(record, recursive=recursive, link=link)
        except BaseException as error:
            self._end(job).set_exception(error)
            raise
        self._end(job).set_result(outcome)
        return outcome

    def _end(self, job: _Job) -> Future[bool]:
        """Nobody joins it from now on: whoever was told of its end and looks again begins anew."""
        with self._running.lock:
            return self._running.jobs.pop(job)

    def _copy_directory(self, record: Record, *, recursive: bool, link: Link) -> bool:
        vault = self._vault
        copy = self._fresh_directory(record)
        intent = _Intent(vault, copy.object_id)
        intent.write()
        try:
            if recursive:
                self._copy_members(record.object_id, copy.object_id, intent)
            free = link(replace(copy, properties=record.properties))
        except (StoreError, StateError):
            raise  # it may have been linked: the intent stays, and time will tell
        except BaseException:
            vault.put_removed(copy.object_id)
            intent.remove()
            raise
        intent.remove()
        return free

    def _copy_members(self, source: bytes, copy: bytes, intent: _Intent) -> None:
        vault = self._vault
        waiting = [(source, copy)]
        visits = Counter([source])
        while waiting:
            source, copy = waiting.pop()
            for node in vault.nodes.in_directory(source):
                intent.renew()
                here = vault.walker.at([source], (), node.norm)
                there = vault.walker.at([copy], (), node.entry.name)
                child = self._copy_member(here, there)
                if child is not None:
                    visits[child[0]] += 1
                    if visits[child[0]] > _MOST_VISITS:
                        raise DamagedFile("a folder lies at many places, or in itself; run fsck")
                    waiting.append(child)

    def _copy_member(self, here: Place, there: Place) -> tuple[bytes, bytes] | None:
        """Copy one entry; returns the ids of a directory and its copy, to be filled.

        Something moved or removed since it was listed is left out, as if the copy came after.
        """
        vault = self._vault
        with vault.changes.hold(read_only=[here]) as change:
            node = change.look(here)
            if node is None:
                return None
            record = node.record
            if record is None:
                raise DamagedFile(f"{here.name!r} is damaged: its record does not open")
            change.begin()
            if record.kind is Kind.FILE:
                self.copy_file(here.key, record, there, free=True)
                return None
            fresh, sealed = vault.extras.seal(
                vault.shown(self._fresh_directory(record), there),
                vault.extras.properties(record),
            )
            vault.put_record(there.key, fresh, sealed)
            return record.object_id, fresh.object_id

    def _fresh_directory(self, record: Record) -> Record:
        """The record of a new directory in the place of a copied one, without its properties."""
        vault = self._vault
        return replace(
            record,
            object_id=vault.new_id(),
            created=vault.clock(),
            properties={},
            spill=None,
        )


class _Intent:
    """The intent of one running copy."""

    def __init__(self, vault: Vault, copy: bytes) -> None:
        self._vault = vault
        self._copy = copy
        self._key = vault.layout.intent(copy)
        self._renewed = 0.0

    def write(self) -> None:
        vault = self._vault
        self._renewed = vault.clock()
        with deadline(CALL_LIMIT):
            upload = vault.store.put(self._key)
            try:
                upload.write(vault.keys.seal_intent(self._copy, self._renewed))
                upload.commit({})
            except BaseException:
                upload.abort()
                raise

    def renew(self) -> None:
        if self._vault.clock() - self._renewed > INTENT_RENEWAL:
            self.write()

    def remove(self) -> None:
        try:
            self._vault.store.delete(self._key)
        except StoreError as error:
            log.warning("intent left behind, fsck will find it: %s", error)
