"""The one tenant that configuration names."""

from __future__ import annotations

import hmac
import secrets

from bridge.tenants.api import Credential

SECRET_BYTES = 18
"""144 random bits, 24 characters of base64url: nobody guesses it, and a person can type it."""


def new_secret() -> str:
    """A secret as the bridge makes them, in base64url."""
    return secrets.token_urlsafe(SECRET_BYTES)


class ConfiguredCredential:
    """An ``Authenticator`` that knows one credential.

    Secrets are long and random, so one HMAC-SHA256 under a key of this process guards them; it
    takes about a microsecond, less than any cache of results that would not itself hold them.
    """

    def __init__(self, credential: Credential, secret: str) -> None:
        self._key = secrets.token_bytes(32)
        self._known = {credential.name: (credential, self._digest(secret))}
        self._nobody = self._digest(secrets.token_urlsafe())

    def authenticate(self, username: str, secret: str, address: str) -> Credential | None:
        """As ``Authenticator``: the digest is made and compared for unknown users too."""
        credential, digest = self._known.get(username, (None, self._nobody))
        return credential if hmac.compare_digest(self._digest(secret), digest) else None

    def _digest(self, secret: str) -> bytes:
        return hmac.digest(self._key, secret.encode("utf-8", "surrogatepass"), "sha256")
