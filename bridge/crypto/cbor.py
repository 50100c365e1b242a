"""Plaintext documents: one canonical CBOR map (RFC 8949, section 4.2.1) with small integer keys.

Documents are only decoded after their seal has verified, so what does not fit here was written
by a newer release, or by a faulty one: it is refused whole, never half understood.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from io import BytesIO
from typing import Any, NoReturn

import cbor2

from bridge.crypto.errors import Tampered, UnknownFormat

TIME_LIMIT = 1 << 38
"""Every time is nearer to 1970 than this, in seconds (8,700 years)."""

_NANOSECONDS = 1_000_000_000
_FURTHEST = TIME_LIMIT * _NANOSECONDS

_DEPTH = 4
"""Containers within each other: a field's map or list within the document, and room."""


def _refuse_tag(_decoder: object, _tag: object = None) -> NoReturn:
    raise ValueError("a tag")


_TAGS = dict.fromkeys(
    (0, 1, *range(4, 64), 100, *range(256, 262), 1004, 43_000, 55_799), _refuse_tag
)
"""With these cbor2 would by itself make dates, sets, references, patterns and the like. Of the two
that are left, large integers, times past the year 2262 are made."""


def encode(fields: Mapping[int, object]) -> bytes:
    """``fields`` as a document."""
    return cbor2.dumps(fields, canonical=True)


def decode(data: bytes, types: Mapping[int, type], what: str) -> dict[int, Any]:
    """The fields of a document; ``types`` has the only type each known field may have.

    Raises UnknownFormat for a field that ``types`` does not have: every field matters. Raises
    Tampered for a wrong type, and for what is not one whole map of plain items: no tags but
    of large integers, nothing of indefinite length, no key twice. ``what`` names it in messages.
    """
    stream = BytesIO(data)
    try:
        found = cbor2.CBORDecoder(
            stream,
            tag_hook=_refuse_tag,
            semantic_decoders=_TAGS,
            max_depth=_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
        ).decode()
    except (cbor2.CBORDecodeError, ValueError, OverflowError, RecursionError):
        raise Tampered(f"a {what} is not CBOR") from None
    if type(found) is not dict or stream.tell() != len(data):
        raise Tampered(f"a {what} is not one whole CBOR map")
    for key, value in found.items():
        if type(key) is not int or key not in types:
            raise UnknownFormat(f"a {what} has a field of a newer format")
        if type(value) is not types[key]:
            raise Tampered(f"field {key} of a {what} has the wrong type")
    return found


def nanoseconds(seconds: float) -> int:
    """A time as documents hold it. Raises ValueError for none that is near enough to 1970."""
    if not -TIME_LIMIT < seconds < TIME_LIMIT:  # NaN too
        raise ValueError(f"{seconds!r} is not a time that can be kept")
    # The fraction apart: a product of the whole would lose digits that the float can tell.
    whole = math.floor(seconds)
    return whole * _NANOSECONDS + round((seconds - whole) * _NANOSECONDS)


def seconds(nanoseconds: int) -> float:
    """The nearest float to a time from a document. Raises Tampered as ``nanoseconds`` refuses."""
    if not -_FURTHEST <= nanoseconds <= _FURTHEST:
        raise Tampered("a time is not possible")
    return nanoseconds / _NANOSECONDS  # of integers: Python rounds once
