"""The grants of a tenant and its credentials, cut without asking anybody.

Each is cut from the one before, and can do no more: root, tenant, credential. Whoever can cut can
also revoke what was cut, with all that was cut from that. No two cuts are the same, even with equal
rights, so that each can be revoked alone.

An API key of the auditable kind is of no use as a root: the satellite takes only those grants cut
from it that were registered there.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress

from bridge.store.storj.access import Access, EncryptionKey
from bridge.store.storj.facts import ALL, READ, Permission, Place
from bridge.store.storj.refusals import Denied, GrantError

_KEY_BYTES = 32

_INTERNAL = 0x02
"""What the satellite answers where a grant is revoked twice: its database has a row for it."""


def tenant_grant(
    root: Access,
    bucket: str,
    vault_prefix: str,
    bridge_prefix: str,
    *,
    former: Access | None = None,
) -> str:
    """A grant for two folders of ``bucket``, the first under a new encryption key of its own.

    Nobody else has that key, the owner of ``root`` neither: who loses this grant loses the vault.
    ``former``: the grant that this one follows, whose key it takes over instead. What lies under
    ``bridge_prefix`` can be read with ``root`` too. Takes 64 MiB of memory for a moment. Raises
    GrantError where ``root`` does not reach so far, or does not encrypt keys: the satellite
    compares them by the bytes they begin with, so that tenant ``a`` would reach what is ``ab``'s.
    """
    if not root.facts.encrypts_keys:
        raise GrantError(
            "the access grant leaves the keys of objects unencrypted, which could not keep tenants "
            "apart: make one that encrypts them"
        )
    vault, sealed = Place(bucket, vault_prefix), Place(bucket, bridge_prefix)
    tenant = root.share(ALL, [vault, sealed])
    if former is not None:
        return tenant.with_key_of(former, vault).serialize()
    # uplink makes keys from passphrases only.
    key = EncryptionKey(secrets.token_hex(_KEY_BYTES), secrets.token_bytes(_KEY_BYTES))
    tenant.override_encryption_key(bucket, vault_prefix, key)
    return tenant.serialize()


def credential_grant(
    tenant: Access,
    places: Sequence[Place],
    permission: Permission,
    not_after: float | None = None,
) -> str:
    """A grant for a credential, that ends at ``not_after`` (Unix seconds; None: never).

    Raises GrantError where ``tenant`` does not reach ``places``, or ``permission`` has nothing.
    """
    return tenant.share(permission, places, not_after=not_after).serialize()


def recovery_grant(tenant: Access, bucket: str, vault_prefix: str) -> str:
    """A grant to list and read the vault, and to change nothing: what is kept for recovery."""
    return tenant.share(READ, [Place(bucket, vault_prefix)]).serialize()


def revoke(ancestor: Access, grant: Access, user_agent: str) -> None:
    """Make ``grant``, cut from ``ancestor``, worthless, and all that were cut from it.

    Doing it again does nothing, and nothing is to do where ``ancestor`` is worthless itself: over,
    or revoked. The satellite goes on taking a grant that it has just seen, for as long as it
    remembers that: minutes. Raises Denied where ``grant`` was cut from another one, GrantError; one
    that names no lasting reason may succeed later.
    """
    try:
        ancestor.revoke(grant, user_agent)
    except Denied:
        if not refused(ancestor, user_agent):
            raise
    except GrantError as error:
        if error.code != _INTERNAL or not refused(grant, user_agent):
            raise


def refused(grant: Access, user_agent: str) -> bool:
    """Whether the satellite takes ``grant`` no more. Raises GrantError.

    It is asked with one cut from it just now: of ``grant`` itself it may remember that it was good.
    """
    cut = grant.share(ALL, None)
    places = cut.facts.places
    with cut.open(user_agent) as project, suppress(GrantError):
        try:
            if places:
                project.stat_bucket(places[0].bucket)
            else:
                project.list_buckets()
        except Denied:
            return True
    return False
