"""An ``Administration`` in memory: small, and true to what the Protocol promises."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from bridge.tenants.api import (
    ALL_RIGHTS,
    AlreadyThere,
    Credential,
    Invalid,
    NewCredential,
    NewTenant,
    NewToken,
    NoSuchCredential,
    NoSuchTenant,
    NoSuchToken,
    NotForTenant,
    Right,
    Status,
    Tenant,
    Token,
    UsageDay,
    Used,
)

BUCKET = "files"


class GrantRefused(Exception):
    """A grant that will not do, as the store of a real one says it."""


class MemoryAdministration:
    """What is asked of it is in ``calls``, by method."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.calls: list[str] = []
        self.days: list[UsageDay] = []
        self.broken: Exception | None = None
        """Raised by whatever is asked next."""
        self._lock = threading.RLock()
        self._tenants: dict[str, Tenant] = {}
        self._credentials: dict[tuple[str, str], Credential] = {}
        self._tokens: dict[str, Token] = {}

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
        self._called("create_tenant")
        if root_grant is not None and own_grant is not None:
            raise Invalid("a tenant has one grant: from the root grant, or its own")
        for grant in (root_grant, own_grant):
            if grant is not None and not grant.startswith("grant-"):
                raise GrantRefused(f"this is not an access grant: {grant}")
        with self._lock:
            if tenant_id in self._tenants:
                raise AlreadyThere(f"there is a tenant {tenant_id}; choose another name")
            tenant = Tenant(
                tenant_id,
                bucket=bucket or BUCKET,
                quota=quota,
                partner=partner,
                created=self.clock(),
            )
            self._tenants[tenant_id] = tenant
        grant = "" if root_grant is None else "recovery-" + secrets.token_urlsafe()
        return NewTenant(tenant, "AGE-SECRET-KEY-1" + secrets.token_hex(16).upper(), grant)

    def tenants(self) -> Sequence[Tenant]:
        self._called("tenants")
        return [self._tenants[name] for name in sorted(self._tenants)]

    def tenant(self, tenant_id: str) -> Tenant:
        self._called("tenant")
        return self._there(tenant_id)

    def used(self, tenant_id: str) -> Used:
        self._called("used")
        self._there(tenant_id)
        return Used(bytes=5, stored=7, files=1, counted=None)

    def suspend(self, tenant_id: str) -> Tenant:
        self._called("suspend")
        return self._change(tenant_id, status=Status.SUSPENDED)

    def resume(self, tenant_id: str) -> Tenant:
        self._called("resume")
        return self._change(tenant_id, status=Status.ACTIVE)

    def set_quota(self, tenant_id: str, quota: int | None) -> Tenant:
        self._called("set_quota")
        with self._lock:
            self._tenants[tenant_id] = replace(self._there(tenant_id), quota=quota)
            return self._tenants[tenant_id]

    def delete_tenant(self, tenant_id: str, *, purge: bool) -> None:
        self._called("delete_tenant")
        with self._lock:
            self._there(tenant_id)
            del self._tenants[tenant_id]
            for key in [key for key in self._credentials if key[0] == tenant_id]:
                del self._credentials[key]
            for token in [t for t in self._tokens.items() if t[1].tenant == tenant_id]:
                del self._tokens[token[0]]

    def create_credential(
        self,
        tenant_id: str,
        label: str = "",
        *,
        rights: Right = ALL_RIGHTS,
        root: str = "/",
        expires: float | None = None,
    ) -> NewCredential:
        self._called("create_credential")
        with self._lock:
            tenant = self._there(tenant_id)
            if tenant.status is Status.DELETING:
                raise NotForTenant(f"tenant {tenant_id} is being deleted")
            self._in_future(expires)
            if not root.startswith("/") or re.search(r"[\0]|//|/\.{1,2}(/|$)|.+/$", root):
                raise Invalid("a root folder is a path like /photos/2031")
            if (tenant_id, label) in self._credentials:
                raise AlreadyThere("there is a credential of this name; revoke it first")
            made = Credential(tenant, label, rights, root, self.clock(), expires)
            self._credentials[tenant_id, label] = made
        return NewCredential(made, secrets.token_urlsafe(18))

    def credentials(self, tenant_id: str) -> Sequence[Credential]:
        self._called("credentials")
        with self._lock:
            self._there(tenant_id)
            found = [key for key in self._credentials if key[0] == tenant_id]
            return [self._credentials[key] for key in sorted(found)]

    def revoke_credential(self, tenant_id: str, label: str = "") -> None:
        self._called("revoke_credential")
        with self._lock:
            self._there(tenant_id)
            if self._credentials.pop((tenant_id, label), None) is None:
                raise NoSuchCredential(f"tenant {tenant_id} has no credential {label!r}")

    def create_token(
        self, label: str, *, tenant_id: str | None = None, expires: float | None = None
    ) -> NewToken:
        self._called("create_token")
        with self._lock:
            if tenant_id is not None:
                self._there(tenant_id)
            self._in_future(expires)
            token = Token(secrets.token_hex(8), label, tenant_id, self.clock(), expires)
            text = f"sbt_{token.id}_{secrets.token_urlsafe(18)}"
            self._tokens[text] = token
        return NewToken(token, text)

    def tokens(self) -> Sequence[Token]:
        self._called("tokens")
        return sorted(self._tokens.values(), key=lambda token: token.created)

    def revoke_token(self, token_id: str) -> None:
        self._called("revoke_token")
        with self._lock:
            for text, token in self._tokens.items():
                if token.id == token_id:
                    del self._tokens[text]
                    return
        raise NoSuchToken(f"there is no token {token_id}")

    def token(self, text: str) -> Token | None:
        token = self._tokens.get(text)
        expired = token is not None and token.expires is not None and token.expires <= self.clock()
        return None if expired else token

    def usage(
        self, tenant_id: str | None = None, *, first: str | None = None, last: str | None = None
    ) -> Sequence[UsageDay]:
        self._called("usage")
        if first is not None and last is not None and first > last:
            raise Invalid("the first day is after the last")
        return [
            day
            for day in self.days
            if tenant_id in (None, day.tenant)
            and (first is None or first <= day.day)
            and (last is None or day.day <= last)
        ]

    def _called(self, method: str) -> None:
        self.calls.append(method)
        broken, self.broken = self.broken, None
        if broken is not None:
            raise broken

    def _there(self, tenant_id: str) -> Tenant:
        tenant = self._tenants.get(tenant_id)
        if tenant is None:
            raise NoSuchTenant(f"there is no tenant {tenant_id}")
        return tenant

    def _change(self, tenant_id: str, *, status: Status) -> Tenant:
        with self._lock:
            tenant = self._there(tenant_id)
            if tenant.status is Status.DELETING:
                raise NotForTenant(f"tenant {tenant_id} is being deleted")
            self._tenants[tenant_id] = replace(tenant, status=status)
            return self._tenants[tenant_id]

    def _in_future(self, expires: float | None) -> None:
        if expires is not None and expires <= self.clock():
            raise Invalid("it would have expired already")
