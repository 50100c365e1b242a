"""What can go wrong with keys and sealed bytes."""

from __future__ import annotations


class CryptoError(Exception):
    """Something sealed does not open, or a key cannot be used."""


class Tampered(CryptoError):
    """Sealed bytes do not verify: changed, cut, moved, or sealed under another key."""


class UnknownKey(CryptoError):
    """Sealed under a key id that is not at hand; ``key_id`` names it in hex."""

    def __init__(self, message: str, *, key_id: str) -> None:
        super().__init__(message)
        self.key_id = key_id


class UnknownFormat(CryptoError):
    """A format version this release does not know, or an older one where a newer is required."""


class TooLong(CryptoError):
    """A record or name does not fit the room it has."""


class Unconfirmed(CryptoError):
    """Nobody can tell for now which keyring is the newest; it may be known again in a moment."""
