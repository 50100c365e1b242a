"""Where tenants' files lie, by the configured kind of store: ``bridge.tenants.storage`` at work."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from bridge.settings import Settings
from bridge.store.api import NotFound, ObjectStore
from bridge.store.storj import grants
from bridge.store.storj.access import Access
from bridge.store.storj.facts import Permission, Place
from bridge.store.storj.library import LibraryError
from bridge.store.storj.refusals import BucketNotFound, Denied, GrantError
from bridge.stores import CannotOpen, Stores, agent_of, grant_text, make_bucket, usable_grant
from bridge.tenants.api import Invalid, NotForTenant, Right, Tenant
from bridge.tenants.bucket_copy import copy_key
from bridge.tenants.recover import BRIDGE, tenant_ids
from bridge.tenants.vault import bridge_prefix, vault_prefix

_NAMED = 5
"""Tenants that are named where there are many."""


def storage_of(
    settings: Settings, stores: Stores, *, create: bool = False
) -> SharedStorage | StorjStorage:
    """By the configured kind. Raises CannotOpen."""
    if settings.store.kind == "storj":
        return StorjStorage(stores, settings, create=create)
    return SharedStorage(stores)


class NoUsableGrant(CannotOpen, NotForTenant):
    """The configured grant will not do for a tenant that has none of its own."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """A store in which the bridge may keep tenants; ``wanted``: only these, None: any."""

    bucket: str
    store: ObjectStore
    wanted: list[str] | None = None


def keepings(
    stores: Stores, kind: str, *, grant: str | None, buckets: Sequence[str], user_agent: str
) -> Iterator[Keeping]:
    """Where tenants may be that the state database does not know.

    On Storj in ``buckets``, or all that ``grant`` may list, or what it is limited to: a root grant
    knows no names before. Raises GrantError, Invalid, CannotOpen, StoreError.
    """
    if kind != "storj":
        yield Keeping("", stores.open("recover", bucket="", grant=None))
        return
    if grant is None:
        raise Invalid("on Storj it needs the root grant, or the grant that a tenant has brought")
    access = Access.parse(grant)
    places = access.facts.places
    if places is None and not buckets:
        with access.open(user_agent) as project:
            buckets = [bucket.name for bucket in project.list_buckets()]
    if places is None or any(place.prefix == "" for place in places):
        reached = [place.bucket for place in places or () if place.prefix == ""]
        for bucket in buckets or reached:
            yield Keeping(bucket, stores.open("recover", bucket=bucket, grant=grant))
        return
    for place in places:
        kept = (place.prefix or "").removeprefix(BRIDGE).rstrip("/")
        if place.prefix == bridge_prefix(kept):
            yield Keeping(place.bucket, stores.open(kept, bucket=place.bucket, grant=grant), [kept])


def unknown_tenants(stores: Stores, known: Callable[[], Collection[str | None]]) -> list[str]:
    """Tenants that a store of all tenants keeps and the state database does not know.

    Not those that were deleted and their files kept: of them the copy is gone, as ``recover`` sees
    it. ``known`` is asked after the listing, so that who is made or deleted meanwhile is none of
    them. Raises CannotOpen, StoreError, and what ``known`` does.
    """
    with closing(stores.open("look", bucket="", grant=None)) as store:
        there = tenant_ids(store)
        familiar = frozenset(known())
        return [each for each in there if each not in familiar and _has_copy(store, each)]


def lost_words(unknown: Sequence[str]) -> str:
    """What to do about ``unknown_tenants``."""
    some = ", ".join(unknown[:_NAMED]) + (", ..." if len(unknown) > _NAMED else "")
    what = "a tenant" if len(unknown) == 1 else f"{len(unknown)} tenants"
    return f"the store holds {what} the database does not know: storj-bridge recover ({some})"


def _has_copy(store: ObjectStore, tenant_id: str) -> bool:
    try:
        store.stat(copy_key(tenant_id))
    except NotFound:
        return False
    return True


class SharedStorage:
    """All tenants in the one store, a folder or memory, where the bridge alone keeps them apart."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def bucket_for(self, wanted: str | None) -> str:
        """See ``Storage``."""
        if wanted:
            raise Invalid("only tenants on Storj have a bucket")
        return ""

    def tenant_grant(self, tenant: Tenant, *, root: str | None, own: str | None) -> str:
        """See ``Storage``."""
        if root is not None or own is not None:
            raise Invalid("only tenants on Storj have an access grant")
        return ""

    def following_grant(
        self, tenant: Tenant, former: str, *, root: str | None, own: str | None
    ) -> str:
        """No tenant has one."""
        raise Invalid("only tenants on Storj have an access grant")

    def retire(self, tenant: Tenant, given: str, former: str) -> bool:
        """No tenant has one."""
        return True

    def are_one(self, grant: str, other: str) -> bool:
        """No tenant has one."""
        return True

    def grant_words(self, tenant: Tenant, grant: str) -> str:
        """No tenant has one."""
        return ""

    def credential_grant(
        self, tenant: Tenant, grant: str, rights: Right, expires: float | None
    ) -> str:
        """See ``Storage``."""
        return ""

    def recovery_grant(self, tenant: Tenant, grant: str) -> str:
        """See ``Storage``."""
        return ""

    def revoke(self, tenant: Tenant, ancestor: str, grant: str) -> None:
        """See ``Storage``."""

    def open(self, tenant: Tenant, grant: str) -> ObjectStore:
        """See ``Storage``."""
        return self._stores.open(tenant.id, bucket="", grant=None)


