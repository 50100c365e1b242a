"""On Storj, a tenant without a grant of its own: one that is, or once was, declared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.crypto.keyring import Kek
from bridge.settings import Settings, load
from bridge.state.database import DatabaseState, open_state
from bridge.storage import StorjStorage
from bridge.store.api import ObjectStore
from bridge.store.memory import MemoryStore
from bridge.stores import CannotOpen
from bridge.tenants.api import NotForTenant, Status, Tenant
from bridge.tenants.job_rows import DELETE
from bridge.tenants.service import TenantService
from bridge.tenants.tenant_rows import TenantRow
from tests.store.storj.grants import grant

KEK = Kek(bytes(range(32)))
FORMER = Tenant("main", bucket="photos", created=1.0)


class _Opening:
    """``bridge.stores.Stores`` over memory, which remembers by which grants it was opened."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.grants: list[str | None] = []

    def open(
        self, tenant_id: str, *, bucket: str, grant: str | None, partner: str = ""
    ) -> ObjectStore:
        self.grants.append(grant)
        return self.store


@pytest.fixture
def state(tmp_path: Path) -> Iterator[DatabaseState]:
    with open_state(tmp_path / "state.db") as opened:
        yield opened


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    def made(**store: Any) -> Settings:
        where = {"kind": "storj", "bucket": "photos", **store}
        return load(None, {"store": where, "state": {"path": tmp_path / "state.db"}})

    return made


def _service(state: DatabaseState, settings: Settings, **named: Any) -> tuple[Any, _Opening]:
    stores = _Opening()
    storage = StorjStorage(stores, settings)  # type: ignore[arg-type]
    return TenantService(state, storage, (KEK,), **named), stores


@pytest.mark.parametrize("purge", [False, True])
def test_one_that_is_declared_no_more_is_deleted_by_the_configured_grant(
    state: DatabaseState, settings: Callable[..., Settings], purge: bool
) -> None:
    configured = settings(grant=grant())
    assert configured.tenant is None
    service, stores = _service(state, configured)
    service.records.add_tenant(TenantRow(FORMER))
    service.delete_tenant("main", purge=purge)
    assert service.tenants() == []
    assert service.jobs_left("main") == []
    assert set(stores.grants) == {grant()}


def test_without_one_its_deletion_says_so_and_goes_on_when_there_is_one(
    state: DatabaseState, settings: Callable[..., Settings], tmp_path: Path
) -> None:
    service, stores = _service(state, settings(grant_file=tmp_path / "missing"))
    service.records.add_tenant(TenantRow(FORMER))
    service.delete_tenant("main", purge=True)
    assert service.tenant("main").status is Status.DELETING
    (job,) = service.jobs_left("main")
    assert job.kind == DELETE
    assert "tenant main has but the grant in [store]" in job.note
    assert "missing" in job.note
    assert stores.grants == []
    service, _ = _service(state, settings(grant=grant()), clock=lambda: job.due + 1.0)
    service.jobs.run_due()
    assert service.tenants() == []


@pytest.mark.parametrize("what", ["nothing at all", "", None])
def test_what_will_not_do_fails_as_the_tenants_and_as_the_stores(
    settings: Callable[..., Settings], what: str | None
) -> None:
    """So that a job of its fails, and no others; and a service that begins says what is wrong."""
    configured = settings(grant=what) if what is not None else settings()
    storage = StorjStorage(_Opening(), configured)  # type: ignore[arg-type]
    for kind in (NotForTenant, CannotOpen):
        with pytest.raises(kind, match=r"^store: tenant main has but the grant in \[store\]: "):
            storage.open(FORMER, "")


def test_the_tenants_own_is_used_where_there_is_one(settings: Callable[..., Settings]) -> None:
    stores = _Opening()
    StorjStorage(stores, settings(grant=grant())).open(FORMER, "its own")  # type: ignore[arg-type]
    assert stores.grants == ["its own"]
