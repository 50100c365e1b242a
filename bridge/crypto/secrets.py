"""Grants, and what else must not lie in the clear, sealed under the operator's key (KEK).

Each is bound to its tenant and to its purpose, so that none can be put in the place of another.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from bridge.crypto import labels
from bridge.crypto.errors import Tampered, UnknownFormat, UnknownKey
from bridge.crypto.keyring import KEK_ID_SIZE, Kek
from bridge.crypto.sealing import NONCE_SIZE, TAG_SIZE

_MAGIC = b"SBSE"
_FORMAT = 1
_CLEAR = len(_MAGIC) + 1 + KEK_ID_SIZE
_OVERHEAD = _CLEAR + NONCE_SIZE + TAG_SIZE


def seal_secret(
    kek: Kek,
    purpose: str,
    tenant_id: str,
    plain: bytes,
    random: Callable[[int], bytes] = os.urandom,
) -> bytes:
    """``plain`` sealed under ``kek``: magic, format, KEK id, nonce, ciphertext.

    ``purpose`` says what it is, and has no NUL in it.
    """
    clear = _MAGIC + bytes((_FORMAT,)) + kek.id
    nonce = random(NONCE_SIZE)
    return clear + nonce + kek.secrets.seal(nonce, plain, _aad(purpose, tenant_id, clear))


def open_secret(keks: Iterable[Kek], purpose: str, tenant_id: str, sealed: bytes) -> bytes:
    """What ``seal_secret`` was given for the same purpose and tenant.

    Raises UnknownKey (naming the KEK id expected), UnknownFormat, Tampered.
    """
    wanted = sealed_under(sealed)
    kek = next((kek for kek in keks if kek.id == wanted), None)
    if kek is None:
        raise UnknownKey(
            f"the {purpose} of tenant {tenant_id} is sealed under the KEK with id {wanted.hex()}, "
            "which is not configured",
            key_id=wanted.hex(),
        )
    clear, rest = sealed[:_CLEAR], sealed[_CLEAR:]
    aad = _aad(purpose, tenant_id, clear)
    return kek.secrets.open(rest[:NONCE_SIZE], rest[NONCE_SIZE:], aad)


def sealed_under(sealed: bytes) -> bytes:
    """The id of the KEK that a secret says it is sealed under. Raises UnknownFormat, Tampered."""
    if len(sealed) < _OVERHEAD or not sealed.startswith(_MAGIC):
        raise Tampered("this is not a sealed secret")
    if sealed[len(_MAGIC)] != _FORMAT:
        raise UnknownFormat(f"a sealed secret has format {sealed[len(_MAGIC)]}, not {_FORMAT}")
    return sealed[_CLEAR - KEK_ID_SIZE : _CLEAR]


def _aad(purpose: str, tenant_id: str, clear: bytes) -> bytes:
    """NUL after the purpose, and ``clear`` of one length at the end: no two triples give the same.

    Raises ValueError for a purpose with NUL.
    """
    if "\0" in purpose:
        raise ValueError("a purpose has no NUL")
    return labels.SECRET + purpose.encode() + b"\0" + tenant_id.encode() + clear
