"""The C2SP CCTV vectors of age, read by the pieces that bodies are made of.

The bridge itself never opens an X25519 stanza, so the few lines that do stand here.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from hmac import compare_digest
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from bridge.crypto import age
from bridge.crypto.body import CHUNK, SEALED_CHUNK, BodyOpener, plain_size
from bridge.crypto.errors import Tampered
from bridge.crypto.kdf import derive

_VECTORS = Path(__file__).parent / "vectors" / "age"
_X25519_INFO = b"age-encryption.org/v1/X25519"


class _HeaderFailure(Exception):
    pass


class _NoMatch(Exception):
    pass


class _MacFailure(Exception):
    pass


class _PayloadFailure(Exception):
    pass


_EXPECTED: dict[str, type[Exception]] = {
    "header failure": _HeaderFailure,
    "no match": _NoMatch,
    "HMAC failure": _MacFailure,
    "payload failure": _PayloadFailure,
}


@dataclass
class _Vector:
    expect: str = ""
    payload: str = ""
    identities: list[str] = field(default_factory=list)
    file: bytes = b""

    @classmethod
    def read(cls, path: Path) -> _Vector:
        head, _, file = path.read_bytes().partition(b"\n\n")
        vector = cls(file=file)
        for line in head.decode().splitlines():
            key, _, value = line.partition(": ")
            match key:
                case "expect":
                    vector.expect = value
                case "payload":
                    vector.payload = value
                case "identity":
                    vector.identities.append(value)
                case "compressed":
                    assert value == "zlib"
                    vector.file = zlib.decompress(file)
                case _:
                    assert key in ("file key", "comment"), key
        return vector


def _names() -> list[str]:
    return sorted(path.name for path in _VECTORS.iterdir())


@pytest.mark.parametrize("name", _names())
def test_a_vector_ends_as_it_must(name: str) -> None:
    vector = _Vector.read(_VECTORS / name)
    released = bytearray()
    if vector.expect == "success":
        _read(vector, released)
    else:
        with pytest.raises(_EXPECTED[vector.expect]):
            _read(vector, released)
    if vector.payload:
        assert hashlib.sha256(released).hexdigest() == vector.payload


@pytest.mark.parametrize("name", _names())
def test_a_header_that_parses_is_encoded_again_byte_for_byte(name: str) -> None:
    vector = _Vector.read(_VECTORS / name)
    try:
        header, _ = _split(vector.file)
    except _HeaderFailure:
        assert vector.expect == "header failure"
        return
    stanzas = b"".join(stanza.encode() for stanza in header.stanzas)
    assert header.under_mac == b"age-encryption.org/v1\n" + stanzas + b"---"


def test_a_header_without_a_stanza_is_none() -> None:
    """No vector has it, and the format's grammar asks for one at least."""
    header = age.seal_header(bytes(16), b"")
    with pytest.raises(Tampered, match="no stanza"):
        age.parse_header(header)


def test_the_vectors_of_every_kind_are_there() -> None:
    kinds = {_Vector.read(_VECTORS / name).expect for name in _names()}
    assert kinds == {"success", *_EXPECTED}
    assert len(_names()) == 67


def _read(vector: _Vector, released: bytearray) -> None:
    """Decrypt a vector; what an application would be given goes to ``released``."""
    header, payload = _split(vector.file)
    file_key = _file_key(header, vector.identities)
    if not compare_digest(age.header_mac(file_key, header.under_mac), header.mac):
        raise _MacFailure
    nonce, sealed = payload[: age.PAYLOAD_NONCE_SIZE], payload[age.PAYLOAD_NONCE_SIZE :]
    if len(nonce) < age.PAYLOAD_NONCE_SIZE:
        # age's own reader counts a nonce cut short among the header's failures, as the vectors do
        raise _HeaderFailure
    for chunk in _chunks(file_key, nonce, sealed):
        released += chunk


def _split(file: bytes) -> tuple[age.Header, bytes]:
    """A file's header and what follows; a header's last line begins with ``---``."""
    end = file.find(b"\n", file.find(b"\n---") + 1) + 1
    try:
        return age.parse_header(file[:end]), file[end:]
    except Tampered:
        raise _HeaderFailure from None


def _file_key(header: age.Header, identities: list[str]) -> bytes:
    for stanza in header.stanzas:
        if stanza.kind != b"X25519":
            continue
        if len(stanza.arguments) != 1 or len(stanza.body) != 32:
            raise _HeaderFailure
        try:
            share = age.unb64(stanza.arguments[0])
        except Tampered:
            raise _HeaderFailure from None
        if len(share) != 32:
            raise _HeaderFailure
        for identity in identities:
            try:
                return _unwrap(identity, share, stanza.body)
            except InvalidTag:
                continue
            except ValueError:  # a shared secret of zero
                raise _HeaderFailure from None
    raise _NoMatch


def _unwrap(identity: str, share: bytes, body: bytes) -> bytes:
    secret = X25519PrivateKey.from_private_bytes(
        age._bech32_decode("age-secret-key-", identity.lower())
    )
    shared = secret.exchange(X25519PublicKey.from_public_bytes(share))
    key = derive(shared, _X25519_INFO, salt=share + secret.public_key().public_bytes_raw())
    return ChaCha20Poly1305(key).decrypt(bytes(12), body, None)


def _chunks(file_key: bytes, nonce: bytes, sealed: bytes) -> Iterator[bytes]:
    """As a reader of a stream of unknown length, which releases what it has verified so far.

    The bridge knows a file's size before it reads, and releases no more than this one does.
    """
    for place in range(max(1, -(-len(sealed) // SEALED_CHUNK))):
        chunk = sealed[place * SEALED_CHUNK : (place + 1) * SEALED_CHUNK]
        if len(chunk) == SEALED_CHUNK:
            try:
                yield bytes(BodyOpener(file_key, nonce, (place + 2) * CHUNK).open(chunk, place))
            except Tampered:
                pass  # perhaps it is the last
            else:
                continue
        try:
            size = plain_size(place * SEALED_CHUNK + len(chunk))
            yield bytes(BodyOpener(file_key, nonce, size).open(chunk, place))
        except Tampered:
            raise _PayloadFailure from None
        if len(sealed) > place * SEALED_CHUNK + len(chunk):
            raise _PayloadFailure
        return
    raise _PayloadFailure
