"""``storj-bridge check`` of each tenant: its files can be reached, and its keys open.

It changes nothing. Eight are asked at once, each for 10 s at most. With thousands of them on a slow
store, those that were not reached within two minutes are told as such.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing

from bridge.app import Services
from bridge.cli.options import moment
from bridge.cli.verdict import Verdict
from bridge.crypto.errors import CryptoError, UnknownKey
from bridge.crypto.keyring import kek_of
from bridge.settings import Settings
from bridge.state.api import StateError
from bridge.storage import lost_words, unknown_tenants
from bridge.store.api import Damaged, Forbidden, NotFound, StoreError
from bridge.store.deadline import deadline
from bridge.store.storj.library import LibraryError
from bridge.store.storj.refusals import GrantError
from bridge.stores import Stores
from bridge.tenants.api import (
    Invalid,
    NoSuchTenant,
    NotForTenant,
    Status,
    Tenant,
    TenantError,
)
from bridge.tenants.job_rows import CLAIMED, DELETE, Job
from bridge.tenants.jobs import FIRST_PAUSE
from bridge.tenants.opened import RecordedKeyring
from bridge.tenants.sealing import TENANT_GRANT, Sealer
from bridge.tenants.tenant_rows import TenantRow
from bridge.tenants.vault import Keyrings, VaultError

AT_ONCE = 8

TENANT_SECONDS = 10.0
"""Longest a tenant's store is asked."""

ALL_SECONDS = 120.0
"""Longest all of them are asked."""

HALF_SECONDS = 600.0
"""Longest a tenant is half made or half deleted before that is wrong."""

_NOTHING_LEFT = "and nothing is left that would end it"
"""Why a deletion stands still."""

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

    And on those that the store has and the database has not. Raises NoSuchTenant for ``only``,
    CannotOpen, StateError.
    """
    records = services.administration.records
    if only is not None:
        return _look_at_all(services, [records.tenant(only)])
    declared = services.administration.declared
    rows = [row for row in records.tenants() if row.tenant.id != declared]
    unknown = services.unknown()
    verdicts = _look_at_all(services, rows)
    if unknown:
        verdicts.append(Verdict("tenants", ok=False, words=lost_words(unknown)))
    elif not rows and (declared is None or services.settings.store.kind == "storj"):
        verdicts.append(Verdict("tenants", ok=True, words=_none_words(services.settings)))
    return verdicts


def look_without_database(settings: Settings) -> list[Verdict]:
    """A verdict on the tenants where there is no database yet, which is not made here.

    Raises CannotOpen, StoreError.
    """
    if settings.store.kind == "storj":
        return [Verdict("tenants", ok=True, words=_none_words(settings))]
    declared = None if settings.tenant is None else settings.tenant.id
    with closing(Stores(settings)) as stores:
        unknown = unknown_tenants(stores, lambda: {declared})
    return [Verdict("tenants", ok=False, words=lost_words(unknown))] if unknown else []


def _none_words(settings: Settings) -> str:
    """On Storj nobody sees without a root grant whether there were any."""
    words = "there is none yet" if settings.tenant is None else "there is but the declared one"
    if settings.store.kind == "storj":
        return f"{words}: storj-bridge tenant create; if there were some: storj-bridge recover"
    return f"{words}: storj-bridge tenant create"


def _look_at_all(services: Services, rows: Sequence[TenantRow]) -> list[Verdict]:
    """A verdict on each of ``rows``."""
    declared = services.administration.declared
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
        stuck = _stuck(services, tenant)
        words = f"it is {tenant.status.value}: an interrupted tenant {again} is run again"
        if stuck:
            words = (
                f"it is {tenant.status.value}, {stuck}: run storj-bridge tenant {again} {tenant.id}"
            )
        if stuck == _NOTHING_LEFT:  # nor does anything say whether its files were to be purged
            words += ", with --purge unless its files shall stay"
        return Verdict(name, ok=not stuck, words=words)
    try:
        _require_key(services, sealed_keyring)
        return Verdict(name, ok=True, words=_found_well(services, tenant, sealed_grant))
    except _TROUBLES as error:
        advice = next((words for kind, words in _ADVICE if isinstance(error, kind)), "")
        return Verdict(name, ok=False, words=f"{error}: {advice}" if advice else str(error))


def _stuck(services: Services, tenant: Tenant) -> str:
    """Why nobody will end the making or the deletion that has begun, "" where somebody may."""
    now = time.time()
    if tenant.status is Status.CREATING:
        begun = moment(tenant.created)
        return f"since {begun}" if now - tenant.created > HALF_SECONDS else ""
    jobs = [job for job in services.administration.jobs_left(tenant.id) if job.kind == DELETE]
    if not jobs:
        return _NOTHING_LEFT
    (job,) = jobs
    if job.due < now - HALF_SECONDS:
        return "and no service has gone on with it"
    if job.note != CLAIMED and _waited(job) > HALF_SECONDS:
        return f"and has failed {job.tries} times ({job.note})"
    return ""


def _waited(job: Job) -> float:
    """Seconds that have passed at least since it failed first, as its pauses double."""
    return FIRST_PAUSE * (2.0 ** min(job.tries - 1, 20) - 1)


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
