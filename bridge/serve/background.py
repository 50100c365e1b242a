"""What works beside requests, in threads of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from bridge.app import Services
from bridge.serve.rounds import FAILURES, Rounds, reason_of
from bridge.tenants.opened import OpenTenant

_log = structlog.get_logger()

CONFIRM_SECONDS = 2.0
"""How often the database is asked for newer keyrings (``bridge.crypto.vault``, PATIENCE)."""

USAGE_SECONDS = 5.0
JOB_SECONDS = 5.0
IDLE_SECONDS = 60.0
LOCK_PURGE_SECONDS = 600.0
"""How often expired locks are removed; they count for nothing before that either."""

METER_SECONDS = 3_600.0
"""How often byte-hours of tenants are reckoned in whom nothing moves."""

COUNT_SECONDS = 86_400.0
"""How old a count of what a tenant holds may become."""

COUNT_PAUSE = 10.0
COUNT_SHARE = 20.0
"""Seconds from one count of a tenant to the next, and how often as long as the last one took."""


@dataclass
class _Chore:
    """Something done again and again. ``due``: by a monotonic clock."""

    name: str
    every: float
    do: Callable[[], object]
    due: float = 0.0


class Background:
    """The threads that work beside requests.

    One confirms keys and does what is short; the others what may take long: jobs, counting, and
    emptying removed folders. A tenant whose store is away holds up the others seldom: it rests
    (``bridge.serve.rounds``), and so does each job that failed (``bridge.tenants.jobs``).
    """

    def __init__(self, services: Services) -> None:
        self._tenants = services.tenants
        self._state = services.state
        jobs = services.administration.jobs
        self._stopped = threading.Event()
        self._rounds = Rounds(self._tenants, self._stopped.is_set)
        self._count_due: dict[str, float] = {}
        chores = {
            "chores": [
                _Chore("keys", CONFIRM_SECONDS, self._tenants.confirm),
                _Chore("usage", USAGE_SECONDS, self._flush),
                _Chore("idle", IDLE_SECONDS, self._tidy),
                _Chore("locks", LOCK_PURGE_SECONDS, self._purge),
            ],
            "jobs": [_Chore("jobs", JOB_SECONDS, lambda: jobs.run_due(self._stopped.is_set))],
            "counts": [
                _Chore("count", COUNT_PAUSE, self._count),
                _Chore("meter", METER_SECONDS, services.administration.meter),
            ],
            "reaper": [_Chore("reaper", 1.0, self._reap)],
        }
        self._threads = [
            threading.Thread(target=self._run, args=(each,), name=name, daemon=True)
            for name, each in chores.items()
        ]

    def start(self) -> None:
        """Start them."""
        for thread in self._threads:
            thread.start()

    def stop(self, limit: float) -> None:
        """Tell them to end, and wait ``limit`` seconds at most: what they do, they can resume."""
        self._stopped.set()
        until = time.monotonic() + limit
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _run(self, chores: list[_Chore]) -> None:
        while not self._stopped.is_set():
            for chore in chores:
                if chore.due <= time.monotonic():
                    self._do(chore)
            next_due = min(chore.due for chore in chores)
            self._stopped.wait(max(0.0, next_due - time.monotonic()))

    def _do(self, chore: _Chore) -> None:
        try:
            chore.do()
        except FAILURES as error:
            _log.warning("trying again later", chore=chore.name, reason=reason_of(error))
        except Exception:  # noqa: BLE001 - it must not end the thread
            _log.exception("a chore failed", chore=chore.name)
        chore.due = time.monotonic() + chore.every

    def _tidy(self) -> None:
        self._tenants.drop_idle()
        self._tenants.share_names()

    def _flush(self) -> None:
        each = self._rounds.each
        each("usage", lambda opened: opened.usage.flush(), asks_store=False)
        each("locks", self._count_locks, asks_store=False)

    def _count_locks(self, opened: OpenTenant) -> None:
        locks = self._state.locks(opened.tenant.id)
        opened.locks = len(locks.covering("/", children=True)) if locks.any() else 0

    def _purge(self) -> None:
        def purge(opened: OpenTenant) -> None:
            self._state.locks(opened.tenant.id).purge()

        self._rounds.each("purge", purge, asks_store=False)

    def _reap(self) -> None:
        self._rounds.each("reaper", lambda opened: opened.tree.reaper.look(), asks_store=True)

    def _count(self) -> None:
        self._rounds.each("count", self._count_one, asks_store=True)

    def _count_one(self, opened: OpenTenant) -> None:
        usage = opened.usage
        counted = usage.used.counted
        old = counted is None or counted + COUNT_SECONDS < time.time()
        began = time.monotonic()
        if (old or usage.to_be_counted) and self._count_due.get(opened.tenant.id, 0.0) <= began:
            try:
                usage.count(opened.tree.usage)
            finally:
                took = time.monotonic() - began
                pause = max(COUNT_PAUSE, COUNT_SHARE * took)
                self._count_due[opened.tenant.id] = began + took + pause
