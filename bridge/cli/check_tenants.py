"""``storj-bridge check`` of each tenant: its files can be reached, and its keys open.

It changes nothing. Eight are asked at once, each for 10 s at most. With thousands of them on a slow
store, those that were not reached within two minutes are told as such.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing

from bridge.app import Services
from bridge.cli.verdict import Verdict
from bridge.crypto.errors import CryptoError, UnknownKey
from bridge.crypto.keyring import kek_of
from bridge.state.api import StateError
from bridge.store.api import Damaged, Forbidden, NotFound, StoreError
from bridge.store.deadline import deadline
from bridge.store.storj.library import LibraryError
from bridge.store.storj.refusals import GrantError
from bridge.tenants.api import (
    Invalid,
    NoSuchTenant,
    NotForTenant,
    Status,
    Tenant,
    TenantError,
)
from bridge.tenants.opened import RecordedKeyring
from bridge.tenants.sealing import TENANT_GRANT, Sealer
from bridge.tenants.vault import Keyrings, VaultError

AT_ONCE = 8

TENANT_SECONDS = 10.0
"""Longest a tenant's store is asked."""

ALL_SECONDS = 120.0
"""Longest all of them are asked."""

_ANOTHER = "give it another grant: storj-bridge tenant replace-grant"

_ADVICE: tuple[tuple[type[Exception], str], ...] = (
    (UnknownKey, "put that key back into the key file, below the first"),
    (CryptoError, "put the database back from a backup, or make it anew by storj-bridge recover"),
    (Invalid, _ANOTHER),
    (NoSuchTenant, "it was deleted just now"),
    (NotForTenant, "declare it by [tenant] again, whose grant it had"),
    (Forbidden, f"was its grant revoked, or its bucket removed? If its grant was, {_ANOTHER}"),
    (NotFound, "was its bucket removed?"),
    (Damaged, "put it back from a backup"),
    (StoreError, "look whether the store can be reached from here, and check again"),
    (GrantError, _ANOTHER),
    (VaultError, "put what is missing there below .bridge/ in the store back from a backup"),
)
"""What to do about an error, by the first kind that it is; the others' messages say it."""

_TROUBLES = (
    CryptoError,
    GrantError,
    LibraryError,
    StateError,
    StoreError,
    TenantError,
    VaultError,
)


def look_at_tenants(services: Services, only: str | None) -> list[Verdict]:
    """A verdict on each tenant but the declared one, by id; ``only``: on this one alone.

    Raises NoSuchTenant for ``only``, StateError.
    """
    records = services.administration.records
    rows = records.tenants() if only is None else [records.tenant(only)]
    declared = services.administration.declared
    if not rows:
        return [Verdict("tenants", ok=True, words="there is none yet: storj-bridge tenant create")]
    threads = ThreadPoolExecutor(AT_ONCE)
    looks = [
        threads.submit(_look_at, services, row.tenant, row.sealed_keyring, row.sealed_grant)
        for row in rows
        if row.tenant.id != declared
    ]
    wait(looks, ALL_SECONDS)
    threads.shutdown(cancel_futures=True)
    verdicts = [look.result() for look in looks if not look.cancelled()]
    left = len(looks) - len(verdicts)
    if left:
        words = (
            f"{left} of {len(looks)} were not looked at within {ALL_SECONDS:.0f} s: look at them "
            "one by one with --tenant"
        )
        verdicts.append(Verdict("tenants", ok=False, words=words))
    return verdicts


def _look_at(
    services: Services, tenant: Tenant, sealed_keyring: bytes, sealed_grant: bytes
) -> Verdict:
    name = f"tenant {tenant.id}"
    if tenant.status in (Status.CREATING, Status.DELETING):
        again = "create" if tenant.status is Status.CREATING else "delete"
        words = f"it is {tenant.status.value}: an interrupted tenant {again} is run again"
        return Verdict(name, ok=True, words=words)
    try:
        _require_key(services, sealed_keyring)
        return Verdict(name, ok=True, words=_found_well(services, tenant, sealed_grant))
    except _TROUBLES as error:
        advice = next((words for kind, words in _ADVICE if isinstance(error, kind)), "")
        return Verdict(name, ok=False, words=f"{error}: {advice}" if advice else str(error))


def _require_key(services: Services, sealed_keyring: bytes) -> None:
    """Raise UnknownKey where the keyring that the database knows does not open."""
    if sealed_keyring and (needed := kek_of(sealed_keyring)) not in {k.id for k in services.keks}:
        raise UnknownKey(
            f"its keyring is sealed under the KEK with id {needed.hex()}, which is not configured",
            key_id=needed.hex(),
        )


def _found_well(services: Services, tenant: Tenant, sealed_grant: bytes) -> str:
    grant = Sealer(services.keks).open(TENANT_GRANT, tenant.id, sealed_grant)
    words = services.storage.grant_words(tenant, grant)
    with deadline(TENANT_SECONDS), closing(services.storage.open(tenant, grant)) as store:
        store.probe()
        ledger = RecordedKeyring(services.administration.records, tenant.id)
        Keyrings(store, services.keks, tenant.id, ledger).check()
    facts = ["its store answers", "its keyring opens", *([words] if words else [])]
    if tenant.status is Status.SUSPENDED:
        facts.append("it is suspended")
    return ", ".join(facts)
