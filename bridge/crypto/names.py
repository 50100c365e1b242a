"""File names: normalized, and sealed so that one directory's entry opens in no other.

Sealing is deterministic (AES-256-SIV, RFC 5297): an entry is found without a listing. Equal
names in one directory are equal when sealed, which is the point; in two directories they
are not.
"""

from __future__ import annotations

from itertools import groupby
from unicodedata import ucd_3_2_0

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from bridge.crypto import labels, text
from bridge.crypto.errors import Tampered, TooLong

NAME_ROOM = 1_024
"""Longest normalized name that can be sealed, in bytes of UTF-8: 1,387 characters once sealed,
where a store's key takes 1,400. Normalizing can lengthen a name (to three times its bytes)."""

_category = ucd_3_2_0.category


def normalize(name: str) -> str:
    """The form by which a name is found: NFC of what Unicode 3.2 knows, the rest as it is.

    Files are found under this form for ever, so it must be the same in every Python. Python's
    ``ucd_3_2_0`` alone is not: it takes apart by Unicode 3.2 but puts together by the newest
    table too. Characters that 3.2 has not assigned are therefore kept away from it; among all
    others Unicode promises that nothing changes (Normalization Stability Policy).
    """
    if name.isascii():
        return name
    if all(_category(character) != "Cn" for character in name):
        return ucd_3_2_0.normalize("NFC", name)
    runs = groupby(name, lambda character: _category(character) == "Cn")
    return "".join(
        "".join(run) if unassigned else ucd_3_2_0.normalize("NFC", "".join(run))
        for unassigned, run in runs
    )


class NameCipher:
    """Seals names under K_name (64 bytes). Thread-safe."""

    def __init__(self, k_name: bytes) -> None:
        self._siv = AESSIV(k_name)

    def seal(self, parent: bytes, name: str) -> str:
        """``name``, normalized and sealed for the directory ``parent``: base64url, no padding.

        Raises TooLong for more than NAME_ROOM bytes, ValueError for what is not Unicode (lone
        surrogates).
        """
        plain = normalize(name).encode()
        if len(plain) > NAME_ROOM:
            raise TooLong(f"a name of {len(plain)} bytes, more than {NAME_ROOM}")
        return text.encode(self._siv.encrypt(plain, [labels.NAME, parent]))

    def open(self, parent: bytes, sealed: str) -> str:
        """The normalized name. Raises Tampered when it is none of this directory's."""
        try:
            return self._siv.decrypt(text.decode(sealed), [labels.NAME, parent]).decode()
        except (InvalidTag, ValueError):
            raise Tampered("a name does not belong to its directory") from None
