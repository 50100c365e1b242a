"""What tenants need of the place where their files lie, whatever kind of store that is."""

from __future__ import annotations

from typing import Protocol

from bridge.store.api import ObjectStore
from bridge.tenants.api import Right, Tenant


class Storage(Protocol):
    """Opens stores, and makes the grants they are opened with.

    A grant is "" where there is none: then the bridge alone keeps tenants apart. Raises StoreError,
    GrantError, TenantError.
    """

    def bucket_for(self, wanted: str | None) -> str:
        """The bucket a new tenant gets: ``wanted``, or the configured one. "" where there is none.

        Raises Invalid.
        """
        ...

    def tenant_grant(self, tenant: Tenant, *, root: str | None, own: str | None) -> str:
        """A grant for this tenant alone: cut from ``root``, or ``own``, which it brings.

        Makes its bucket where that is missing. Raises Invalid for one too many or too few.
        """
        ...

    def following_grant(
        self, tenant: Tenant, former: str, *, root: str | None, own: str | None
    ) -> str:
        """A grant to put in the place of ``former``, for the same files: as ``tenant_grant``.

        Makes no bucket. Raises Invalid, and NotForTenant where the tenant's grant is not kept here.
        """
        ...

    def retire(self, tenant: Tenant, given: str, former: str) -> bool:
        """Revoke ``former`` if it was cut from ``given``; whether it is worthless now."""
        ...

    def are_one(self, grant: str, other: str) -> bool:
        """Whether two texts are the same grant."""
        ...

    def credential_grant(
        self, tenant: Tenant, grant: str, rights: Right, expires: float | None
    ) -> str:
        """A grant cut from the tenant's own, that can do no more than ``rights``."""
        ...

    def recovery_grant(self, tenant: Tenant, grant: str) -> str:
        """A grant cut from the tenant's own, that can read its vault, for ever."""
        ...

    def revoke(self, tenant: Tenant, ancestor: str, grant: str) -> None:
        """Make ``grant`` worthless; it was cut from ``ancestor``."""
        ...

    def open(self, tenant: Tenant, grant: str) -> ObjectStore:
        """The tenant's store, by its grant or a narrower one.

        Dropped or closed, it gives back all that it holds.
        """
        ...
