"""Replacing a tenant's grant on a real state database: all of it or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.crypto.errors import UnknownKey
from bridge.crypto.keyring import Kek
from bridge.state.database import DatabaseState, open_state
from bridge.tenants import regranting
from bridge.tenants.api import Credential, NoSuchTenant, NotForTenant, Status, Tenant
from bridge.tenants.bucket_copy import read_copy
from bridge.tenants.credential_rows import CredentialRow
from bridge.tenants.job_rows import COPY, new_job
from bridge.tenants.opened import OpenTenants
from bridge.tenants.records import Records
from bridge.tenants.sealing import CREDENTIAL_GRANT, TENANT_GRANT
from bridge.tenants.service import TenantService
from bridge.tenants.tenant_rows import TenantRow
from tests.tenants.storage import Storage

OLD, NEW = (Kek(bytes([number]) * 32) for number in (1, 2))


@pytest.fixture
def storage() -> Storage:
    return Storage()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[DatabaseState]:
    opened = open_state(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def service(state: DatabaseState, storage: Storage) -> TenantService:
    """With a tenant ``acme`` that has two credentials, one of them over."""
    service = TenantService(state, storage, (OLD,))
    service.create_tenant("acme", root_grant="root")
    service.create_credential("acme", "laptop")
    parent = service.records.tenant("acme").sealed_grant
    service.records.credentials.add(_over(service), parent, new_job(COPY, "acme"))
    service.jobs.run_for("acme")
    return service


def _over(service: TenantService) -> CredentialRow:
    """A credential that has ended."""
    return _row(service, "over", time.time() - 60)


def _row(service: TenantService, label: str, expires: float | None = None) -> CredentialRow:
    """A credential with the secret of the first, and a grant cut from the tenant's."""
    first = service.records.credentials.of("acme")[0]
    tenant = service.records.tenant("acme")
    grant = service.sealer.open(TENANT_GRANT, "acme", tenant.sealed_grant)
    sealed = service.sealer.seal(CREDENTIAL_GRANT, "acme", f"{grant}/{label}")
    return CredentialRow(Credential(tenant.tenant, label, expires=expires), first.digest, sealed)


def _add(service: TenantService, label: str) -> None:
    parent = service.records.tenant("acme").sealed_grant
    service.records.credentials.add(_row(service, label), parent, new_job(COPY, "acme"))


def _grants(service: TenantService) -> list[str]:
    """The tenant's, then those of its credentials."""
    row = service.records.tenant("acme")
    open_ = service.sealer.open
    its = service.records.credentials.of("acme")
    return [
        open_(TENANT_GRANT, "acme", row.sealed_grant),
        *(open_(CREDENTIAL_GRANT, "acme", each.sealed_grant) for each in its),
    ]


def test_what_was_cut_from_it_is_cut_anew_and_the_bucket_knows(
    service: TenantService, storage: Storage
) -> None:
    (former, *before) = _grants(service)
    told: list[str] = []
    service.changed = lambda: told.append("changed")
    new = service.replace_grant("acme", own_grant="own")
    assert (new.recovery_grant, new.former_works) == ("own/recovery", True)
    assert told == ["changed"]
    tenant, *its = _grants(service)
    assert tenant == "own"
    assert all(each.startswith("own/") for each in its)
    # The one that is over needs none.
    assert storage.revoked == [(former, before[0])]
    assert service.records.jobs.of("acme") == []
    kept = read_copy(storage.store, (OLD,), "acme")
    assert kept is not None
    assert kept[0].sealed_grant == service.records.tenant("acme").sealed_grant
    assert kept[1] == service.records.credentials.of("acme")


def test_by_the_grant_it_was_cut_from_the_former_is_revoked_with_all_cut_from_it(
    service: TenantService, storage: Storage
) -> None:
    former = _grants(service)[0]
    assert not service.replace_grant("acme", root_grant="root").former_works
    assert storage.revoked == [("root", former)]
    assert service.records.jobs.of("acme") == []


def test_what_the_satellite_was_not_there_for_is_done_later(
    service: TenantService, storage: Storage
) -> None:
    former, laptop, _ = _grants(service)
    storage.away = True
    service.replace_grant("acme", own_grant="own")
    assert [job.kind for job in service.jobs_left("acme")] == ["revoke"]
    storage.away = False
    assert service.jobs.run_for("acme") == []
    assert storage.revoked == [(former, laptop)]


def _between(
    service: TenantService, monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], object]
) -> None:
    """Have each of ``steps`` happen just before one attempt to write."""
    left = list(steps)
    write = Records.replace_grant

    def replace_grant(records: Records, *arguments: object) -> bool:
        if left:
            left.pop(0)()
        return write(records, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Records, "replace_grant", replace_grant)


