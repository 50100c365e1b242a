"""What requests bring and answers hold. The OpenAPI document is made of these."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bridge.admin.values import (
    Bucket,
    Day,
    Flag,
    Label,
    Partner,
    Quota,
    RightName,
    Rights,
    Root,
    StatusName,
    TenantId,
    Time,
    TimeText,
    TokenLabel,
    right_names,
    status_name,
    time_text,
)
from bridge.tenants.api import Credential, Tenant, Token, UsageDay, Used


class Input(BaseModel):
    """What a request brings: nothing that is not named here, and nothing of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True, frozen=True)


class Nothing(Input):
    """The query of a request that takes none."""


class GrantToUse(Input):
    """The root grant, from which a tenant's is cut and which is not kept, or one that it brings."""

    root_grant: SecretStr | None = Field(default=None, min_length=1, max_length=16_384)
    own_grant: SecretStr | None = Field(default=None, min_length=1, max_length=16_384)


class TenantToMake(GrantToUse):
    """A tenant to create."""

    id: TenantId
    bucket: Bucket | None = None
    quota: Quota | None = Field(default=None, description="bytes of content; null: no limit")
    partner: Partner = Field(default="", description="whom Storj credits; empty: as configured")


class QuotaToSet(Input):
    """A tenant's quota in bytes of content; null: no limit."""

    quota: Quota | None


class Purge(Input):
    """Whether a tenant's data is removed too."""

    purge: Flag = Field(default=False, description="remove the data too")


class CredentialToMake(Input):
    """A credential to create; its user name is ``<tenant>``, or ``<tenant>.<label>``."""

    label: Label = ""
    rights: Rights = Field(default=["read", "write", "list", "delete"])
    root: Root = Field(default="/", description="the folder that is all it sees")
    expires: Time | None = None


class TokenToMake(Input):
    """A token to create: the operator's, or bound to a tenant."""

    label: TokenLabel
    tenant: TenantId | None = None
    expires: Time | None = None


class Period(Input):
    """Days in UTC, both included."""

    first: Day | None = None
    last: Day | None = None


class Output(BaseModel):
    """What an answer holds."""

    model_config = ConfigDict(extra="forbid")


class UsedOutput(Output):
    """What a tenant holds: bytes of content, of ciphertext, files, and when they were counted."""

    bytes: int
    stored: int
    files: int
    counted: TimeText | None

    @classmethod
    def of(cls, used: Used) -> Self:
        """As the API shows it."""
        counted = None if used.counted is None else time_text(used.counted)
        return cls(bytes=used.bytes, stored=used.stored, files=used.files, counted=counted)


class TenantOutput(Output):
    """A tenant."""

    id: str
    status: StatusName
    bucket: str
    quota: int | None
    partner: str
    created: TimeText

    @classmethod
    def of(cls, tenant: Tenant) -> Self:
        """As the API shows it."""
        return cls(
            id=tenant.id,
            status=status_name(tenant.status),
            bucket=tenant.bucket,
            quota=tenant.quota,
            partner=tenant.partner,
            created=time_text(tenant.created),
        )


class TenantsOutput(Output):
    """All tenants, by id."""

    tenants: list[TenantOutput]


class TenantShown(Output):
    """A tenant and what it holds."""

    tenant: TenantOutput
    used: UsedOutput


class TenantMade(Output):
    """A tenant, and what opens its vault without the bridge, which is shown this once."""

    tenant: TenantOutput
    recovery_identity: str
    fingerprint: str = Field(description="of the vault, to be kept beside the identity; no secret")
    recovery_grant: str = Field(description="empty where the files are not on Storj")


class GrantReplaced(Output):
    """A tenant that has another grant, and a recovery grant cut from it, which is shown this once.

    ``former_works``: the grant that it had was not cut from the one given, and was not revoked.
    """

    tenant: TenantOutput
    recovery_grant: str
    former_works: bool


class CredentialOutput(Output):
    """A credential. ``name`` is the user name to sign in with."""

    name: str
    tenant: str
    label: str
    rights: list[RightName]
    root: str
    created: TimeText
    expires: TimeText | None

    @classmethod
    def of(cls, credential: Credential) -> Self:
        """As the API shows it."""
        return cls(
            name=credential.name,
            tenant=credential.tenant.id,
            label=credential.label,
            rights=right_names(credential.rights),
            root=credential.root,
            created=time_text(credential.created),
            expires=None if credential.expires is None else time_text(credential.expires),
        )


class CredentialsOutput(Output):
    """All credentials of a tenant, by label."""

    credentials: list[CredentialOutput]


class CredentialMade(Output):
    """A credential and its secret, which is shown this once."""

    credential: CredentialOutput
    secret: str


class TokenOutput(Output):
    """A token. ``tenant``: the one it is bound to; null: the operator's."""

    id: str
    label: str
    tenant: str | None
    created: TimeText
    expires: TimeText | None

    @classmethod
    def of(cls, token: Token) -> Self:
        """As the API shows it."""
        return cls(
            id=token.id,
            label=token.label,
            tenant=token.tenant,
            created=time_text(token.created),
            expires=None if token.expires is None else time_text(token.expires),
        )


class TokensOutput(Output):
    """All tokens, by their creation."""

    tokens: list[TokenOutput]


class TokenMade(Output):
    """A token and its text, which is shown this once."""

    token: TokenOutput
    text: str


class DayOutput(Output):
    """One tenant's day in one bucket (UTC).

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

    @classmethod
    def of(cls, day: UsageDay) -> Self:
        """As the API shows it."""
        return cls(
            tenant=day.tenant,
            bucket=day.bucket,
            partner=day.partner,
            day=day.day,
            up=day.up,
            down=day.down,
            requests=day.requests,
            byte_hours=day.byte_hours,
        )


class DaysOutput(Output):
    """Usage by tenant and day."""

    days: list[DayOutput]


class TenantUsage(Output):
    """What one tenant may hold, holds, and has used by day."""

    quota: int | None
    used: UsedOutput
    days: list[DayOutput]


class Fault(Output):
    """One thing that is wrong. ``at``: a JSON Pointer into the body, or a parameter as one."""

    at: str
    message: str


class Problem(Output):
    """What went wrong (RFC 9457)."""

    type: Literal["about:blank"] = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[Fault] = []
