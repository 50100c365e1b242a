"""What an operator may ask for. Everything here raises Invalid, saying what is wrong."""

from __future__ import annotations

import re
from urllib.parse import quote

from bridge import names
from bridge.files.errors import InvalidPath
from bridge.files.path import Path
from bridge.store.storj.access import LAST_SECOND
from bridge.tenants.api import Invalid, Right

_TENANT = re.compile(names.TENANT)
_LABEL = re.compile(names.LABEL)
_PARTNER = re.compile(names.PRODUCT)

_LARGEST_QUOTA = 1 << 62
_TOKEN_LABEL = 128


def check_tenant(tenant_id: str, *, quota: int | None, partner: str) -> None:
    """A new tenant."""
    if not _TENANT.fullmatch(tenant_id):
        raise Invalid(
            f"{tenant_id!r} is no name for a tenant: up to 63 lower case letters, digits and -"
        )
    check_quota(quota)
    if partner and (len(partner) > names.LONGEST_PRODUCT or not _PARTNER.fullmatch(partner)):
        raise Invalid(f"{partner!r} is no partner: a product's name, or name/version")


def check_quota(quota: int | None) -> None:
    """Bytes of content; None: without limit."""
    if quota is not None and not 0 <= quota <= _LARGEST_QUOTA:
        raise Invalid("a quota is a number of bytes, 0 or more")


def check_credential(label: str, rights: Right) -> None:
    """A new credential."""
    if not _LABEL.fullmatch(label):
        raise Invalid(f"{label!r} is no label: up to 128 letters, digits, and _.@- between them")
    if not rights:
        raise Invalid("a credential without any right is of no use")


def check_token_label(label: str) -> None:
    """What a new token is for."""
    if not 1 <= len(label) <= _TOKEN_LABEL or not label.isprintable():
        raise Invalid(f"a token's label has 1 to {_TOKEN_LABEL} printable characters")


def check_end(expires: float | None, now: float) -> None:
    """When a credential or a token ends, in Unix seconds; None: never."""
    if expires is None:
        return
    if expires <= now:
        raise Invalid("it would have expired already")
    if not expires <= LAST_SECOND:
        raise Invalid("a time to end at is before the year 10000")


def folder_of(text: str) -> Path:
    """A root folder's path."""
    if not text.startswith("/"):
        raise Invalid(f"the folder {text!r} is not a path from the root: it begins with /")
    try:
        return Path.from_target(quote(text, errors="surrogatepass"))
    except InvalidPath as error:
        raise Invalid(f"the folder {text!r}: {error}") from None
