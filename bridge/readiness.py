"""Whether the parts can do their work: what ``/readyz`` asks them, for real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing, suppress

from bridge.crypto.errors import CryptoError
from bridge.crypto.keyring import Kek, kek_of
from bridge.crypto.secrets import sealed_under
from bridge.settings import Settings
from bridge.state.api import State, StateNewer
from bridge.store.api import Forbidden, ObjectStore, StoreError
from bridge.store.deadline import deadline
from bridge.tenants.api import NoSuchTenant, Status, Tenant, TenantError
from bridge.tenants.opened import OpenTenants
from bridge.tenants.records import Records
from bridge.tenants.sealing import TENANT_GRANT, Sealer
from bridge.tenants.storage import Storage

CHECK_SECONDS = 4.0
"""Longest a question of readiness is tried again for; less than it may take in all."""

_ASKED = 3
"""Tenants whose stores are asked, one after another, where none is declared."""

Ask = Callable[[], str | None]
"""Asks a part: raises where it cannot do its work; returns what to say beside "ok", if anything."""


class NotReady(Exception):
    """A part cannot do its work; the message may be told to anybody."""


def missing_key(records: Records, keks: tuple[Kek, ...]) -> str | None:
    """What is wrong where nothing that the database keeps sealed opens with ``keks``.

    What is made under a wrong key would be lost when the right one is back. A tenant alone whose
    secrets do not open is its own trouble. Raises StateError.
    """
    needed: set[bytes] = set()
    for row in records.tenants():
        with suppress(CryptoError):  # damaged
            if row.sealed_keyring:
                needed.add(kek_of(row.sealed_keyring))
        with suppress(CryptoError):
            if row.sealed_grant:
                needed.add(sealed_under(row.sealed_grant))
    if not needed or needed & {kek.id for kek in keks}:
        return None
    return (
        "what is kept of tenants is sealed under the KEK with id "
        f"{', '.join(sorted(each.hex() for each in needed))}, which is not configured "
        f"(configured: {', '.join(kek.id.hex() for kek in keks)}): put that key back"
    )


class Readiness:
    """Asks store, state and keys of a service."""

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        state: State,
        records: Records,
        tenants: OpenTenants,
        keks: tuple[Kek, ...],
    ) -> None:
        self._declared = None if settings.tenant is None else settings.tenant.id
        self._on_storj = settings.store.kind == "storj"
        self._storage = storage
        self._state = state
        self._records = records
        self._tenants = tenants
        self._keks = keks

    def checks(self) -> dict[str, Ask]:
        """What to ask of each part."""
        return {"store": self._ask_store, "state": self._ask_state, "keys": self._ask_keys}

    def _ask_store(self) -> str | None:
        """Ask the declared tenant's store, or else those of who came last, or of anybody.

        There, a grant that is worthless is that tenant's own trouble: the store has answered.
        """
        with deadline(CHECK_SECONDS):
            if self._declared is not None:
                with suppress(NoSuchTenant):  # it is being deleted
                    self._tenants.tenant(self._declared).store.probe()
                return None
            if not self._on_storj:
                with closing(self._storage.open(Tenant("probe"), "")) as store:
                    store.probe()
                return None
            recent = self._tenants.recent(_ASKED)
            if recent:
                self._ask_one_of([opened.store for opened in recent])
                return None
            found = self._any_store()
            if found is None:
                return "no tenant has a store that could be asked yet"
            with closing(found), suppress(Forbidden):
                found.probe()
            return None

    def _ask_state(self) -> None:
        try:
            self._state.probe()
        except StateNewer as error:
            raise NotReady(str(error)) from None

    def _ask_one_of(self, stores: Sequence[ObjectStore]) -> None:
        """Until one answers: of one tenant alone the satellite may be away. Raises StoreError."""
        for number, store in enumerate(stores, 1):
            try:
                with deadline(CHECK_SECONDS / len(stores)), suppress(Forbidden):
                    store.probe()
            except StoreError:
                if number == len(stores):
                    raise
            else:
                return

    def _any_store(self) -> ObjectStore | None:
        """The store of the first active tenant whose grant is one."""
        sealer = Sealer(self._keks)
        for row in self._records.tenants():
            if row.tenant.status is Status.ACTIVE:
                with suppress(CryptoError, TenantError, Forbidden):
                    grant = sealer.open(TENANT_GRANT, row.tenant.id, row.sealed_grant)
                    return self._storage.open(row.tenant, grant)
        return None

    def _ask_keys(self) -> None:
        """Open the declared tenant's keyring, and look whether the keys are those of the others."""
        words = missing_key(self._records, self._keks)
        if words is not None:
            raise NotReady(words)
        if self._declared is not None:
            with deadline(CHECK_SECONDS), suppress(NoSuchTenant):
                self._tenants.tenant(self._declared).keyrings.check()
