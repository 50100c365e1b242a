"""What works beside requests, in threads of its own."""

from __future__ import annotations

import threading

import structlog

from bridge.app import Services
from bridge.state.api import StateError

_log = structlog.get_logger()

LOCK_PURGE_SECONDS = 600.0
"""How often expired locks are removed; they count for nothing before that either."""


class Background:
    """The threads that work beside requests: the reaper, and the purge of expired locks."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stopped = threading.Event()
        reaper = services.tree.reaper
        self._threads = [
            threading.Thread(target=reaper.run, args=(self._stopped,), name="reaper", daemon=True),
            threading.Thread(target=self._purge, name="lock-purge", daemon=True),
        ]

    def start(self) -> None:
        """Start them."""
        for thread in self._threads:
            thread.start()

    def stop(self, limit: float) -> None:
        """Tell them to end, and wait ``limit`` seconds at most: what they do, they can resume."""
        self._stopped.set()
        self._services.tree.reaper.notify()
        for thread in self._threads:
            thread.join(limit)

    def _purge(self) -> None:
        locks = self._services.state.locks(self._services.credential.tenant.id)
        while not self._stopped.wait(LOCK_PURGE_SECONDS):
            try:
                locks.purge()
            except StateError as error:
                _log.warning("expired locks not purged", exc_info=error)
