"""What must be done until it succeeds, also after a crash and when the satellite is away.

A change keeps its jobs in its own transaction. Whoever made it tries them at once; what fails, the
service tries again, later each time. A job that is being done is put off, so that no other process
takes it; should that one die, it comes due again.

One thread does them for all tenants. A tenant one of whose jobs has failed rests with all of them,
in this process, for longer each time: a store that hangs holds up others' jobs for a minute.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from bridge.crypto.errors import CryptoError
from bridge.state.api import StateError
from bridge.store.api import StoreError
from bridge.store.storj.refusals import GrantError
from bridge.tenants.api import TenantError
from bridge.tenants.job_rows import CLAIMED, Job, JobRows

log = logging.getLogger(__name__)

CLAIM = 120.0
"""Seconds for which a job that is being done is put off; long ones put it off again."""

FIRST_PAUSE = 5.0
LONGEST_PAUSE = 900.0
"""Seconds until a job that failed is tried again: twice as long each time."""

FAILURES = (StoreError, StateError, GrantError, CryptoError, TenantError)

Work = Callable[[Job, Callable[[], None]], None]
"""Does a job; the second argument is called now and then while that takes long."""


class Jobs:
    """Does jobs. ``work``: how each kind is done; it raises one of FAILURES.

    ``clock`` gives Unix seconds, as other processes see them; ``monotonic`` says how long tenants
    rest in this one, whatever becomes of that.
    """

    def __init__(
        self,
        rows: JobRows,
        work: Mapping[str, Work],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rows = rows
        self._work = work
        self._clock = clock
        self._monotonic = monotonic
        self._resting: dict[str, tuple[int, float]] = {}
        """Tenants: how often in a row a job of theirs has failed, and until when they rest."""

    def run_due(self, stopped: Callable[[], bool] = lambda: False) -> int:
        """Do what is due; how many were done. Raises StateError.

        Those of a tenant that rests are left alone.
        """
        done = 0
        for job in self._rows.due():
            if stopped():
                break
            failures, until = self._resting.get(job.tenant, (0, -math.inf))
            if until > self._monotonic():
                continue
            if self.run(job):
                self._resting.pop(job.tenant, None)
                done += 1
            else:
                self._resting[job.tenant] = failures + 1, self._monotonic() + _pause(failures)
        return done

    def run_for(self, tenant_id: str) -> list[Job]:
        """Try all that is to be done for a tenant, though it rests; returns what is left of it.

        What another process is doing is left to that.
        """
        for job in self._rows.of(tenant_id):
            if job.note != CLAIMED or self._rows.is_due(job):
                self.run(job)
        return self._rows.of(tenant_id)

    def run(self, job: Job) -> bool:
        """Do one, unless another process does; whether it is done now. Raises StateError."""
        claimed = job

        def claim() -> bool:
            nonlocal claimed
            later = replace(claimed, due=self._clock() + CLAIM, note=CLAIMED)
            if not self._rows.put_off(claimed, later):
                return False
            claimed = later
            return True

        def go_on() -> None:
            if claimed.due - self._clock() < CLAIM / 2 and not claim():
                raise StateError("another process has taken this job over")

        if not claim():
            return False
        try:
            self._work[job.kind](job, go_on)
        except FAILURES as error:
            # The words of an error may name tenants and buckets, never a secret.
            log.warning("%s of tenant %s: trying again later: %s", job.kind, job.tenant, error)
            due = self._clock() + _pause(job.tries)
            later = replace(claimed, due=due, tries=job.tries + 1, note=str(error))
            self._rows.put_off(claimed, later)
            return False
        self._rows.drop(job.id)
        return True


def _pause(failures: int) -> float:
    """Seconds until it is tried again what has failed so often before."""
    return min(FIRST_PAUSE * 2.0 ** min(failures, 20), LONGEST_PAUSE)
