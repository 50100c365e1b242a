"""A tenant's keys at work: everything a file tree seals and opens, under one keyring."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from hmac import compare_digest

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridge.crypto import age, labels
from bridge.crypto.body import AGE_HEADER_SIZE, HEADER_SIZE, BodyOpener, BodySealer
from bridge.crypto.errors import Tampered, TooLong, UnknownFormat, UnknownKey
from bridge.crypto.kdf import derive
from bridge.crypto.keyring import KID_SIZE, Keyring
from bridge.crypto.names import NameCipher
from bridge.crypto.record import ROOM, Record
from bridge.crypto.sealing import NONCE_SIZE, Xaes

_VERSION = b"\1"
_SALT_SIZE = 24
_ZERO_NONCE = bytes(12)
_CLEAR = len(_VERSION) + KID_SIZE


class VaultKeys:
    """Seals and opens what one vault holds. Thread-safe."""

    def __init__(self, keyring: Keyring, random: Callable[[int], bytes] = os.urandom) -> None:
        self.tenant_id = keyring.tenant_id
        self.root_directory_id = derive(keyring.tnk, labels.ROOT_DIRECTORY, 16)
        self.names = NameCipher(derive(keyring.tnk, labels.NAME_KEY, 64))
        self._random = random
        self._recipient = age.Recipient(keyring.recipient)
        self._kid = keyring.active
        self._tenant = keyring.tenant_id.encode()
        self._wrap = {kid: derive(trk, labels.WRAP_KEY) for kid, trk in keyring.trks.items()}
        self._meta = {kid: Xaes(derive(trk, labels.META_KEY)) for kid, trk in keyring.trks.items()}
        self._stanza_aad = labels.STANZA + self._tenant

    def seal_record(self, record: Record) -> str:
        """A record as text for an object's metadata. Raises TooLong when it does not fit there."""
        plain = record.encode()
        if len(plain) > ROOM:
            raise TooLong(f"a record of {len(plain)} bytes, more than {ROOM}")
        sealed = self._seal(labels.RECORD, plain)
        return urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open_record(self, text: str) -> Record:
        """Raises Tampered, UnknownKey, UnknownFormat."""
        try:
            sealed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            raise Tampered("a record is not base64") from None
        return Record.decode(self._open(labels.RECORD, sealed))

    def seal_spill(self, properties: Mapping[str, str]) -> bytes:
        """Dead properties that did not fit their record, as an object's content."""
        return self._seal(labels.SPILL, cbor2.dumps(dict(properties), canonical=True))

    def open_spill(self, sealed: bytes) -> Mapping[str, str]:
        """Raises Tampered, UnknownKey, UnknownFormat."""
        found = cbor2.loads(self._open(labels.SPILL, sealed))
        if not isinstance(found, dict) or not all(
            type(name) is str and type(value) is str for name, value in found.items()
        ):
            raise Tampered("spilled properties have the wrong type")
        return found

    def seal_intent(self, copy: bytes, renewed: float) -> bytes:
        """The intent of a running directory copy, as an object's content."""
        return self._seal(labels.INTENT, cbor2.dumps({0: copy, 1: renewed}, canonical=True))

    def new_body(self) -> BodySealer:
        """A fresh file key, wrapped for this vault and for the recovery recipient."""
        file_key, nonce = self._random(16), self._random(16)
        salt = self._random(_SALT_SIZE)
        key = derive(self._wrap[self._kid], labels.STANZA, salt=salt)
        body = AESGCM(key).encrypt(_ZERO_NONCE, file_key, self._stanza_aad)
        own = b"-> %b %b %b\n%b\n" % (
            labels.STANZA,
            age.b64(self._kid),
            age.b64(salt),
            age.b64(body),
        )
        recovery = self._recipient.wrap(file_key)
        padding = b"-> %b %b\n\n" % (labels.PADDING, b"0" * _padding(len(own) + len(recovery)))
        header = age.seal_header(file_key, (own, recovery, padding))
        return BodySealer(header, file_key, nonce)

    def body_opener(self, file_key: bytes, payload_nonce: bytes, size: int) -> BodyOpener:
        """Opens a body by what its record says; the header is not asked."""
        return BodyOpener(file_key, payload_nonce, size)

    def open_header(self, header: bytes) -> tuple[bytes, bytes]:
        """File key and payload nonce from a body's first HEADER_SIZE bytes, for a lost record.

        By the vault's own stanza only: anyone who knows the recovery recipient could forge the
        other. Raises Tampered, UnknownKey.
        """
        if len(header) != HEADER_SIZE:
            raise Tampered("the header is cut short")
        stanzas, under_mac, tag = age.parse_header(bytes(header[:AGE_HEADER_SIZE]))
        own = [stanza for stanza in stanzas if stanza.kind == labels.STANZA]
        if len(own) != 1 or len(own[0].arguments) != 2:
            raise Tampered("the header has no stanza of this vault")
        kid, salt = map(age.unb64, own[0].arguments)
        try:
            key = derive(self._wrap[kid], labels.STANZA, salt=salt)
        except KeyError:
            raise UnknownKey("sealed under a key not in the keyring", key_id=kid.hex()) from None
        try:
            file_key = AESGCM(key).decrypt(_ZERO_NONCE, own[0].body, self._stanza_aad)
        except (InvalidTag, ValueError):
            raise Tampered("the header's stanza does not verify") from None
        if not compare_digest(age.mac(file_key, under_mac), tag):
            raise Tampered("the header does not verify")
        return file_key, bytes(header[AGE_HEADER_SIZE:])

    def _seal(self, label: bytes, plain: bytes) -> bytes:
        """``version ‖ kid ‖ nonce ‖ ciphertext`` under the active K_meta."""
        clear = _VERSION + self._kid
        nonce = self._random(NONCE_SIZE)
        sealed = self._meta[self._kid].seal(nonce, plain, label + self._tenant + clear)
        return clear + nonce + sealed

    def _open(self, label: bytes, sealed: bytes) -> bytes:
        clear = sealed[:_CLEAR]
        if len(sealed) < _CLEAR + NONCE_SIZE:
            raise Tampered("sealed bytes are cut short")
        if clear[:1] != _VERSION:
            raise UnknownFormat(f"sealed bytes of version {clear[0]}, not {_VERSION[0]}")
        kid = clear[1:]
        cipher = self._meta.get(kid)
        if cipher is None:
            raise UnknownKey("sealed under a key not in the keyring", key_id=kid.hex())
        nonce = sealed[_CLEAR : _CLEAR + NONCE_SIZE]
        return cipher.open(nonce, sealed[_CLEAR + NONCE_SIZE :], label + self._tenant + clear)


def _padding(stanzas: int) -> int:
    """Length of the padding stanza's argument, for the header to have AGE_HEADER_SIZE bytes."""
    empty = len(b"-> %b \n\n" % labels.PADDING)
    mac_line = len(b"--- \n") + 43
    return AGE_HEADER_SIZE - len(age.VERSION) - 1 - stanzas - empty - mac_line
