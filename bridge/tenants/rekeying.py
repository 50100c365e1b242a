"""Rotations of keys for the tenants of one state database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from bridge.crypto.keyring import Kek
from bridge.files.resealer import Tally
from bridge.state.api import State
from bridge.tenants.opened import OpenTenant, RecordedKeyring
from bridge.tenants.records import Records
from bridge.tenants.rotation import Margins, Progress, Secret, TenantRotation, rotate_kek
from bridge.tenants.sealing import CREDENTIAL_GRANT, JOB, TENANT_GRANT
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


def secrets_of(records: Records, tenant_id: str) -> Sequence[Secret]:
    """All that the database keeps sealed of a tenant. Raises StateError, NoSuchTenant."""
    return list(_secrets_of(records, tenant_id))


def _secrets_of(records: Records, tenant_id: str) -> Iterator[Secret]:
    row = records.tenant(tenant_id)
    if row.sealed_grant:
        replace = partial(records.reseal_grant, tenant_id, row.sealed_grant)
        yield Secret(TENANT_GRANT, row.sealed_grant, replace)
    for each in records.credentials(tenant_id):
        if each.sealed_grant:
            label = each.credential.label
            replace = partial(records.reseal_credential, tenant_id, label, each.sealed_grant)
            yield Secret(CREDENTIAL_GRANT, each.sealed_grant, replace)
    for job in records.jobs_of(tenant_id):
        if job.sealed:
            yield Secret(JOB, job.sealed, partial(records.reseal_job, job.id, job.sealed))
