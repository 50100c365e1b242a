"""An independent reader of vault format 1, written from docs/vault-format.md alone.

It needs ``cryptography`` and ``cbor2`` and imports nothing of the bridge: if it opens the golden
vault, the document is complete. It stays short; production care for memory is not its business.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import cbor2
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

Objects = Mapping[str, tuple[str, bytes]]
"""By key: the metadata ``r`` (or an empty text), and the content."""

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


class Entry(NamedTuple):
    path: tuple[str, ...]
    record: dict[int, Any]
    content: bytes
    properties: dict[str, str]


def derive(key: bytes, info: bytes, size: int = 32, salt: bytes = b"") -> bytes:
    return HKDF(SHA256(), size, salt, info).derive(key)


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def xaes_open(key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
    aes = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    doubled = int.from_bytes(aes.update(bytes(16)), "big") << 1
    k1 = (doubled ^ ((1 << 128 | 0x87) if doubled >> 128 else 0)).to_bytes(16, "big")
    blocks = [bytes((0, i, 0x58, 0)) + nonce[:12] for i in (1, 2)]
    derived = [aes.update(bytes(a ^ b for a, b in zip(block, k1, strict=True))) for block in blocks]
    return AESGCM(b"".join(derived)).decrypt(nonce[12:], sealed, aad)


def bech32(text: str) -> bytes:
    """What an identity or a recipient holds; the checksum is not looked at."""
    words = [_ALPHABET.index(c) for c in text.lower().rpartition("1")[2][:-6]]
    bits = "".join(f"{word:05b}" for word in words)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) - 7, 8))


def stream_open(file_key: bytes, nonce: bytes, sealed: bytes) -> bytes:
    aead = ChaCha20Poly1305(derive(file_key, b"payload", salt=nonce))
    chunks = [sealed[at : at + 65_552] for at in range(0, len(sealed), 65_552)]
    return b"".join(
        aead.decrypt(k.to_bytes(11, "big") + bytes([k == len(chunks) - 1]), chunk, None)
        for k, chunk in enumerate(chunks)
    )


def age_open(data: bytes, unwrap: Callable[[list[bytes], bytes], bytes | None]) -> bytes:
    """A whole age file. ``unwrap`` gets each stanza: its words and body."""
    end = data.index(b"\n---") + 1
    header, after = data[: end + 3], data.index(b"\n", end) + 1
    file_key = None
    for stanza in header[: end - 1].split(b"\n-> ")[1:]:
        words, *lines = stanza.split(b"\n")
        text = b"".join(lines)
        file_key = file_key or unwrap(words.split(b" "), b64decode(text + b"=" * (-len(text) % 4)))
    assert file_key is not None
    tag = b64decode(data[end + 4 : after - 1] + b"=")
    assert hmac.compare_digest(hmac.digest(derive(file_key, b"header"), header, "sha256"), tag)
    return stream_open(file_key, data[after : after + 16], data[after + 16 :])


def with_identity(identity: str) -> Callable[[list[bytes], bytes], bytes | None]:
    secret = X25519PrivateKey.from_private_bytes(bech32(identity))
    own = secret.public_key().public_bytes_raw()

    def unwrap(words: list[bytes], body: bytes) -> bytes | None:
        if words[0] != b"X25519":
            return None
        share = b64decode(words[1] + b"=")
        shared = secret.exchange(X25519PublicKey.from_public_bytes(share))
        key = derive(shared, b"age-encryption.org/v1/X25519", salt=share + own)
        return ChaCha20Poly1305(key).decrypt(bytes(12), body, None)

    return unwrap


def with_trks(
    tenant_id: str, trks: Mapping[bytes, bytes]
) -> Callable[[list[bytes], bytes], bytes | None]:
    label = b"storj-bridge/v1/file-key"

    def unwrap(words: list[bytes], body: bytes) -> bytes | None:
        if words[0] != b"storj-bridge/k":
            return None
        kid, salt = b64decode(words[1] + b"=="), b64decode(words[2])
        key = derive(derive(trks[kid], b"storj-bridge/v1/wrap-key"), label, salt=salt)
        return AESGCM(key).decrypt(bytes(12), body, label + tenant_id.encode())

    return unwrap


def keyring_open(data: bytes, kek: bytes, tenant_id: str) -> dict[int, Any]:
    clear, nonce, sealed = data[:13], data[13:37], data[37:]
    assert clear == b"SBKR\1" + derive(kek, b"storj-bridge/v1/kek-id", 8)
    aad = b"storj-bridge/v1/keyring" + tenant_id.encode() + clear
    found: dict[int, Any] = cbor2.loads(xaes_open(kek, nonce, sealed, aad))
    return found


class Vault:
    def __init__(self, objects: Objects, tenant_id: str, recovery: bytes, identity: str) -> None:
        found = json.loads(age_open(recovery, with_identity(identity)))
        assert (found["format"], found["tenant_id"]) == (1, tenant_id)
        self.objects, self.tenant_id = objects, tenant_id
        self.root = bytes.fromhex(found["root_directory_id"])
        self.name_key = bytes.fromhex(found["name_key"])
        self.meta_keys = {
            bytes.fromhex(kid): bytes.fromhex(key) for kid, key in found["meta_keys"].items()
        }

    def unseal(self, label: bytes, data: bytes) -> dict[int, Any]:
        clear, nonce, sealed = data[:5], data[5:29], data[29:]
        assert clear[:1] == b"\1"
        aad = b"storj-bridge/v1/" + label + self.tenant_id.encode() + clear
        found: dict[int, Any] = cbor2.loads(
            xaes_open(self.meta_keys[clear[1:]], nonce, sealed, aad)
        )
        return found

    def entries(self, directory: bytes, path: tuple[str, ...] = ()) -> Iterator[Entry]:
        prefix = f"{self.tenant_id}/d/{b64(directory)}/"
        for key, (sealed, body) in self.objects.items():
            if not key.startswith(prefix):
                continue
            associated = [b"storj-bridge/v1/name", directory]
            raw = AESSIV(self.name_key).decrypt(unb64(key.removeprefix(prefix)), associated)
            record = self.unseal(b"record", unb64(sealed))
            here = (*path, record.get(9, raw.decode()))
            yield Entry(here, record, self.content(record, body), self.properties(record))
            if record[0] == 1:
                yield from self.entries(record[1], here)

    def content(self, record: dict[int, Any], body: bytes) -> bytes:
        if record[0] == 1:
            return b""
        if 12 in record:
            body = self.objects[f"{self.tenant_id}/o/{b64(record[12])}"][1]
        content = stream_open(record[7], record[8], body[528:])
        assert len(content) == record.get(2, 0)
        return content

    def properties(self, record: dict[int, Any]) -> dict[str, str]:
        found: dict[str, str] = record.get(10, {})
        if 11 in record:
            spill_id, digest = record[11]
            spill = self.objects[f"{self.tenant_id}/x/{b64(spill_id)}"][1]
            assert hashlib.sha256(spill).digest() == digest
            found = self.unseal(b"spill", spill)[0]
        return found
