"""The tenant that configuration declares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.crypto.keyring import Kek
from bridge.state.database import open_state
from bridge.tenants.api import ALL_RIGHTS, Right
from bridge.tenants.bucket_copy import read_copy
from bridge.tenants.configured import ConfiguredTenant, NewVault
from bridge.tenants.sealing import CREDENTIAL_GRANT, TENANT_GRANT
from bridge.tenants.service import TenantService
from bridge.tenants.sign_in import SignIn, new_secret
from bridge.tenants.vault import Keyrings, VaultError
from tests.tenants.storage import Storage

KEK = Kek(bytes(range(32)))


@pytest.fixture
def storage() -> Storage:
    return Storage()


Kept = Callable[..., tuple[NewVault | None, TenantService]]


@pytest.fixture
def keep(storage: Storage, tmp_path: Path, request: pytest.FixtureRequest) -> Kept:
    """Opens a database and keeps the tenant there, as a start does."""

    def keep(
        secret: str, *, create: bool = True, database: str = "state.db"
    ) -> tuple[NewVault | None, TenantService]:
        state = open_state(tmp_path / database)
        request.addfinalizer(state.close)
        service = TenantService(state, storage, (KEK,))
        kept = ConfiguredTenant(service, storage, (KEK,), "main")
        return kept.keep(secret, create=create), service

    return keep


def _lets_in(service: TenantService, username: str, secret: str) -> bool:
    return SignIn(service.records).authenticate(username, secret, "") is not None


def test_it_is_made_once(keep: Kept, storage: Storage) -> None:
    made, service = keep("first")
    assert made is not None
    assert made.recovery_identity.startswith("AGE-SECRET-KEY-1")
    assert made.fingerprint == Keyrings(storage.store, (KEK,), "main").fingerprint()
    assert _lets_in(service, "main", "first")
    (credential,) = service.credentials("main")
    assert (credential.rights, credential.root) == (ALL_RIGHTS, "/")
    again, service = keep("first")
    assert again is None
    assert len(service.tenants()) == 1


def test_without_a_vault_it_is_made_only_when_asked(keep: Kept) -> None:
    with pytest.raises(VaultError, match="init"):
        keep("first", create=False)


def test_its_secret_is_the_declared_one(keep: Kept) -> None:
    keep("first")
    _, service = keep("second")
    assert not _lets_in(service, "main", "first")
    assert _lets_in(service, "main", "second")


def test_it_comes_back_with_its_other_credentials(keep: Kept) -> None:
    _, service = keep("first")
    secret = service.create_credential("main", "backup", rights=Right.READ).secret
    made, service = keep("first", create=False, database="new.db")
    assert made is None
    assert _lets_in(service, "main", "first")
    assert _lets_in(service, "main.backup", secret)


def test_it_comes_back_though_the_bucket_has_no_copy(keep: Kept, storage: Storage) -> None:
    keep("first")
    storage.store.delete(".bridge/main/tenant")
    made, service = keep("first", create=False, database="new.db")
    assert made is None
    assert _lets_in(service, "main", "first")
    assert service.records.tenant("main").keyring == 1


def test_a_tenant_that_was_made_with_a_grant_may_be_declared_later(
    keep: Kept, storage: Storage, tmp_path: Path
) -> None:
    with open_state(tmp_path / "state.db") as state:
        TenantService(state, storage, (KEK,)).create_tenant("main", root_grant="root")
    made, service = keep("first", create=False)
    assert made is None
    assert _lets_in(service, "main", "first")
    # Its credential is cut from that grant, and taken back with it.
    grant = service.sealer.open(TENANT_GRANT, "main", service.records.tenant("main").sealed_grant)
    (kept,) = service.records.credentials.of("main")
    cut = service.sealer.open(CREDENTIAL_GRANT, "main", kept.sealed_grant)
    assert cut.startswith(f"{grant}/")
    copy = read_copy(storage.store, (KEK,), "main")
    assert copy is not None
    assert copy[1] == [kept]


def test_made_secrets_are_long_and_never_the_same() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert {len(secret) for secret in made} == {24}
