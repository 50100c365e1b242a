"""What is still to be done for tenants, as the state database keeps it.

A job carries what it needs as it was sealed already, so that making one takes no key: what takes
something away must not fail for a key that is not at hand. Only doing the job does.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select, update

from bridge.crypto import cbor
from bridge.crypto.errors import Tampered
from bridge.state.api import Rows, Transaction
from bridge.state.schema import jobs, tenants
from bridge.tenants.sealing import CREDENTIAL_GRANT, JOB, TENANT_GRANT

REVOKE = "revoke"
"""Revoke a credential's grant at the satellite."""
COPY = "copy"
"""Write the bucket's copy of what is known of a tenant."""
DELETE = "delete"
"""End a tenant's deletion."""
PURGE = "purge"
"""Remove what came into the vault of a tenant while it was deleted."""

CARRIED = {
    REVOKE: (TENANT_GRANT, CREDENTIAL_GRANT),
    COPY: (),
    DELETE: (JOB,),
    PURGE: (TENANT_GRANT, JOB),
}
"""For what purpose each part was sealed that a job of this kind carries."""


CLAIMED = "it is being done"
"""The note of a job that somebody does."""


LONGEST_REST = 7_200.0
"""Seconds: no job rests for so long, by far. What is due later still was put off by a clock that
was wrong, and is due."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done until it succeeds. ``due``: Unix seconds before which it rests.

    ``carried``: what it needs, sealed; ``parts_of`` takes it apart.
    """

    id: str
    kind: str
    tenant: str
    carried: bytes
    due: float
    tries: int
    note: str


def new_job(kind: str, tenant_id: str, *parts: bytes, due: float = 0.0) -> Job:
    """A job that is due at once, or at ``due``. ``parts``: sealed as ``CARRIED`` says, or b""."""
    return Job(secrets.token_hex(16), kind, tenant_id, join(parts), due, 0, "")


def join(parts: Iterable[bytes]) -> bytes:
    """Parts as a job carries them."""
    return cbor.encode(dict(enumerate(parts)))


def parts_of(job: Job) -> list[bytes]:
    """The parts it carries, by ``CARRIED``. Raises CryptoError where they are not all there."""
    expected = dict.fromkeys(range(len(CARRIED[job.kind])), bytes)
    found = cbor.decode(job.carried, expected, "job")
    if len(found) != len(expected):
        raise Tampered("a job lacks a part of what it needs")
    return [found[number] for number in expected]


_COLUMNS = tuple(
    jobs.c[name] for name in ("id", "kind", "tenant", "sealed", "due", "tries", "note")
)

_THIS = jobs.c.id == bindparam("job")
_DUE = (
    select(*_COLUMNS)
    .where((jobs.c.due <= bindparam("now")) | (jobs.c.due > bindparam("farthest")))
    .order_by(jobs.c.due, jobs.c.id)
)
_ITS = select(*_COLUMNS).where(jobs.c.tenant == bindparam("tenant")).order_by(jobs.c.due)
_ORPHANS = select(*_COLUMNS).where(jobs.c.tenant.not_in(select(tenants.c.id)))
_ADD = jobs.insert().values({column.name: bindparam(column.name) for column in _COLUMNS})
_PUT_OFF = (
    update(jobs)
    .where(_THIS, jobs.c.due == bindparam("old"))
    .values(due=bindparam("new"), tries=bindparam("tried"), note=bindparam("said"))
)
_RESEAL = (
    update(jobs).where(_THIS, jobs.c.sealed == bindparam("old")).values(sealed=bindparam("new"))
)
_DROP = delete(jobs).where(_THIS)
_DROP_WAITING = delete(jobs).where(
    jobs.c.tenant == bindparam("its"), jobs.c.kind == bindparam("what"), jobs.c.note != CLAIMED
)


def insert_job(transaction: Transaction, job: Job) -> None:
    """Keep something to be done."""
    transaction.execute(
        _ADD,
        id=job.id,
        kind=job.kind,
        tenant=job.tenant,
        sealed=job.carried,
        due=job.due,
        tries=job.tries,
        note=job.note,
    )


def replace_waiting(transaction: Transaction, job: Job) -> None:
    """Keep ``job`` alone of its kind and tenant, but for one that somebody does already."""
    transaction.execute(_DROP_WAITING, its=job.tenant, what=job.kind)
    insert_job(transaction, job)


class JobRows:
    """The jobs of all tenants. Raises StateError."""

    def __init__(self, rows: Rows, clock: Callable[[], float] = time.time) -> None:
        self._rows = rows
        self._clock = clock

    def add(self, job: Job) -> None:
        """Keep something to be done."""
        self._rows.write(lambda it: insert_job(it, job))

    def replace_waiting(self, job: Job) -> None:
        """See ``replace_waiting``, in a transaction of its own."""
        self._rows.write(lambda it: replace_waiting(it, job))

    def due(self) -> list[Job]:
        """Those whose time has come, the oldest first."""
        now = self._clock()
        return [Job(*row) for row in self._rows.ask(_DUE, now=now, farthest=now + LONGEST_REST)]

    def is_due(self, job: Job) -> bool:
        """Whether its time has come."""
        now = self._clock()
        return job.due <= now or job.due > now + LONGEST_REST

    def of(self, tenant_id: str) -> list[Job]:
        """What is still to be done for a tenant."""
        return [Job(*row) for row in self._rows.ask(_ITS, tenant=tenant_id)]

    def orphans(self) -> list[Job]:
        """What is still to be done for tenants that are gone."""
        return [Job(*row) for row in self._rows.ask(_ORPHANS)]

    def put_off(self, job: Job, after: Job) -> bool:
        """Replace its time, tries and note; False if another process has taken it meanwhile."""
        answer = self._rows.write(
            lambda it: it.execute(
                _PUT_OFF,
                job=job.id,
                old=job.due,
                new=after.due,
                tried=after.tries,
                said=after.note,
            )
        )
        return answer.changed == 1

    def reseal(self, job: Job, carried: bytes) -> bool:
        """Replace what it carries, if that is as ``job`` says; whether it was."""
        answer = self._rows.write(
            lambda it: it.execute(_RESEAL, job=job.id, old=job.carried, new=carried)
        )
        return answer.changed == 1

    def drop(self, job_id: str) -> None:
        """It is done."""
        self._rows.write(lambda it: it.execute(_DROP, job=job_id))
