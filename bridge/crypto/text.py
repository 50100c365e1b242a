"""Sealed bytes as text: base64url without padding (RFC 4648, section 5), in one form only.

Python's decoder skips characters it does not know and ignores left-over bits. Here exactly one
text stands for given bytes, so that nobody can put the same sealed name under two keys.
"""

from __future__ import annotations

import binascii

from bridge.crypto.errors import Tampered


def encode(raw: bytes) -> str:
    """``raw`` as text."""
    text = binascii.b2a_base64(raw, newline=False).decode()
    return text.rstrip("=").replace("+", "-").replace("/", "_")


def decode(text: str) -> bytes:
    """The bytes that ``text`` stands for. Raises Tampered for what ``encode`` never makes."""
    try:
        standard = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
        raw = binascii.a2b_base64(standard)
    except ValueError:
        raise Tampered("sealed text is not base64url") from None
    if encode(raw) != text:
        raise Tampered("sealed text is not canonical base64url")
    return raw