def test_a_credential_that_comes_or_goes_meanwhile_is_seen(
    service: TenantService, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = _grants(service)[0]
    _between(
        service,
        monkeypatch,
        lambda: _add(service, "new"),
        lambda: service.records.credentials.revoke("acme", "laptop", new_job(COPY, "acme")),
    )
    service.replace_grant("acme", root_grant="root")
    labels = [each.label for each in service.credentials("acme")]
    assert labels == ["new", "over"]
    tenant, *its = _grants(service)
    assert tenant != former
    assert all(each.startswith(f"{tenant}/") for each in its)
    assert [pair for pair in storage.revoked if pair[0] == "root"] == [("root", former)]


def test_one_that_changes_all_the_time_is_given_up_and_nothing_is_changed(
    service: TenantService, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter(range(100))
    steps = [lambda: _add(service, f"new{next(numbers)}")] * regranting.ATTEMPTS
    _between(service, monkeypatch, *steps)
    former = _grants(service)[0]
    with pytest.raises(NotForTenant, match="run it again"):
        service.replace_grant("acme", own_grant="own")
    assert _grants(service)[0] == former
    service.replace_grant("acme", own_grant="own")
    assert _grants(service)[0] == "own"


def test_another_tenant_of_its_name_is_left_alone(
    service: TenantService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def anew() -> None:
        service.records.drop_tenant(service.tenant("acme"))
        row = service.sealer.seal(TENANT_GRANT, "acme", "another")
        tenant = Tenant("acme", Status.ACTIVE, "bucket", created=time.time() + 5)
        service.records.add_tenant(TenantRow(tenant, sealed_grant=row))

    _between(service, monkeypatch, anew)
    with pytest.raises(NotForTenant, match="made anew"):
        service.replace_grant("acme", own_grant="own")
    assert _grants(service) == ["another"]


def test_a_credential_of_the_former_grant_is_not_made_after_it(
    service: TenantService, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = storage.credential_grant

    def replaced_meanwhile(*arguments: object) -> str:
        grant = cut(*arguments)  # type: ignore[arg-type]
        monkeypatch.undo()
        service.replace_grant("acme", own_grant="own")
        return grant

    monkeypatch.setattr(storage, "credential_grant", replaced_meanwhile)
    with pytest.raises(NotForTenant, match="try again"):
        service.create_credential("acme", "late")
    assert "late" not in {each.label for each in service.credentials("acme")}
    service.create_credential("acme", "late")


def test_the_operators_key_replaced_meanwhile_or_not_at_hand(
    service: TenantService, state: DatabaseState, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = TenantService(state, storage, (NEW, OLD))

    def reseal() -> None:
        row = service.records.tenant("acme")
        grant = both.sealer.renewed(TENANT_GRANT, "acme", row.sealed_grant)
        assert grant is not None
        assert service.records.reseal_grant("acme", row.sealed_grant, grant)

    _between(service, monkeypatch, reseal)
    both.replace_grant("acme", own_grant="own")
    assert _grants(both)[0] == "own"
    with pytest.raises(UnknownKey):
        service.replace_grant("acme", own_grant="other")
    assert _grants(both)[0] == "own"


def test_a_tenant_that_is_open_is_opened_again_by_another_grant_and_only_by_another(
    service: TenantService, state: DatabaseState, storage: Storage
) -> None:
    tenants = OpenTenants(service.records, storage, state, (NEW, OLD), cache_names=1_000)
    (laptop, _) = service.credentials("acme")
    tenants.tree(laptop)
    (first,) = tenants
    row = service.records.tenant("acme")
    both = TenantService(state, storage, (NEW, OLD))
    sealed = both.sealer.renewed(TENANT_GRANT, "acme", row.sealed_grant)
    assert sealed is not None
    service.records.reseal_grant("acme", row.sealed_grant, sealed)
    tenants.tree(laptop)
    tenants.confirm()
    assert list(tenants) == [first]
    both.replace_grant("acme", own_grant="own")
    tenants.tree(laptop)
    (second,) = tenants
    assert second is not first
    both.replace_grant("acme", own_grant="another")
    tenants.confirm()
    assert list(tenants) == []
    tenants.close()


def test_who_is_not_there_or_not_whole_gets_none(
    service: TenantService, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NoSuchTenant):
        service.replace_grant("nobody", own_grant="own")
    service.records.set_status("acme", Status.CREATING)
    with pytest.raises(NotForTenant, match="create it again"):
        service.replace_grant("acme", own_grant="own")