class StorjStorage:
    """Each tenant by a grant of its own; who is or was declared has none: by the configured."""

    def __init__(self, stores: Stores, settings: Settings, *, create: bool = False) -> None:
        """``create``: make the configured tenant's bucket where it is missing.

        Raises CannotOpen for a configured grant that will not do.
        """
        self._stores = stores
        self._store = settings.store
        self._configured: str | None = None
        if create and settings.tenant is not None:
            self._configured = usable_grant(settings, create)

    def bucket_for(self, wanted: str | None) -> str:
        """See ``Storage``."""
        assert self._store.bucket is not None, "settings refuse a storj store without a bucket"
        return wanted or self._store.bucket

    def tenant_grant(self, tenant: Tenant, *, root: str | None, own: str | None) -> str:
        """See ``Storage``."""
        access = _given(root, own)
        vault, sealed = _require_fit(access, tenant)
        partner = tenant.partner or self._store.partner
        make_bucket(access, tenant.bucket, partner, self._agent(tenant))
        if own is not None:
            return access.serialize()
        return grants.tenant_grant(access, tenant.bucket, vault, sealed)

    def following_grant(
        self, tenant: Tenant, former: str, *, root: str | None, own: str | None
    ) -> str:
        """See ``Storage``."""
        if not former:
            raise NotForTenant(
                f"the access grant of tenant {tenant.id} is the one in [store] of the "
                "configuration: put another one there, and restart the service"
            )
        access = _given(root, own)
        vault, sealed = _require_fit(access, tenant)
        try:
            with access.open(self._agent(tenant)) as project:
                project.stat_bucket(tenant.bucket)
        except BucketNotFound:
            raise Invalid(
                f"the access grant is of a project without the bucket {tenant.bucket}, where the "
                f"files of tenant {tenant.id} are"
            ) from None
        if own is not None:
            return access.serialize()
        return grants.tenant_grant(
            access, tenant.bucket, vault, sealed, former=Access.parse(former)
        )

    def retire(self, tenant: Tenant, given: str, former: str) -> bool:
        """See ``Storage``."""
        try:
            self.revoke(tenant, given, former)
        except Denied:  # cut from another one
            return grants.refused(Access.parse(former), self._agent(tenant))
        return True

    def are_one(self, grant: str, other: str) -> bool:
        """See ``Storage``."""
        return Access.parse(grant).facts.key_id == Access.parse(other).facts.key_id

    def grant_words(self, tenant: Tenant, grant: str) -> str:
        """What a tenant's grant says of itself, "" where there is none.

        That it was revoked, only the store's answer tells. Raises Invalid for one that will not do,
        GrantError for what is none.
        """
        if not grant:
            return ""
        access = Access.parse(grant)
        _require_fit(access, tenant)
        words = f"its grant {access.facts.validity(time.time())}"
        if access.facts.not_after is not None:
            words += f" (replace it before: storj-bridge tenant replace-grant {tenant.id})"
        return words

    def credential_grant(
        self, tenant: Tenant, grant: str, rights: Right, expires: float | None
    ) -> str:
        """See ``Storage``."""
        permission = Permission(
            download=Right.READ in rights,
            upload=Right.WRITE in rights,
            list=Right.LIST in rights,
            delete=Right.DELETE in rights,
        )
        place = Place(tenant.bucket, vault_prefix(tenant.id))
        return grants.credential_grant(Access.parse(grant), [place], permission, expires)

    def recovery_grant(self, tenant: Tenant, grant: str) -> str:
        """See ``Storage``."""
        return grants.recovery_grant(Access.parse(grant), tenant.bucket, vault_prefix(tenant.id))

    def revoke(self, tenant: Tenant, ancestor: str, grant: str) -> None:
        """See ``Storage``."""
        grants.revoke(Access.parse(ancestor), Access.parse(grant), self._agent(tenant))

    def open(self, tenant: Tenant, grant: str) -> ObjectStore:
        """See ``Storage``."""
        grant = grant or self._configured_for(tenant)
        bucket, partner = tenant.bucket, tenant.partner
        return self._stores.open(tenant.id, bucket=bucket, grant=grant, partner=partner)

    def _configured_for(self, tenant: Tenant) -> str:
        """The configured grant, for who is or was declared. Raises NoUsableGrant."""
        try:
            text = self._configured or grant_text(self._store)
            _require_fit(Access.parse(text), tenant)
        except (CannotOpen, GrantError, LibraryError, Invalid) as error:
            words = f"store: tenant {tenant.id} has but the grant in [store]: "
            raise NoUsableGrant(words + str(error).removeprefix("store: ")) from None
        self._configured = text
        return text

    def _agent(self, tenant: Tenant) -> str:
        return agent_of(self._store, tenant.partner)


def _given(root: str | None, own: str | None) -> Access:
    """The grant to make a tenant's of. Raises Invalid, GrantError."""
    if (root is None) == (own is None):
        raise Invalid(
            "a tenant on Storj needs the root grant, from which its own is cut, or a grant "
            "that it brings: one of the two"
        )
    return Access.parse(root or own or "")


def _require_fit(access: Access, tenant: Tenant) -> tuple[str, str]:
    """The two prefixes of a tenant, which its grant must reach. Raises Invalid."""
    prefixes = vault_prefix(tenant.id), bridge_prefix(tenant.id)
    unfit = access.facts.unfit([Place(tenant.bucket, each) for each in prefixes], time.time())
    if unfit is not None:
        raise Invalid(unfit)
    return prefixes
