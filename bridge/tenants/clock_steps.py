"""Where the database's clock was set forward: time that it shows and that has not passed.

Byte-hours are charged for the time between two looks at that clock. A clock that is wrong for some
seconds must not charge a year, whoever looks at it meanwhile: no more is charged than has passed,
by this process's own steady clock, since it charged the tenant last. One that it has not charged
before is charged by the database's clock alone: only so is the time charged in which no process
ran.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

import structlog

from bridge.state.api import Rows
from bridge.tenants.api import Tenant

TOLERANCE = 300.0
"""Seconds by which a clock may be wrong and is still believed."""

_STEADY: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux has one that goes on while the machine sleeps; elsewhere there is only the other."""

_log = structlog.get_logger()


def steady() -> float:
    """Seconds on a clock that nobody can set."""
    return time.clock_gettime(_STEADY)


class ClockSteps:
    """When this process charged each tenant last, by ``own``: a clock that is never set.

    Thread-safe.
    """

    def __init__(self, own: Callable[[], float] = steady) -> None:
        self.own = own
        self._charged: dict[str, tuple[float, float]] = {}  # creation, and when by `own`; by id

    def charged(self, tenant: Tenant, at: float) -> None:
        """Note that a tenant was charged up to ``at``, by ``own``, or later.

        To be called when that is in the database: what is undone there is still to be charged.
        """
        self._charged[tenant.id] = tenant.created, at

    def since(self, tenant: Tenant, metered: float, now: float) -> float:
        """From when to ``now`` a tenant is to be charged that is charged up to ``metered``.

        All three by the database's clock.
        """
        created, at = self._charged.get(tenant.id, (None, 0.0))
        if created != tenant.created:
            return metered
        since = now - (self.own() - at)
        if since - metered <= TOLERANCE:
            return metered
        _log.error(
            "the clock was set forward: what it stepped over is not charged",
            tenant=tenant.id,
            seconds=round(since - metered),
            metered=round(metered),
            now=round(now),
        )
        return since


_of: WeakKeyDictionary[Rows, ClockSteps] = WeakKeyDictionary()
_of_lock = threading.Lock()


def steps_of(rows: Rows) -> ClockSteps:
    """Those of a database's clock: one for all in this process that have it open by ``rows``."""
    with _of_lock:
        return _of.setdefault(rows, ClockSteps())
