"""Secrets of tenants as the state database holds them: sealed under the operator's key."""

from __future__ import annotations

from bridge.crypto.keyring import Kek
from bridge.crypto.secrets import open_secret, seal_secret, sealed_under

TENANT_GRANT = "tenant grant"
CREDENTIAL_GRANT = "credential grant"
JOB = "job"
"""Purposes: what is sealed for one does not open for another."""


class Sealer:
    """Seals under the first of ``keks``, opens under all."""

    def __init__(self, keks: tuple[Kek, ...]) -> None:
        self._keks = keks

    def seal(self, purpose: str, tenant_id: str, plain: str) -> bytes:
        """``plain`` sealed; nothing (b"") for nothing ("")."""
        return seal_secret(self._keks[0], purpose, tenant_id, plain.encode()) if plain else b""

    def open(self, purpose: str, tenant_id: str, sealed: bytes) -> str:
        """What ``seal`` was given. Raises CryptoError; UnknownKey names the key it needs."""
        if not sealed:
            return ""
        return open_secret(self._keks, purpose, tenant_id, sealed).decode()

    def renewed(self, purpose: str, tenant_id: str, sealed: bytes) -> bytes | None:
        """The same under the first key; None where it is already. Raises CryptoError."""
        if not sealed or sealed_under(sealed) == self._keks[0].id:
            return None
        return self.seal(purpose, tenant_id, self.open(purpose, tenant_id, sealed))
