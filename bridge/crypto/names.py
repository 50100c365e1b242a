"""File names: normalized, and sealed so that one directory's entry opens in no other.

Sealing is deterministic (AES-256-SIV, RFC 5297): an entry is found without a listing. Equal
names in one directory are equal when sealed, which is the point; in two directories they
are not.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from unicodedata import ucd_3_2_0

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from bridge.crypto import labels
from bridge.crypto.errors import Tampered


def normalize(name: str) -> str:
    """NFC by Unicode 3.2, the only table that is the same in every Python.

    Newer tables compose characters that older ones do not: a file could be lost by an upgrade.
    """
    return name if name.isascii() else ucd_3_2_0.normalize("NFC", name)


class NameCipher:
    """Seals names under K_name (64 bytes). Thread-safe."""

    def __init__(self, k_name: bytes) -> None:
        self._siv = AESSIV(k_name)

    def seal(self, parent: bytes, name: str) -> str:
        """``name``, normalized and sealed for the directory ``parent``: base64url, no padding."""
        sealed = self._siv.encrypt(normalize(name).encode(), [labels.NAME, parent])
        return urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, parent: bytes, sealed: str) -> str:
        """The normalized name. Raises Tampered when it is none of this directory's."""
        try:
            raw = urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
            return self._siv.decrypt(raw, [labels.NAME, parent]).decode()
        except (InvalidTag, ValueError):
            raise Tampered("a name does not belong to its directory") from None
