"""The pieces of the age v1 format that a body is made of (age-encryption.org/v1, C2SP age.md).

Header lines, stanzas, the X25519 recipient, header MAC and payload key; bech32 for recipients
and identities; and a whole small file to one recipient.
"""

from __future__ import annotations

import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from bridge.crypto.errors import Tampered
from bridge.crypto.kdf import derive

FILE_KEY_SIZE = 16
PAYLOAD_NONCE_SIZE = 16

PADDED_SIZE = 512
"""Bytes of a padded header."""

CHUNK = 65_536
"""Bytes of plaintext in every chunk of a payload but the last."""

TAG_SIZE = 16
"""Bytes by which a sealed chunk is longer."""

_INTRO = b"age-encryption.org/v1\n"
_END_SIZE = len(b"--- \n") + 43

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
        lines = [encoded[at : at + _COLUMNS] for at in range(0, len(encoded) + 1, _COLUMNS)]
        return b"-> %b\n%b\n" % (b" ".join((self.kind, *self.arguments)), b"\n".join(lines))


class Header(NamedTuple):
    """A parsed header: its stanzas, the bytes under its MAC, and the MAC."""

    stanzas: list[Stanza]
    under_mac: bytes
    mac: bytes


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


def header_mac(file_key: bytes, under_mac: bytes) -> bytes:
    """HMAC of a header up to and with its ``---``."""
    return hmac.digest(derive(file_key, b"header"), under_mac, "sha256")


def payload_key(file_key: bytes, nonce: bytes) -> bytes:
    """The key of the STREAM that follows the header and ``nonce``."""
    return derive(file_key, b"payload", salt=nonce)


def seal_header(file_key: bytes, stanzas: bytes, padding: bytes = b"") -> bytes:
    """A header of encoded stanzas, with its MAC.

    ``padding`` is the type of a further stanza that brings the header to PADDED_SIZE bytes; by
    its argument, since a body would do so in lines. Readers pass over types they do not know.
    """
    head = _INTRO + stanzas
    if padding:
        frame = b"-> %b %b\n\n"
        room = PADDED_SIZE - len(head) - len(frame % (padding, b"")) - _END_SIZE
        head += frame % (padding, b"0" * room)
    head += b"---"
    return b"%b %b\n" % (head, b64(header_mac(file_key, head)))


def parse_header(data: bytes) -> Header:
    """A header, whole and with nothing after it. The MAC is not checked. Raises Tampered."""
    if not data.startswith(_INTRO):
        raise Tampered("this is not an age v1 file")
    end = data.find(b"\n---", len(_INTRO) - 1) + 1
    if not end:
        raise Tampered("the header has no end")
    under_mac, last = data[: end + 3], data[end + 3 :]
    if len(last) != _END_SIZE - 3 or last[:1] != b" " or last[-1:] != b"\n":
        raise Tampered("the header's last line is malformed")
    stanzas = list(_stanzas(data[len(_INTRO) : end]))
    if not stanzas:
        raise Tampered("the header has no stanza")
    return Header(stanzas, under_mac, unb64(last[1:-1]))


def _stanzas(encoded: bytes) -> Iterator[Stanza]:
    """``encoded``: whole lines. Raises Tampered."""
    lines = iter(encoded.split(b"\n")[:-1])
    for line in lines:
        if not line.startswith(b"-> "):
            raise Tampered("the header has a line outside a stanza")
        words = line[3:].split(b" ")
        if not all(word and all(33 <= byte <= 126 for byte in word) for word in words):
            raise Tampered("a stanza's arguments are malformed")
        body = []
        for part in lines:
            body.append(part)
            if len(part) != _COLUMNS:
                break
        if not body or len(body[-1]) >= _COLUMNS:
            raise Tampered("a stanza's body does not end")
        yield Stanza(words[0], tuple(words[1:]), unb64(b"".join(body)))


class Recipient:
    """An X25519 recipient, ``age1…``: anyone may seal to it. Thread-safe."""

    def __init__(self, text: str) -> None:
        """Raises ValueError when ``text`` is not one, or not a point that can be sealed to."""
        self._raw = _bech32_decode("age", text)
        self._key = X25519PublicKey.from_public_bytes(self._raw)
        # Refuses, here rather than at the first file, points for which every secret is zero.
        X25519PrivateKey.generate().exchange(self._key)

    def wrap(self, file_key: bytes) -> Stanza:
        """A stanza that holds ``file_key``; age demands a fresh ephemeral share for each."""
        ephemeral = X25519PrivateKey.generate()
        share = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(self._key)
        key = derive(shared, _X25519_LABEL, salt=share + self._raw)
        body = ChaCha20Poly1305(key).encrypt(_ZERO_NONCE, file_key, None)
        return Stanza(b"X25519", (b64(share),), body)


def generate_identity(random: Random = os.urandom) -> tuple[str, str]:
    """A new identity (``AGE-SECRET-KEY-1…``, to be kept offline) and its recipient (``age1…``)."""
    secret = random(32)
    public = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    identity = _bech32_encode("age-secret-key-", secret).upper()
    return identity, _bech32_encode("age", public)


def chunk_nonce(counter: int, *, last: bool) -> bytes:
    """The nonce of a payload's chunk: its place, and whether it is the last."""
    return counter.to_bytes(11, "big") + (b"\1" if last else b"\0")


def encrypt(recipient: Recipient, plaintext: bytes, random: Random = os.urandom) -> bytes:
    """A whole age file, as ``age -r`` would write it."""
    file_key, nonce = random(FILE_KEY_SIZE), random(PAYLOAD_NONCE_SIZE)
    aead = ChaCha20Poly1305(payload_key(file_key, nonce))
    chunks = [plaintext[at : at + CHUNK] for at in range(0, len(plaintext), CHUNK)] or [b""]
    sealed = (
        aead.encrypt(chunk_nonce(place, last=place == len(chunks) - 1), chunk, None)
        for place, chunk in enumerate(chunks)
    )
    header = seal_header(file_key, recipient.wrap(file_key).encode())
    return b"".join((header, nonce, *sealed))


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
