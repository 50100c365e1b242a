"""A tenant's keyring: its long-lived keys, sealed under the operator's key-encryption key (KEK).

Keyrings are numbered and written once; each names the hash of the one before, so that an old
one put back, or two made at once, are noticed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from bridge.crypto import cbor, labels
from bridge.crypto.errors import CryptoError, Tampered, UnknownFormat, UnknownKey
from bridge.crypto.kdf import derive
from bridge.crypto.sealing import KEY_SIZE, NONCE_SIZE, Xaes

KEK_SIZE = KEY_SIZE
KEK_ID_SIZE = 8
KID_SIZE = 4
DIGEST_SIZE = 32

_MAGIC = b"SBKR"
_FORMAT = 1
_CLEAR = len(_MAGIC) + 1 + KEK_ID_SIZE


class Kek:
    """A key-encryption key. ``id`` stands in clear beside what it seals."""

    def __init__(self, key: bytes) -> None:
        """Raises ValueError for a key that has not KEK_SIZE bytes."""
        self.cipher = Xaes(key)
        """Seals keyrings."""
        self.secrets = Xaes(derive(key, labels.SECRET))
        """Seals all else."""
        self.id = derive(key, labels.KEK_ID, KEK_ID_SIZE)

    def __repr__(self) -> str:
        return f"Kek({self.id.hex()})"


@dataclass(frozen=True, slots=True, repr=False)
class Keyring:
    """The keys of one tenant.

    ``number`` counts from 1; ``previous``: SHA-256 of the sealed keyring before, empty for the
    first. ``tnk`` and each of ``trks`` have 32 bytes; ``trks`` by kid (4 bytes), ``active`` is the
    kid new files are sealed under. ``recipient``: ``age1…``, for recovery.
    """

    tenant_id: str
    number: int
    previous: bytes
    tnk: bytes
    trks: Mapping[bytes, bytes]
    active: bytes
    recipient: str

    @classmethod
    def generate(
        cls, tenant_id: str, recipient: str, random: Callable[[int], bytes] = os.urandom
    ) -> Keyring:
        """The first keyring of a new tenant."""
        kid = random(KID_SIZE)
        return cls(tenant_id, 1, b"", random(32), {kid: random(32)}, kid, recipient)

    def following(self, sealed: bytes) -> Keyring:
        """The next keyring, with the same keys; ``sealed`` is this one, sealed."""
        return replace(self, number=self.number + 1, previous=hashlib.sha256(sealed).digest())

    def with_new_trk(self, sealed: bytes, random: Callable[[int], bytes] = os.urandom) -> Keyring:
        """The next keyring, with one more TRK, for new files; ``sealed`` is this one, sealed."""
        kid = random(KID_SIZE)
        while kid in self.trks:
            kid = random(KID_SIZE)
        trks = {**self.trks, kid: random(32)}
        return replace(self.following(sealed), trks=trks, active=kid)

    def without_retired(self, sealed: bytes) -> Keyring:
        """The next keyring, with the active TRK alone; ``sealed`` is this one, sealed.

        Only when nothing that is needed is sealed under another.
        """
        trks = {self.active: self.trks[self.active]}
        return replace(self.following(sealed), trks=trks)

    def seal(self, kek: Kek, random: Callable[[int], bytes] = os.urandom) -> bytes:
        """Sealed under ``kek``: magic, format, KEK id, nonce, ciphertext."""
        clear = _MAGIC + bytes((_FORMAT,)) + kek.id
        nonce = random(NONCE_SIZE)
        plain = cbor.encode(
            {
                0: self.number,
                1: self.previous,
                2: self.tnk,
                3: dict(self.trks),
                4: self.active,
                5: self.recipient,
            }
        )
        return clear + nonce + kek.cipher.seal(nonce, plain, _aad(self.tenant_id, clear))

    @classmethod
    def open(cls, data: bytes, keks: Iterable[Kek], tenant_id: str) -> Keyring:
        """Raises UnknownKey (naming the id expected), UnknownFormat, Tampered."""
        wanted = kek_of(data)
        clear, rest = data[:_CLEAR], data[_CLEAR:]
        kek = next((kek for kek in keks if kek.id == wanted), None)
        if kek is None:
            raise UnknownKey(
                f"the keyring of tenant {tenant_id} is sealed under the KEK with id "
                f"{wanted.hex()}, which is not configured",
                key_id=wanted.hex(),
            )
        plain = kek.cipher.open(rest[:NONCE_SIZE], rest[NONCE_SIZE:], _aad(tenant_id, clear))
        found = cbor.decode(plain, _TYPES, "keyring")
        if found.keys() != _TYPES.keys():
            raise Tampered("a keyring lacks a field")
        keyring = cls(tenant_id, *(found[key] for key in _TYPES))
        if not keyring._is_possible():
            raise Tampered("a keyring's fields have the wrong sizes")
        return keyring

    def _is_possible(self) -> bool:
        return (
            self.number >= 1
            and len(self.previous) == (DIGEST_SIZE if self.number > 1 else 0)
            and len(self.tnk) == KEY_SIZE
            and all(type(kid) is bytes and len(kid) == KID_SIZE for kid in self.trks)
            and all(type(trk) is bytes and len(trk) == KEY_SIZE for trk in self.trks.values())
            and self.active in self.trks
        )


_TYPES: Mapping[int, type] = {0: int, 1: bytes, 2: bytes, 3: dict, 4: bytes, 5: str}
"""Of the fields after the tenant's id, in their order."""


