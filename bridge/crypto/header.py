"""The header of every body: an age v1 header of one size that this vault and its recovery open.

Three stanzas: the vault's own, an X25519 one for the recovery recipient, and padding.
"""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridge.crypto import age, labels
from bridge.crypto.errors import Tampered, UnknownKey
from bridge.crypto.kdf import derive
from bridge.crypto.keyring import KID_SIZE, Keyring

_SALT_SIZE = 24
_SEALED_KEY_SIZE = age.FILE_KEY_SIZE + 16
_ZERO_NONCE = bytes(12)
"""Every key here seals one message only."""


class HeaderMaker:
    """Makes and opens headers under one keyring. Thread-safe."""

    def __init__(self, keyring: Keyring, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._kid = keyring.active
        self._wrap = {kid: derive(trk, labels.WRAP_KEY) for kid, trk in keyring.trks.items()}
        self._recipient = age.Recipient(keyring.recipient)
        self._aad = labels.FILE_KEY + keyring.tenant_id.encode()

    def make(self, file_key: bytes) -> bytes:
        """A header of ``age.PADDED_SIZE`` bytes that holds ``file_key``."""
        salt = self._random(_SALT_SIZE)
        sealed = AESGCM(self._stanza_key(self._kid, salt)).encrypt(_ZERO_NONCE, file_key, self._aad)
        own = age.Stanza(labels.STANZA_TYPE, (age.b64(self._kid), age.b64(salt)), sealed)
        return age.seal_header(
            file_key, own.encode() + self._recipient.wrap(file_key).encode(), labels.PADDING_TYPE
        )

    def open(self, header: bytes) -> bytes:
        """The file key, by the vault's own stanza, once the MAC has verified under it.

        Raises Tampered, UnknownKey.
        """
        if len(header) != age.PADDED_SIZE:
            raise Tampered("the header has the wrong size")
        parsed = age.parse_header(header)
        own = [stanza for stanza in parsed.stanzas if stanza.kind == labels.STANZA_TYPE]
        if len(own) != 1 or len(own[0].arguments) != 2 or len(own[0].body) != _SEALED_KEY_SIZE:
            raise Tampered("the header has no stanza of a vault, or several")
        kid, salt = (age.unb64(argument) for argument in own[0].arguments)
        if len(kid) != KID_SIZE or len(salt) != _SALT_SIZE:
            raise Tampered("the header's own stanza is malformed")
        if kid not in self._wrap:
            raise UnknownKey("sealed under a key not in the keyring", key_id=kid.hex())
        try:
            file_key = AESGCM(self._stanza_key(kid, salt)).decrypt(
                _ZERO_NONCE, own[0].body, self._aad
            )
        except InvalidTag:
            raise Tampered("the header's own stanza does not verify") from None
        if not compare_digest(age.header_mac(file_key, parsed.under_mac), parsed.mac):
            raise Tampered("the header does not verify")
        return file_key

    def _stanza_key(self, kid: bytes, salt: bytes) -> bytes:
        return derive(self._wrap[kid], labels.FILE_KEY, salt=salt)
