"""Goes round the tenants that are open, and leaves those alone for a while whose store is away.

One thread does a chore for all tenants. A store that hangs may hold it for a minute; were it asked
again in each round, the others would wait that long every time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from bridge.crypto.errors import CryptoError
from bridge.files.errors import FileError
from bridge.state.api import StateError
from bridge.store.api import StoreError
from bridge.tenants.api import TenantError
from bridge.tenants.opened import OpenTenant
from bridge.tenants.vault import VaultError

_log = structlog.get_logger()

FAILURES = (StateError, StoreError, FileError, TenantError, VaultError, CryptoError)
"""What a chore may raise: it is tried again later."""

FIRST_REST = 1.0
LONGEST_REST = 600.0
"""Seconds for which a tenant is left alone with a chore: twice as long each time."""

REMEMBERED = 600.0
"""Seconds after a rest in which the next one is longer. That the chore succeeds meanwhile does not
count: mostly there is nothing to do, and then it asks the store nothing."""

LONG = 10.0
"""Seconds from which a chore that succeeds holds up the others as one that fails does."""


@dataclass(frozen=True, slots=True)
class _Rest:
    """A tenant is left alone, for ``seconds`` and so until then, by a monotonic clock."""

    seconds: float
    until: float


class Rounds:
    """Does chores for one open tenant after another. For each chore, used from one thread.

    ``stopped``: whether to end early. ``clock`` is monotonic.
    """

    def __init__(
        self,
        tenants: Iterable[OpenTenant],
        stopped: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tenants = tenants
        self._stopped = stopped
        self._clock = clock
        self._resting: dict[str, dict[str, _Rest]] = {}

    def each(self, chore: str, do: Callable[[OpenTenant], object], *, asks_store: bool) -> None:
        """Do it for each tenant; what fails for one does not keep the others from it.

        ``asks_store``: where it fails or takes long, the tenant rests before it is tried again.
        What asks the database alone does not: that is the same one for all, and answers soon.
        """
        before = self._resting.get(chore, {})
        # Anew in each round, so that nothing is kept of those that are no longer open.
        resting = self._resting[chore] = {}
        for opened in self._tenants:
            if self._stopped():
                return
            tenant = opened.tenant.id
            began = self._clock()
            rest = before.get(tenant)
            if rest is not None and rest.until + REMEMBERED <= began:
                rest = None
            if rest is not None:
                resting[tenant] = rest
                if rest.until > began:
                    continue
            error = _failure(do, opened)
            now = self._clock()
            if error is None and (not asks_store or now - began < LONG):
                continue
            seconds = 0.0
            if asks_store:
                seconds = FIRST_REST if rest is None else min(2 * rest.seconds, LONGEST_REST)
                resting[tenant] = _Rest(seconds, now + seconds)
            _log.warning(
                "this took long" if error is None else "trying again later",
                chore=chore,
                tenant=tenant,
                reason="" if error is None else reason_of(error),
                took=round(now - began, 3),
                rests=seconds,
                exc_info=None if isinstance(error, FAILURES) else error,
            )


def reason_of(error: Exception) -> str:
    """What the log may say of it: what concerns files may name one."""
    return type(error).__name__ if isinstance(error, FileError) else str(error)


def _failure(do: Callable[[OpenTenant], object], opened: OpenTenant) -> Exception | None:
    try:
        do(opened)
    except Exception as error:  # noqa: BLE001 - whatever it is, the others are not to suffer
        return error
    return None
