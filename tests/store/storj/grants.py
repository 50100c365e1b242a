"""Access grants made up without a satellite, good and bad ones.

A grant is base58check over a protobuf message of the satellite's address, the API key, which is
a macaroon, and the encryption keys (storj.io/common: grant, macaroon, base58).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

SECRET = b"the satellite's secret"
ENCRYPTION_KEY = bytes(range(32))
AES_GCM = 2


def hmac256(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def base58check(payload: bytes) -> str:
    data = b"\0" + payload
    data += hashlib.sha256(hashlib.sha256(data).digest()).digest()[:4]
    number, digits = int.from_bytes(data), ""
    while number:
        number, digit = divmod(number, 58)
        digits = ALPHABET[digit] + digits
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + digits


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number: int, value: bytes | int) -> bytes:
    """A field of a protobuf message."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def packet(kind: int, data: bytes) -> bytes:
    return _varint(kind) + _varint(len(data)) + data


def api_key(*caveats: bytes) -> bytes:
    head = b"h" * 32
    tail = hmac256(SECRET, head)
    body = b""
    for caveat in caveats:
        body += packet(2, caveat) + b"\0"
        tail = hmac256(tail, caveat)
    return b"\x02" + packet(2, head) + b"\0" + body + b"\0" + packet(6, tail)


SATELLITE_ID = base58check(b"\x07" * 31 + b"\0")
SATELLITE = f"{SATELLITE_ID}@satellite.test:7777"


def grant(
    *,
    satellite: str = SATELLITE,
    key: bytes | None = None,
    encryption: bytes | None = field(1, ENCRYPTION_KEY) + field(3, AES_GCM),
) -> str:
    """A grant, as a whole project's is where nothing else is said."""
    message = field(1, satellite.encode()) + field(2, api_key() if key is None else key)
    if encryption is not None:
        message += field(3, encryption)
    return base58check(message)


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a protobuf message; numbers as their bytes."""

    def varint() -> int:
        nonlocal message
        number = shift = 0
        while True:
            byte, message = message[0], message[1:]
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    while message:
        tag = varint()
        length = varint()
        if tag & 7 == 2:
            value, message = message[:length], message[length:]
            yield tag >> 3, value
        else:
            yield tag >> 3, bytes([length])


def _message(text: str) -> bytes:
    """The protobuf message in a grant."""
    number = 0
    for letter in text:
        number = number * 58 + ALPHABET.index(letter)
    return number.to_bytes((number.bit_length() + 7) // 8)[:-4]


def at(address: str, text: str) -> str:
    """The same grant, for its satellite at another address."""
    parts = dict(_fields(_message(text)))
    node_id = parts[1].decode().partition("@")[0]
    message = field(1, f"{node_id}@{address}".encode()) + field(2, parts[2]) + field(3, parts[3])
    return base58check(message)


def with_another_passphrase(text: str) -> str:
    """The same grant with a key for all it reaches that its own passphrase does not give."""
    parts = dict(_fields(_message(text)))
    message = field(1, parts[1]) + field(2, parts[2])
    return base58check(message + field(3, field(1, ENCRYPTION_KEY) + field(3, AES_GCM)))


def encryption_keys(text: str) -> dict[tuple[str, str], bytes]:
    """The keys in a grant by bucket and path; the one of the whole project by empty ones."""
    (encryption,) = (value for field, value in _fields(_message(text)) if field == 3)
    keys = {}
    for kind, value in _fields(encryption):
        if kind == 1:
            keys["", ""] = value
        elif kind == 2:
            entry = dict(_fields(value))
            keys[entry[1].decode(), entry[2].decode()] = entry[4]
    return keys
