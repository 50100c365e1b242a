"""HKDF-SHA256 (RFC 5869), as every derived key here is made."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derive(key: bytes, info: bytes, size: int = 32, *, salt: bytes = b"") -> bytes:
    """``size`` bytes derived from ``key`` for the use that ``info`` names."""
    return HKDF(SHA256(), size, salt, info).derive(key)
