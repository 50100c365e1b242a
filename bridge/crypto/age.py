"""The pieces of the age v1 format that a body is made of (age-encryption.org/v1, C2SP age.md).

Header lines, stanzas, the X25519 recipient, header MAC and payload key; bech32 for recipients
and identities; and a whole small file to one recipient.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from bridge.crypto.errors import Tampered
from bridge.crypto.kdf import derive

VERSION = b"age-encryption.org/v1"
FILE_KEY_SIZE = 16
PAYLOAD_NONCE_SIZE = 16

_X25519_LABEL = b"age-encryption.org/v1/X25519"
_ZERO_NONCE = bytes(12)
_COLUMNS = 64
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)

Random = Callable[[int], bytes]


class Stanza(NamedTuple):
    """One recipient stanza: its type, arguments and body."""

    kind: bytes
    arguments: tuple[bytes, ...]
    body: bytes

    def encode(self) -> bytes:
        """As it stands in a header."""
        encoded = b64(self.body)
        lines = [encoded[at : at + _COLUMNS] for at in range(0, len(encoded), _COLUMNS)]
        if not lines or len(lines[-1]) == _COLUMNS:
            lines.append(b"")
        return b"-> " + b" ".join((self.kind, *self.arguments)) + b"\n" + b"\n".join(lines) + b"\n"


def b64(raw: bytes) -> bytes:
    """Standard base64 without padding."""
    return b64encode(raw).rstrip(b"=")


def unb64(text: bytes) -> bytes:
    """Canonical standard base64 without padding. Raises Tampered."""
    try:
        raw = b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise Tampered("not base64") from None
    if b64(raw) != text:
        raise Tampered("not canonical base64")
    return raw


def mac(file_key: bytes, header: bytes) -> bytes:
    """HMAC over the header up to and with ``---``."""
    return hmac.digest(derive(file_key, b"header"), header, hashlib.sha256)


def payload_key(file_key: bytes, nonce: bytes) -> bytes:
    """The key of the STREAM that follows the header and ``nonce``."""
    return derive(file_key, b"payload", salt=nonce)


def seal_header(file_key: bytes, stanzas: Sequence[bytes]) -> bytes:
    """A header of encoded stanzas, with its MAC."""
    head = VERSION + b"\n" + b"".join(stanzas) + b"---"
    return head + b" " + b64(mac(file_key, head)) + b"\n"


def parse_header(data: bytes) -> tuple[list[Stanza], bytes, bytes]:
    """A whole header's stanzas, the bytes under its MAC, and the MAC. Raises Tampered."""
    if not data.endswith(b"\n"):
        raise Tampered("the header is cut short")
    lines = data[:-1].split(b"\n")
    if lines[0] != VERSION:
        raise Tampered("not an age v1 file")
    stanzas = []
    at = 1
    while at < len(lines) and lines[at].startswith(b"-> "):
        words = lines[at][3:].split(b" ")
        if any(not word or not all(33 <= byte <= 126 for byte in word) for word in words):
            raise Tampered("a stanza's arguments are malformed")
        at += 1
        encoded = b""
        while at < len(lines):
            line = lines[at]
            at += 1
            encoded += line
            if len(line) < _COLUMNS:
                break
            if len(line) > _COLUMNS:
                raise Tampered("a stanza's line is too long")
        else:
            raise Tampered("a stanza has no end")
        stanzas.append(Stanza(words[0], tuple(words[1:]), unb64(encoded)))
    if at != len(lines) - 1 or not lines[at].startswith(b"--- ") or not stanzas:
        raise Tampered("the header is malformed")
    tag = unb64(lines[at][4:])
    return stanzas, data[: data.rindex(b"\n--- ") + 4], tag


class Recipient:
    """An X25519 recipient, ``age1…``: anyone may seal to it. Thread-safe."""

    def __init__(self, text: str) -> None:
        self._raw = _bech32_decode("age", text)
        self._key = X25519PublicKey.from_public_bytes(self._raw)
        self.text = text

    def wrap(self, file_key: bytes) -> bytes:
        """An encoded stanza with the file key; a fresh ephemeral share for each."""
        ephemeral = X25519PrivateKey.generate()
        share = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(self._key)
        key = derive(shared, _X25519_LABEL, salt=share + self._raw)
        body = ChaCha20Poly1305(key).encrypt(_ZERO_NONCE, file_key, None)
        return b"-> X25519 %b\n%b\n" % (b64(share), b64(body))


def generate_identity(random: Random = os.urandom) -> tuple[str, str]:
    """A new identity (``AGE-SECRET-KEY-1…``, to be kept offline) and its recipient (``age1…``)."""
    secret = random(32)
    public = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    identity = _bech32_encode("age-secret-key-", secret).upper()
    return identity, _bech32_encode("age", public)


def encrypt(recipient: Recipient, plaintext: bytes, random: Random = os.urandom) -> bytes:
    """A whole age file of at most one chunk (64 KiB), as ``age -r`` would write it."""
    if len(plaintext) > 65_536:
        raise ValueError("more than one chunk")
    file_key, nonce = random(FILE_KEY_SIZE), random(PAYLOAD_NONCE_SIZE)
    sealed = ChaCha20Poly1305(payload_key(file_key, nonce)).encrypt(
        bytes(11) + b"\1", plaintext, None
    )
    return seal_header(file_key, [recipient.wrap(file_key)]) + nonce + sealed


def _polymod(values: Sequence[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                check ^= generator
    return check


def _expand(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def _regroup(data: Sequence[int], have: int, want: int, *, pad: bool) -> list[int]:
    held = bits = 0
    out = []
    for value in data:
        held = held << have | value
        bits += have
        while bits >= want:
            bits -= want
            out.append(held >> bits & ((1 << want) - 1))
    if pad and bits:
        out.append(held << (want - bits) & ((1 << want) - 1))
    elif not pad and (bits >= have or held & ((1 << bits) - 1)):
        raise ValueError("bad padding")
    return out


def _bech32_encode(prefix: str, raw: bytes) -> str:
    """BIP 173, without its length limit."""
    words = _regroup(raw, 8, 5, pad=True)
    check = _polymod([*_expand(prefix), *words, *bytes(6)]) ^ 1
    words += [check >> 5 * (5 - place) & 31 for place in range(6)]
    return prefix + "1" + "".join(_BECH32[word] for word in words)


def _bech32_decode(prefix: str, text: str) -> bytes:
    """Raises ValueError with a message for people."""
    found, separator, encoded = text.rpartition("1")
    try:
        words = [_BECH32.index(c) for c in encoded]
        if not separator or found != prefix or _polymod([*_expand(found), *words]) != 1:
            raise ValueError
        raw = bytes(_regroup(words[:-6], 5, 8, pad=False))
        if len(raw) != 32:
            raise ValueError
    except ValueError:
        raise ValueError(f"{text[:12]}… is not an age X25519 recipient") from None
    return raw
