"""XAES-256-GCM (c2sp.org/XAES-256-GCM): AES-256-GCM with 192-bit nonces, safe to draw at random.

The nonce's first half derives a fresh AES key by two AES blocks; its second half is GCM's own.
"""

from __future__ import annotations

import threading

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridge.crypto.errors import Tampered

KEY_SIZE = 32
"""Bytes of key."""

NONCE_SIZE = 24
"""Bytes of nonce."""

TAG_SIZE = 16
"""Bytes by which ciphertext is longer than plaintext."""


class Xaes:
    """XAES-256-GCM under one key of KEY_SIZE bytes. Thread-safe."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise ValueError(f"a key has {KEY_SIZE} bytes, not {len(key)}")
        self._blocks = _Blocks(key)
        # The specification's K1: AES of zero, doubled in GF(2^128) as in CMAC.
        doubled = int.from_bytes(self._blocks.encryptor.update(bytes(16)), "big") << 1
        k1 = doubled ^ ((1 << 128 | 0x87) if doubled >> 128 else 0)
        # Its M1 and M2: counter, "X", zero, then the nonce's first half; here already under K1.
        self._masks = tuple(k1 ^ (counter << 112 | ord("X") << 104) for counter in (1, 2))

    def seal(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """Ciphertext and tag. ``nonce`` must be fresh, NONCE_SIZE bytes."""
        return self._gcm(nonce).encrypt(nonce[12:], plaintext, aad)

    def open(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        """The plaintext. Raises Tampered."""
        try:
            return self._gcm(nonce).decrypt(nonce[12:], sealed, aad)
        except InvalidTag:
            raise Tampered("sealed bytes do not verify") from None

    def _gcm(self, nonce: bytes) -> AESGCM:
        if len(nonce) != NONCE_SIZE:
            raise ValueError(f"a nonce has {NONCE_SIZE} bytes, not {len(nonce)}")
        half = int.from_bytes(nonce[:12], "big")
        first, second = self._masks
        blocks = (first ^ half) << 128 | (second ^ half)
        return AESGCM(self._blocks.encryptor.update(blocks.to_bytes(32, "big")))


class _Blocks(threading.local):
    """AES of single blocks. Each thread keeps a context: to make one costs more than the rest."""

    def __init__(self, key: bytes) -> None:
        cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - a PRF on single blocks
        self.encryptor: CipherContext = cipher.encryptor()
