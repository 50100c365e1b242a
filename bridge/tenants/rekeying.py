"""Rotations of keys for the tenants of one state database."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bridge.crypto.keyring import Kek
from bridge.files.resealer import Tally
from bridge.state.api import State
from bridge.tenants.job_rows import CARRIED, Job, JobRows, join, parts_of
from bridge.tenants.opened import OpenTenant, RecordedKeyring
from bridge.tenants.records import Records
from bridge.tenants.rotation import Margins, Progress, Secret, TenantRotation, rotate_kek
from bridge.tenants.sealing import CREDENTIAL_GRANT, TENANT_GRANT, Sealer
from bridge.tenants.service import TenantService


class Rekeying:
    """Replaces keys of open tenants. ``keks``: the first is the one to seal under."""

    def __init__(
        self, administration: TenantService, state: State, keks: tuple[Kek, ...], margins: Margins
    ) -> None:
        self._administration = administration
        self._records = administration.records
        self._state = state
        self._keks = keks
        self._margins = margins

    def rotate_kek(self, opened: OpenTenant) -> int:
        """Seal all that is kept of a tenant under the first key; returns how much that was.

        Raises as ``bridge.tenants.rotation.rotate_kek``.
        """
        tenant_id = opened.tenant.id
        count = rotate_kek(
            opened.keyrings,
            RecordedKeyring(self._records, tenant_id),
            self._keks,
            tenant_id,
            lambda: secrets_of(self._records, tenant_id),
            self._state.tree(tenant_id),
        )
        self._administration.keep_copy(tenant_id)
        return count

    def gone(self) -> list[str]:
        """Tenants that are gone, for whom something is still to be done, by id."""
        return sorted({job.tenant for job in self._records.jobs.orphans()})

    def rotate_left(self, tenant_id: str) -> int:
        """Seal what the jobs of a tenant that is gone carry under the first key.

        Returns how much that was. Raises CryptoError, StateError.
        """
        sealer = Sealer(self._keks)
        count = 0
        for job in self._records.jobs.of(tenant_id):
            parts = parts_of(job)
            renewed = [
                sealer.renewed(purpose, tenant_id, sealed)
                for purpose, sealed in zip(CARRIED[job.kind], parts, strict=True)
            ]
            both = zip(renewed, parts, strict=True)
            if self._records.jobs.reseal(job, join(new or old for new, old in both)):
                count += sum(new is not None for new in renewed)
        return count

    def rotate_tenant(
        self, opened: OpenTenant, progress: Progress, *, leave_damaged: bool = False
    ) -> Tally:
        """Replace a tenant's root key. Raises as ``TenantRotation.run``."""
        rotation = TenantRotation(
            opened.tree.vault,
            opened.keyrings,
            RecordedKeyring(self._records, opened.tenant.id),
            self._margins,
            progress=progress,
        )
        return rotation.run(leave_damaged=leave_damaged)


def secrets_of(records: Records, tenant_id: str) -> list[Secret]:
    """All that the database keeps sealed of a tenant. Raises StateError, NoSuchTenant."""
    row = records.tenant(tenant_id)
    found = []
    if row.sealed_grant:
        replace = partial(records.reseal_grant, tenant_id, row.sealed_grant)
        found.append(Secret(TENANT_GRANT, row.sealed_grant, replace))
    for each in records.credentials.of(tenant_id):
        if each.sealed_grant:
            label = each.credential.label
            replace = partial(records.credentials.reseal, tenant_id, label, each.sealed_grant)
            found.append(Secret(CREDENTIAL_GRANT, each.sealed_grant, replace))
    for job in records.jobs.of(tenant_id):
        found += _carried(records.jobs, job)
    return found


def _carried(jobs: JobRows, job: Job) -> Iterator[Secret]:
    """What a job carries, part by part; once one is replaced, the others are to be read again."""
    parts = parts_of(job)
    for number, (purpose, sealed) in enumerate(zip(CARRIED[job.kind], parts, strict=True)):

        def replace(new: bytes, number: int = number) -> bool:
            return jobs.reseal(job, join([*parts[:number], new, *parts[number + 1 :]]))

        if sealed:
            yield Secret(purpose, sealed, replace)
