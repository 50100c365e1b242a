"""The one table of routes: what may be asked, by whom, with what, and what comes back.

The door serves it and the OpenAPI document is made of it, so that the two cannot differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel

from bridge.admin import credentials, tenants, tokens, usage
from bridge.admin.asked import Answer, Asked
from bridge.admin.models import (
    CredentialMade,
    CredentialsOutput,
    CredentialToMake,
    DaysOutput,
    GrantReplaced,
    GrantToUse,
    Input,
    Nothing,
    Period,
    Purge,
    QuotaToSet,
    TenantMade,
    TenantOutput,
    TenantShown,
    TenantsOutput,
    TenantToMake,
    TenantUsage,
    TokenMade,
    TokensOutput,
    TokenToMake,
)
from bridge.admin.reading import read_input
from bridge.admin.values import CREDENTIAL, TOKEN
from bridge.names import TENANT
from bridge.tenants.api import Administration

I = TypeVar("I", bound=Input)  # noqa: E741 - an input

ROOT = "/admin/api/v1"

PARAMETERS = {"tenant": TENANT, "credential": CREDENTIAL, "token": TOKEN}
"""The names that paths hold, and what they look like."""

_WITH_BODY = frozenset({"POST", "PUT"})


@dataclass(frozen=True, slots=True)
class Route(Generic[I]):
    """One operation.

    ``path``: below ROOT, with ``{names}`` of PARAMETERS. ``input``: of the body, or of the query
    where there is none. ``made``: what a success answers with, None for an empty 204.
    ``problems``: statuses of its own, beside those of all. ``bound``: a token bound to the path's
    tenant may ask for it. ``csv``: it can be had as CSV too. ``lasting``: it may take hours.
    """

    name: str
    method: str
    path: str
    input: type[I]
    act: Callable[[Administration, Asked, I], Answer]
    made: type[BaseModel] | None
    problems: tuple[int, ...] = ()
    bound: bool = False
    csv: bool = False
    lasting: bool = False
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        """Make the pattern that finds it."""
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.path))
        object.__setattr__(self, "pattern", re.compile(pattern))

    @property
    def body(self) -> bool:
        """Whether its input is the body."""
        return self.method in _WITH_BODY and self.input is not Nothing

    @property
    def status(self) -> int:
        """Of a success."""
        if self.made is None:
            return 204
        return 201 if self.method == "POST" and self.body else 200

    def perform(self, administration: Administration, asked: Asked, sent: object) -> Answer:
        """Do it. Blocks; raises Faulty and what ``Administration`` does."""
        return self.act(administration, asked, read_input(self.input, sent))


ROUTES: tuple[Route[Any], ...] = (
    Route("createTenant", "POST", "/tenants", TenantToMake, tenants.create, TenantMade, (409, 422)),
    Route("listTenants", "GET", "/tenants", Nothing, tenants.every, TenantsOutput),
    Route("showTenant", "GET", "/tenants/{tenant}", Nothing, tenants.show, TenantShown),
    Route(
        "deleteTenant",
        "DELETE",
        "/tenants/{tenant}",
        Purge,
        tenants.delete,
        None,
        (409,),
        lasting=True,
    ),
    Route(
        "suspendTenant",
        "POST",
        "/tenants/{tenant}/suspend",
        Nothing,
        tenants.suspend,
        TenantOutput,
        (409,),
    ),
    Route(
        "resumeTenant",
        "POST",
        "/tenants/{tenant}/resume",
        Nothing,
        tenants.resume,
        TenantOutput,
        (409,),
    ),
    Route(
        "setQuota",
        "PUT",
        "/tenants/{tenant}/quota",
        QuotaToSet,
        tenants.set_quota,
        TenantOutput,
        (409, 422),
    ),
    Route(
        "replaceGrant",
        "PUT",
        "/tenants/{tenant}/grant",
        GrantToUse,
        tenants.replace_grant,
        GrantReplaced,
        (409, 422),
    ),
    Route(
        "tenantUsage",
        "GET",
        "/tenants/{tenant}/usage",
        Period,
        usage.of_tenant,
        TenantUsage,
        (422,),
        bound=True,
        csv=True,
    ),
    Route(
        "createCredential",
        "POST",
        "/tenants/{tenant}/credentials",
        CredentialToMake,
        credentials.create,
        CredentialMade,
        (409, 422),
        bound=True,
    ),
    Route(
        "listCredentials",
        "GET",
        "/tenants/{tenant}/credentials",
        Nothing,
        credentials.every,
        CredentialsOutput,
        bound=True,
    ),
    Route(
        "revokeCredential",
        "DELETE",
        "/tenants/{tenant}/credentials/{credential}",
        Nothing,
        credentials.revoke,
        None,
        (409,),
        bound=True,
    ),
    Route("createToken", "POST", "/tokens", TokenToMake, tokens.create, TokenMade, (404, 409, 422)),
    Route("listTokens", "GET", "/tokens", Nothing, tokens.every, TokensOutput),
    Route("revokeToken", "DELETE", "/tokens/{token}", Nothing, tokens.revoke, None),
    Route("usage", "GET", "/usage", Period, usage.every, DaysOutput, (422,), csv=True),
)


def find(path: str) -> tuple[Mapping[str, Route[Any]], Mapping[str, str]] | None:
    """The routes by method, and the names, of a path below ROOT; None where nothing is.

    A name that nothing can have is "": there is surely nothing of it.
    """
    for route in ROUTES:
        found = route.pattern.fullmatch(path)
        if found is not None:
            methods = {other.method: other for other in ROUTES if other.path == route.path}
            names = {key: _name(key, text) for key, text in found.groupdict().items()}
            return methods, names
    return None


def _name(key: str, quoted: str) -> str:
    try:
        name = unquote_to_bytes(quoted).decode()
    except UnicodeDecodeError:
        return ""
    return name if re.fullmatch(PARAMETERS[key].strip("^$"), name) else ""
