"""A tenant's keyring: its long-lived keys, sealed under the operator's key-encryption key (KEK).

Keyrings are numbered and written once; each names the hash of the one before, so that an old
one put back, or two made at once, are noticed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import cbor2

from bridge.crypto import labels
from bridge.crypto.errors import CryptoError, Tampered, UnknownFormat, UnknownKey
from bridge.crypto.kdf import derive
from bridge.crypto.sealing import NONCE_SIZE, Xaes

KEK_SIZE = 32
KEK_ID_SIZE = 8
KID_SIZE = 4

_MAGIC = b"SBKR"
_FORMAT = 1
_CLEAR = len(_MAGIC) + 1 + KEK_ID_SIZE


class Kek:
    """A key-encryption key. ``id`` stands in clear beside what it seals."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEK_SIZE:
            raise ValueError(f"a KEK has {KEK_SIZE} bytes, not {len(key)}")
        self.id = derive(key, labels.KEK_ID, KEK_ID_SIZE)
        self.cipher = Xaes(key)

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

    def with_new_trk(self, sealed: bytes, random: Callable[[int], bytes] = os.urandom) -> Keyring:
        """The next keyring, with one more TRK, for new files; ``sealed`` is this one, sealed."""
        kid = random(KID_SIZE)
        while kid in self.trks:
            kid = random(KID_SIZE)
        return replace(
            self,
            number=self.number + 1,
            previous=hashlib.sha256(sealed).digest(),
            trks={**self.trks, kid: random(32)},
            active=kid,
        )

    def seal(self, kek: Kek, random: Callable[[int], bytes] = os.urandom) -> bytes:
        """Sealed under ``kek``: magic, format, KEK id, nonce, ciphertext."""
        clear = _MAGIC + bytes((_FORMAT,)) + kek.id
        nonce = random(NONCE_SIZE)
        plain = cbor2.dumps(
            {
                0: self.number,
                1: self.previous,
                2: self.tnk,
                3: dict(self.trks),
                4: self.active,
                5: self.recipient,
            },
            canonical=True,
        )
        return clear + nonce + kek.cipher.seal(nonce, plain, _aad(self.tenant_id, clear))

    @classmethod
    def open(cls, data: bytes, keks: Iterable[Kek], tenant_id: str) -> Keyring:
        """Raises UnknownKey (naming the id expected), UnknownFormat, Tampered."""
        clear, rest = data[:_CLEAR], data[_CLEAR:]
        if len(data) < _CLEAR + NONCE_SIZE or not clear.startswith(_MAGIC):
            raise Tampered("this is not a keyring")
        if clear[len(_MAGIC)] != _FORMAT:
            raise UnknownFormat(f"the keyring has format {clear[len(_MAGIC)]}, not {_FORMAT}")
        wanted = clear[-KEK_ID_SIZE:]
        kek = next((kek for kek in keks if kek.id == wanted), None)
        if kek is None:
            raise UnknownKey(
                f"the keyring of tenant {tenant_id} is sealed under the KEK with id "
                f"{wanted.hex()}, which is not configured",
                key_id=wanted.hex(),
            )
        plain = kek.cipher.open(rest[:NONCE_SIZE], rest[NONCE_SIZE:], _aad(tenant_id, clear))
        match cbor2.loads(plain):
            case {
                0: int(number),
                1: bytes(previous),
                2: bytes(tnk),
                3: dict(trks),
                4: bytes(active),
                5: str(recipient),
            } if active in trks:
                return cls(tenant_id, number, previous, tnk, trks, active, recipient)
        raise UnknownFormat("the keyring's content is of a newer format")


def newest(sealed: Mapping[int, bytes], keks: Iterable[Kek], tenant_id: str) -> Keyring:
    """The keyring to use of those stored, by number.

    It is the highest that opens. Its number must be the one it is stored under, and every
    keyring below it that is there must be the one its successor names: else a keyring was rolled
    back or forked, and Tampered is raised. Raises what the highest does when none opens.
    """
    keks = tuple(keks)
    failure: CryptoError = Tampered(f"tenant {tenant_id} has no keyring")
    for number in sorted(sealed, reverse=True):
        try:
            keyring = Keyring.open(sealed[number], keks, tenant_id)
        except UnknownKey as error:
            if number == max(sealed):
                failure = error
            continue
        _check_chain(keyring, number, sealed, keks)
        return keyring
    raise failure


def _check_chain(
    keyring: Keyring, number: int, sealed: Mapping[int, bytes], keks: tuple[Kek, ...]
) -> None:
    if keyring.number != number:
        raise Tampered(f"keyring {number} of tenant {keyring.tenant_id} holds another's number")
    while number > 1 and number - 1 in sealed:
        data = sealed[number - 1]
        if hashlib.sha256(data).digest() != keyring.previous:
            raise Tampered(
                f"keyring {number} of tenant {keyring.tenant_id} does not follow "
                f"keyring {number - 1}: one of them was put there by somebody else"
            )
        number -= 1
        try:
            keyring = Keyring.open(data, keks, keyring.tenant_id)
        except UnknownKey:
            return  # sealed under a KEK long gone; what comes before it has no say


def _aad(tenant_id: str, clear: bytes) -> bytes:
    tenant = tenant_id.encode()
    return b"%b\0%b\0%b" % (labels.KEYRING, tenant, clear)