def kek_of(sealed: bytes) -> bytes:
    """The id of the KEK that a keyring says it is sealed under. Raises UnknownFormat, Tampered."""
    if len(sealed) < _CLEAR + NONCE_SIZE or not sealed.startswith(_MAGIC):
        raise Tampered("this is not a keyring")
    if sealed[len(_MAGIC)] != _FORMAT:
        raise UnknownFormat(f"the keyring has format {sealed[len(_MAGIC)]}, not {_FORMAT}")
    return sealed[_CLEAR - KEK_ID_SIZE : _CLEAR]


def newest(
    sealed: Mapping[int, bytes], keks: Iterable[Kek], tenant_id: str, *, seen: bytes = b""
) -> Keyring:
    """The keyring to use of those stored, by number: the highest that opens.

    One that is sealed under a KEK not at hand is passed over (a KEK may be replaced while others
    still run). ``seen``: the newest sealed keyring known from elsewhere (the state DB, or what
    this process uses): it must still be there, unchanged, and nothing older wins over it.

    Raises Tampered when a keyring was rolled back or forked: one is not stored under its own
    number, is not the one that its successor names, or has not ``seen`` among those before it.
    Raises what the highest does when none opens.
    """
    keks = tuple(keks)
    stored = dict(sealed)
    known = 0
    if seen:
        known = Keyring.open(seen, keks, tenant_id).number
        if stored.setdefault(known, seen) != seen:
            raise Tampered(f"keyring {known} of tenant {tenant_id} was replaced by another: forked")
        if known > max(sealed, default=0):
            raise Tampered(f"keyring {known} of tenant {tenant_id} is gone: rolled back")
    failure: CryptoError = Tampered(f"tenant {tenant_id} has no keyring")
    for number in sorted(stored, reverse=True):
        try:
            keyring = Keyring.open(stored[number], keks, tenant_id)
        except UnknownKey as error:
            if number == max(stored):
                failure = error
            continue
        if _checked_down_to(keyring, number, stored, keks) > known > 0:
            raise Tampered(
                f"keyring {number} of tenant {tenant_id} cannot be shown to follow keyring "
                f"{known}, which was in use: one between them is missing, or its KEK is"
            )
        return keyring
    raise failure


def _checked_down_to(
    keyring: Keyring, number: int, stored: Mapping[int, bytes], keks: tuple[Kek, ...]
) -> int:
    """Follows the chain down and returns the number of the last keyring known to be in it.

    It ends at a gap or below a keyring sealed under a KEK long gone: what is older has no say.
    """
    while True:
        if keyring.number != number:
            raise Tampered(f"keyring {number} of tenant {keyring.tenant_id} has another's number")
        number -= 1
        before = stored.get(number)
        if before is None:
            return number + 1
        if hashlib.sha256(before).digest() != keyring.previous:
            raise Tampered(
                f"keyring {number + 1} of tenant {keyring.tenant_id} does not follow keyring "
                f"{number}: forked, or one of them was put there by somebody else"
            )
        try:
            keyring = Keyring.open(before, keks, keyring.tenant_id)
        except UnknownKey:
            return number


def _aad(tenant_id: str, clear: bytes) -> bytes:
    """``clear``: magic, format and KEK id, in the keyring's own bytes."""
    return labels.KEYRING + tenant_id.encode() + clear
