"""Who may come in: the words, and the interfaces that every door and command goes through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, IntFlag
from typing import Protocol


class Status(Enum):
    """What may be done with a tenant."""

    CREATING = "being made"
    """Its creation was interrupted; creating it again goes on."""
    ACTIVE = "active"
    SUSPENDED = "suspended"
    """Nobody can sign in; nothing is lost."""
    DELETING = "being deleted"
    """Its removal has begun, and will be ended after an interruption."""


class Right(IntFlag):
    """What a credential may do; ``docs/rights.md`` says which requests need which."""

    READ = 1
    WRITE = 2
    LIST = 4
    DELETE = 8


ALL_RIGHTS = Right.READ | Right.WRITE | Right.LIST | Right.DELETE


@dataclass(frozen=True, slots=True)
class Tenant:
    """One vault and what belongs to it. ``id`` is its name for ever, in keys and sealed data.

    ``quota``: bytes of content it may hold, None without limit. ``partner``: whom Storj credits,
    "" for the configured one. ``created``: Unix seconds.
    """

    id: str
    status: Status = Status.ACTIVE
    bucket: str = ""
    quota: int | None = None
    partner: str = ""
    created: float = 0.0


@dataclass(frozen=True, slots=True)
class Credential:
    """What a client signs in with, but for its secret.

    ``label``: "" for the one named like its tenant. ``root``: the folder that is all it sees, as a
    path with a leading and no trailing slash ("/" for everything). ``expires``: Unix seconds.
    """

    tenant: Tenant
    label: str = ""
    rights: Right = ALL_RIGHTS
    root: str = "/"
    created: float = 0.0
    expires: float | None = None

    @property
    def name(self) -> str:
        """The user name to sign in with, which is the principal of its locks too."""
        return f"{self.tenant.id}.{self.label}" if self.label else self.tenant.id


@dataclass(frozen=True, slots=True)
class Token:
    """What opens the admin API. ``tenant``: the one tenant it is bound to; None: the operator's."""

    id: str
    label: str
    tenant: str | None
    created: float
    expires: float | None


@dataclass(frozen=True, slots=True)
class NewTenant:
    """What is shown once, when a tenant is made. ``recovery_grant``: "" where there is no Storj.

    ``fingerprint``: of its vault, to be kept beside the identity; it is no secret.
    """

    tenant: Tenant
    recovery_identity: str = field(repr=False)
    fingerprint: str
    recovery_grant: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewGrant:
    """What is shown once, when a tenant's grant was replaced: a ``recovery_grant`` cut from it.

    ``former_works``: the former was not cut from the grant given; only its own ancestor revokes it.
    """

    tenant: Tenant
    recovery_grant: str = field(repr=False)
    former_works: bool


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A credential and its secret, which is shown this once."""

    credential: Credential
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token and its text, which is shown this once."""

    token: Token
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Used:
    """What a tenant holds: ``bytes`` of content, ``stored`` of ciphertext, ``files``.

    ``counted``: Unix seconds of the last count from the listing, None before the first.
    """

    bytes: int
    stored: int
    files: int
    counted: float | None


@dataclass(frozen=True, slots=True)
class UsageDay:
    """One tenant's traffic and storage in one bucket on one day (UTC, ``YYYY-MM-DD``).

    ``up`` and ``down``: bytes of bodies from and to clients. ``byte_hours``: of ciphertext stored.
    """

    tenant: str
    bucket: str
    partner: str
    day: str
    up: int
    down: int
    requests: int
    byte_hours: float


class TenantError(Exception):
    """What was asked cannot be done; the message says why, and what to do."""


class NoSuchTenant(TenantError):
    """There is no tenant of this name."""


class NoSuchCredential(TenantError):
    """The tenant has no credential of this name."""


class NoSuchToken(TenantError):
    """There is no token with this id."""


class AlreadyThere(TenantError):
    """A tenant or credential of this name exists."""


