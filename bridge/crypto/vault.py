"""A tenant's keys at work: everything a file tree seals and opens, under one keyring."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from bridge.crypto import age, cbor, labels, text
from bridge.crypto.body import BodyOpener, BodySealer
from bridge.crypto.errors import Tampered, TooLong, UnknownFormat, UnknownKey
from bridge.crypto.header import HeaderMaker
from bridge.crypto.kdf import derive
from bridge.crypto.keyring import KID_SIZE, Keyring
from bridge.crypto.names import NameCipher
from bridge.crypto.record import ID_SIZE, RECORD_ROOM, Record, is_texts
from bridge.crypto.sealing import NONCE_SIZE, TAG_SIZE, Xaes

_VERSION = b"\1"
_CLEAR = len(_VERSION) + KID_SIZE
_OVERHEAD = _CLEAR + NONCE_SIZE + TAG_SIZE

_TEXT_ROOM = -(-(RECORD_ROOM + _OVERHEAD) * 4 // 3)
"""Characters of the longest sealed record."""


class VaultKeys:
    """Seals and opens what one vault holds. Thread-safe."""

    def __init__(self, keyring: Keyring, random: Callable[[int], bytes] = os.urandom) -> None:
        self.tenant_id = keyring.tenant_id
        self.root_directory_id = derive(keyring.tnk, labels.ROOT_DIRECTORY, ID_SIZE)
        self.names = NameCipher(derive(keyring.tnk, labels.NAME_KEY, 64))
        self._random = random
        self._tenant = keyring.tenant_id.encode()
        self._kid = keyring.active
        self._meta = {kid: Xaes(derive(trk, labels.META_KEY)) for kid, trk in keyring.trks.items()}
        self._headers = HeaderMaker(keyring, random)

    def seal_record(self, record: Record) -> str:
        """A record as text for an object's metadata. Raises TooLong when it does not fit there."""
        plain = record.encode()
        if len(plain) > RECORD_ROOM:
            raise TooLong(f"a record of {len(plain)} bytes, more than {RECORD_ROOM}")
        return text.encode(self._seal(labels.RECORD, plain))

    def open_record(self, sealed: str) -> Record:
        """Raises Tampered, UnknownKey, UnknownFormat."""
        if len(sealed) > _TEXT_ROOM:
            raise Tampered(f"a record of {len(sealed)} characters, more than {_TEXT_ROOM}")
        return Record.decode(self._open(labels.RECORD, text.decode(sealed)))

    def seal_spill(self, properties: Mapping[str, str]) -> bytes:
        """Dead properties that did not fit their record, as an object's content."""
        return self._seal(labels.SPILL, cbor.encode({0: dict(properties)}))

    def open_spill(self, sealed: bytes) -> Mapping[str, str]:
        """Raises Tampered, UnknownKey, UnknownFormat."""
        found = cbor.decode(self._open(labels.SPILL, sealed), {0: dict}, "spill")
        properties = found.get(0)
        if properties is None or not is_texts(properties):
            raise Tampered("a spill's properties have the wrong type")
        return {str(name): value for name, value in properties.items()}

    def seal_intent(self, copy: bytes, renewed: float) -> bytes:
        """The intent of a running copy, as an object's content.

        ``copy``: the id that the directory made by it will have. ``renewed``: Unix seconds.
        """
        return self._seal(labels.INTENT, cbor.encode({0: copy, 1: cbor.nanoseconds(renewed)}))

    def open_intent(self, sealed: bytes) -> tuple[bytes, float]:
        """What ``seal_intent`` was given. Raises Tampered, UnknownKey, UnknownFormat."""
        plain = self._open(labels.INTENT, sealed)
        match cbor.decode(plain, {0: bytes, 1: int}, "copy's intent"):
            case {0: bytes(copy), 1: int(renewed)} if len(copy) == ID_SIZE:
                return copy, cbor.seconds(renewed)
        raise Tampered("a copy's intent is not possible")

    def new_body(self) -> BodySealer:
        """A fresh file key, wrapped for this vault and for the recovery recipient."""
        file_key = self._random(age.FILE_KEY_SIZE)
        nonce = self._random(age.PAYLOAD_NONCE_SIZE)
        return BodySealer(self._headers.make(file_key) + nonce, file_key, nonce)

    def body_opener(self, file_key: bytes, payload_nonce: bytes, size: int) -> BodyOpener:
        """Opens a body of ``size`` bytes of plaintext by its record; the header is not asked."""
        return BodyOpener(file_key, payload_nonce, size)

    def open_header(self, header: bytes) -> tuple[bytes, bytes]:
        """File key and payload nonce from a body's first HEADER_SIZE bytes, for a lost record.

        By the vault's own stanza only: anyone who knows the recovery recipient could forge the
        other. The nonce is not covered by the header's MAC: verify every chunk before you
        believe it. Raises Tampered, UnknownKey.
        """
        nonce = bytes(header[age.PADDED_SIZE :])
        if len(nonce) != age.PAYLOAD_NONCE_SIZE:
            raise Tampered("the header has the wrong size")
        return self._headers.open(bytes(header[: age.PADDED_SIZE])), nonce

    def _seal(self, label: bytes, plain: bytes) -> bytes:
        """``version ‖ kid ‖ nonce ‖ ciphertext`` under the active K_meta."""
        clear = _VERSION + self._kid
        nonce = self._random(NONCE_SIZE)
        sealed = self._meta[self._kid].seal(nonce, plain, label + self._tenant + clear)
        return clear + nonce + sealed

    def _open(self, label: bytes, sealed: bytes) -> bytes:
        if len(sealed) < _OVERHEAD:
            raise Tampered("sealed bytes are cut short")
        clear = sealed[:_CLEAR]
        if clear[:1] != _VERSION:
            raise UnknownFormat(f"sealed bytes of version {clear[0]}, not {_VERSION[0]}")
        kid = clear[1:]
        cipher = self._meta.get(kid)
        if cipher is None:
            raise UnknownKey("sealed under a key not in the keyring", key_id=kid.hex())
        nonce = sealed[_CLEAR : _CLEAR + NONCE_SIZE]
        return cipher.open(nonce, sealed[_CLEAR + NONCE_SIZE :], label + self._tenant + clear)
