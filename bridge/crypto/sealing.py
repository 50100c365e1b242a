"""XAES-256-GCM (c2sp.org/XAES-256-GCM): AES-256-GCM with 192-bit nonces, safe to draw at random.

The nonce's first half derives a fresh AES key by two AES blocks; its second half is GCM's own.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridge.crypto.errors import Tampered

NONCE_SIZE = 24
"""Bytes of nonce."""

OVERHEAD = NONCE_SIZE + 16
"""Bytes by which a sealed message with its nonce is longer than the plaintext."""


class Xaes:
    """XAES-256-GCM under one 32-byte key. Thread-safe."""

    def __init__(self, key: bytes) -> None:
        self._algorithm = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - a PRF here
        doubled = int.from_bytes(self._blocks(bytes(16)), "big") << 1
        if doubled >> 128:
            doubled ^= (1 << 128) | 0x87
        k1 = doubled.to_bytes(16, "big")
        self._masks = tuple(
            int.from_bytes(_xor(bytes((0, counter, 0x58, 0)) + bytes(12), k1), "big")
            for counter in (1, 2)
        )

    def seal(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """Ciphertext and tag."""
        return self._gcm(nonce).encrypt(nonce[12:], plaintext, aad)

    def open(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        """The plaintext. Raises Tampered."""
        try:
            return self._gcm(nonce).decrypt(nonce[12:], sealed, aad)
        except (InvalidTag, ValueError):
            raise Tampered("sealed bytes do not verify") from None

    def _gcm(self, nonce: bytes) -> AESGCM:
        part = int.from_bytes(nonce[:12], "big")
        blocks = b"".join((mask ^ part).to_bytes(16, "big") for mask in self._masks)
        return AESGCM(self._blocks(blocks))

    def _blocks(self, blocks: bytes) -> bytes:
        return self._algorithm.encryptor().update(blocks)


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