class Invalid(TenantError):
    """A name, folder, right, quota or time that cannot be."""


class NotForTenant(TenantError):
    """The tenant's state, or its own rights, do not allow it."""


class Authenticator(Protocol):
    """Checks what clients sign in with. Thread-safe; doors ask it in a worker thread."""

    def authenticate(self, username: str, secret: str, address: str) -> Credential | None:
        """The credential these open, or None; an unknown user takes as long as a known one.

        ``address``: the client's, by which repeated failures may be slowed down.
        """
        ...


class Administration(Protocol):
    """All that an operator does with tenants: what commands and the admin API share.

    Thread-safe, may block. Raises TenantError, StateError, StoreError, and GrantError for a grant
    that will not do.
    """

    def create_tenant(
        self,
        tenant_id: str,
        *,
        bucket: str | None = None,
        quota: int | None = None,
        partner: str = "",
        root_grant: str | None = None,
        own_grant: str | None = None,
    ) -> NewTenant:
        """Make a tenant and its vault.

        On Storj with a grant cut from ``root_grant``, which is not kept, or with ``own_grant``,
        which the tenant brings. Raises AlreadyThere, Invalid.
        """
        ...

    def replace_grant(
        self, tenant_id: str, *, root_grant: str | None = None, own_grant: str | None = None
    ) -> NewGrant:
        """Give it another grant, which opens its vault. Raises Invalid, and as ``suspend``."""
        ...

    def tenants(self) -> Sequence[Tenant]:
        """All, by id."""
        ...

    def tenant(self, tenant_id: str) -> Tenant:
        """Raises NoSuchTenant."""
        ...

    def used(self, tenant_id: str) -> Used:
        """Raises NoSuchTenant."""
        ...

    def suspend(self, tenant_id: str) -> Tenant:
        """Let nobody sign in. Raises NoSuchTenant, NotForTenant (it is being deleted)."""
        ...

    def resume(self, tenant_id: str) -> Tenant:
        """Let credentials work again. As ``suspend``."""
        ...

    def set_quota(self, tenant_id: str, quota: int | None) -> Tenant:
        """Raises NoSuchTenant, Invalid."""
        ...

    def delete_tenant(self, tenant_id: str, *, purge: bool) -> None:
        """Remove grant and credentials and, to ``purge``, the data; resumes what was interrupted.

        Raises NoSuchTenant.
        """
        ...

    def create_credential(
        self,
        tenant_id: str,
        label: str = "",
        *,
        rights: Right = ALL_RIGHTS,
        root: str = "/",
        expires: float | None = None,
    ) -> NewCredential:
        """Raises NoSuchTenant, AlreadyThere, Invalid, NotForTenant."""
        ...

    def credentials(self, tenant_id: str) -> Sequence[Credential]:
        """All, by label. Raises NoSuchTenant."""
        ...

    def revoke_credential(self, tenant_id: str, label: str = "") -> None:
        """Let nobody sign in with it any more: at once here, in seconds elsewhere.

        Its grant is revoked at the satellite as soon as that answers. Raises NoSuchTenant,
        NoSuchCredential.
        """
        ...

    def create_token(
        self, label: str, *, tenant_id: str | None = None, expires: float | None = None
    ) -> NewToken:
        """``tenant_id`` binds it to that tenant. Raises NoSuchTenant, Invalid."""
        ...

    def tokens(self) -> Sequence[Token]:
        """All, by their creation."""
        ...

    def revoke_token(self, token_id: str) -> None:
        """Raises NoSuchToken."""
        ...

    def token(self, text: str) -> Token | None:
        """The token that ``text`` is, if it is one and has not expired."""
        ...

    def usage(
        self, tenant_id: str | None = None, *, first: str | None = None, last: str | None = None
    ) -> Sequence[UsageDay]:
        """By tenant and day, ``first`` and ``last`` (``YYYY-MM-DD``) included. Raises Invalid."""
        ...
