"""The operator's keys in text: one base64 line each."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable

from bridge.crypto.keyring import KEK_SIZE, Kek


class BadKek(Exception):
    """The text holds no usable key; the message says why, and never what it holds."""


def new_kek(random: Callable[[int], bytes] = os.urandom) -> str:
    """A fresh key as text."""
    return base64.b64encode(random(KEK_SIZE)).decode()


def parse_keks(text: str) -> tuple[Kek, ...]:
    """The keys in ``text``, one a line, ``#`` before a comment.

    The first one seals; the others only open what was sealed before they were replaced. Raises
    BadKek.
    """
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    keks = []
    for number, line in enumerate(lines, 1):
        if line:
            try:
                keks.append(Kek(base64.b64decode(line, validate=True)))
            except (binascii.Error, ValueError):
                raise BadKek(
                    f"line {number} is not a key: {KEK_SIZE} bytes in base64, 44 characters"
                ) from None
    if not keks:
        raise BadKek("there is no key in it")
    return tuple(keks)
