"""The keys that one keyring gives, at work: everything but names, which no rotation changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bridge.crypto import age, cbor, labels, text
from bridge.crypto.body import BodySealer
from bridge.crypto.errors import Tampered, TooLong, UnknownFormat, UnknownKey
from bridge.crypto.header import HeaderMaker
from bridge.crypto.kdf import derive
from bridge.crypto.keyring import KID_SIZE, Keyring
from bridge.crypto.record import ID_SIZE, RECORD_ROOM, Record, is_texts
from bridge.crypto.sealing import NONCE_SIZE, TAG_SIZE, Xaes

_VERSION = b"\1"
_CLEAR = len(_VERSION) + KID_SIZE
_OVERHEAD = _CLEAR + NONCE_SIZE + TAG_SIZE

_CLEAR_TEXT = 8
"""Characters of a sealed record that surely hold its version and kid: six bytes."""

_TEXT_ROOM = -(-(RECORD_ROOM + _OVERHEAD) * 4 // 3)
"""Characters of the longest sealed record."""


def kid_of(sealed: bytes) -> bytes:
    """The kid that a spill or intent says it is sealed under; not verified. Raises Tampered."""
    if len(sealed) < _CLEAR:
        raise Tampered("sealed bytes are cut short")
    return sealed[_CLEAR - KID_SIZE : _CLEAR]


def kid_of_record(sealed: str) -> bytes:
    """The kid that a record says it is sealed under; not verified. Raises Tampered."""
    return kid_of(text.decode(sealed[:_CLEAR_TEXT]))


class KeySet:
    """Seals and opens under the keys of one keyring. Thread-safe; never changes.

    ``number``: the keyring's. ``active``: the kid it seals under. ``retired``: those it only opens.
    """

    def __init__(self, keyring: Keyring, random: Callable[[int], bytes]) -> None:
        self.number = keyring.number
        self.active = keyring.active
        self.retired = frozenset(keyring.trks) - {keyring.active}
        self._random = random
        self._tenant = keyring.tenant_id.encode()
        self._meta = {kid: Xaes(derive(trk, labels.META_KEY)) for kid, trk in keyring.trks.items()}
        self._headers = HeaderMaker(keyring, random)

    def seal_record(self, record: Record) -> str:
        """See ``VaultKeys.seal_record``."""
        plain = record.encode()
        if len(plain) > RECORD_ROOM:
            raise TooLong(f"a record of {len(plain)} bytes, more than {RECORD_ROOM}")
        return text.encode(self._seal(labels.RECORD, plain))

    def open_record(self, sealed: str) -> Record:
        """See ``VaultKeys.open_record``."""
        if len(sealed) > _TEXT_ROOM:
            raise Tampered(f"a record of {len(sealed)} characters, more than {_TEXT_ROOM}")
        return Record.decode(self._open(labels.RECORD, text.decode(sealed)))

    def seal_spill(self, properties: Mapping[str, str]) -> bytes:
        """See ``VaultKeys.seal_spill``."""
        return self._seal(labels.SPILL, cbor.encode({0: dict(properties)}))

    def open_spill(self, sealed: bytes) -> Mapping[str, str]:
        """See ``VaultKeys.open_spill``."""
        found = cbor.decode(self._open(labels.SPILL, sealed), {0: dict}, "spill")
        properties = found.get(0)
        if properties is None or not is_texts(properties):
            raise Tampered("a spill's properties have the wrong type")
        return {str(name): value for name, value in properties.items()}

    def seal_intent(self, copy: bytes, renewed: float) -> bytes:
        """See ``VaultKeys.seal_intent``."""
        return self._seal(labels.INTENT, cbor.encode({0: copy, 1: cbor.nanoseconds(renewed)}))

    def open_intent(self, sealed: bytes) -> tuple[bytes, float]:
        """See ``VaultKeys.open_intent``."""
        plain = self._open(labels.INTENT, sealed)
        match cbor.decode(plain, {0: bytes, 1: int}, "copy's intent"):
            case {0: bytes(copy), 1: int(renewed)} if len(copy) == ID_SIZE:
                return copy, cbor.seconds(renewed)
        raise Tampered("a copy's intent is not possible")

    def new_body(self) -> BodySealer:
        """See ``VaultKeys.new_body``."""
        file_key = self._random(age.FILE_KEY_SIZE)
        nonce = self._random(age.PAYLOAD_NONCE_SIZE)
        return BodySealer(self._headers.make(file_key) + nonce, file_key, nonce)

    def open_header(self, header: bytes) -> tuple[bytes, bytes]:
        """See ``VaultKeys.open_header``."""
        nonce = bytes(header[age.PADDED_SIZE :])
        if len(nonce) != age.PAYLOAD_NONCE_SIZE:
            raise Tampered("the header has the wrong size")
        return self._headers.open(bytes(header[: age.PADDED_SIZE])), nonce

    def _seal(self, label: bytes, plain: bytes) -> bytes:
        """``version ‖ kid ‖ nonce ‖ ciphertext`` under the active K_meta."""
        clear = _VERSION + self.active
        nonce = self._random(NONCE_SIZE)
        sealed = self._meta[self.active].seal(nonce, plain, label + self._tenant + clear)
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
