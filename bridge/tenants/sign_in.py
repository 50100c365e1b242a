"""Signing in: secrets that the bridge makes, what is kept of them, and how they are checked.

A secret has 144 random bits and is chosen by nobody, so one HMAC-SHA256 guards it: no slow hash
would make guessing it any less hopeless (see ``docs/security.md``).
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable

from bridge.tenants.api import Credential, Status, Token
from bridge.tenants.credential_rows import Digest
from bridge.tenants.records import Records

SECRET_BYTES = 18
"""144 random bits, 24 characters of base64url: nobody guesses it, and a person can type it."""

_SALT_BYTES = 16

TOKEN_PREFIX = "sbt_"  # noqa: S105 - no secret
"""Begins every token, so that scanners find those that were published by mistake."""


def new_secret() -> str:
    """A secret as the bridge makes them, in base64url."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest_of(secret: str) -> Digest:
    """What is kept of a secret."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return Digest(salt, _hmac(salt, secret))


def is_secret(secret: str, kept: Digest) -> bool:
    """Whether ``kept`` is of this secret, in the same time whether it is or not."""
    return hmac.compare_digest(_hmac(kept.salt, secret), kept.digest)


def _hmac(salt: bytes, secret: str) -> bytes:
    return hmac.digest(salt, secret.encode("utf-8", "surrogatepass"), "sha256")


class SignIn:
    """An ``Authenticator`` over the credentials in the state database.

    It asks the database each time, and remembers nothing: doors do, for a few seconds.
    """

    def __init__(self, records: Records, clock: Callable[[], float] = time.time) -> None:
        self._records = records
        self._clock = clock
        self._nobody = digest_of(new_secret())

    def authenticate(self, username: str, secret: str, address: str) -> Credential | None:
        """As ``Authenticator``. Raises StateError."""
        tenant_id, _, label = username.partition(".")
        # Text that no row can hold (PostgreSQL refuses NUL) is asked for in another's name.
        known = username.isascii() and username.isprintable()
        found = self._records.credentials.sign_in(
            tenant_id if known else "", label if known else ""
        )
        kept = self._nobody if found is None else found[1].digest
        right = is_secret(secret, kept)
        if found is None or not right:
            return None
        row, its = found
        credential = its.credential
        expired = credential.expires is not None and credential.expires <= self._clock()
        if expired or row.tenant.status is not Status.ACTIVE or credential.name != username:
            return None
        return credential


def new_token() -> tuple[str, str]:
    """A token's id and its secret."""
    return secrets.token_hex(8), new_secret()


def token_text(token_id: str, secret: str) -> str:
    """What is shown once of a token, and sent with each request."""
    return f"{TOKEN_PREFIX}{token_id}_{secret}"


class Tokens:
    """Checks tokens of the admin API."""

    def __init__(self, records: Records, clock: Callable[[], float] = time.time) -> None:
        self._records = records
        self._clock = clock
        self._nobody = digest_of(new_secret())

    def find(self, text: str) -> Token | None:
        """The token that ``text`` is, if it is one and has not expired. Raises StateError."""
        token_id, _, secret = text.removeprefix(TOKEN_PREFIX).partition("_")
        usable = text.startswith(TOKEN_PREFIX) and token_id.isascii() and token_id.isalnum()
        row = self._records.tokens.find(token_id if usable else "")
        right = is_secret(secret, self._nobody if row is None else row.digest)
        if row is None or not right:
            return None
        token = row.token
        return None if token.expires is not None and token.expires <= self._clock() else token
