"""Basic authentication (RFC 7617) before anything else is looked at."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from bridge.http.errors import Refused
from bridge.http.pool import Pool

C_co = TypeVar("C_co", bound="Credential", covariant=True)
T = TypeVar("T")

REMEMBERED = 4.0
"""Seconds for which a success is not asked again: a revocation is to hold within 5 s."""

_MOST_REMEMBERED = 10_000


class Credential(Protocol):
    """Who signed in. ``name`` tells two of them apart, and owns locks."""

    @property
    def name(self) -> str:
        """Unique among all credentials, and stable."""
        ...


class Authenticator(Protocol[C_co]):
    """Tells whose a user name and secret are."""

    def authenticate(self, username: str, secret: str, address: str) -> C_co | None:
        """The credential, or None; may block (it is called in a worker thread).

        ``address`` is the client's, by which repeated failures are slowed down.
        """
        ...


def parse_basic(header: str | None) -> tuple[str, str] | None:
    """User name and secret of an ``Authorization`` header, or None where it holds none."""
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        raw = base64.b64decode(token.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")  # what older clients send
    user, colon, secret = text.partition(":")
    return (user, secret) if colon else None


class Gate(Generic[T]):
    """Lets requests in, remembering for a few seconds whom it let in.

    ``admit(username, secret, address)`` returns what the request may work with, or None; it runs
    in a worker thread. Only keyed digests of what clients sent are kept, never a secret.
    """

    def __init__(
        self,
        admit: Callable[[str, str, str], T | None],
        pool: Pool,
        *,
        realm: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._admit = admit
        self._pool = pool
        self._challenge = f'Basic realm="{realm}", charset="UTF-8"'
        self._clock = clock
        self._key = os.urandom(32)
        self._known: dict[bytes, tuple[float, T]] = {}

    async def enter(self, authorization: str | None, address: str) -> T:
        """What the signed-in client may work with; raises Refused 401 with the challenge."""
        if authorization is None:
            raise self._refusal()
        digest = hashlib.blake2b(
            authorization.encode("utf-8", "surrogateescape"), digest_size=16, key=self._key
        ).digest()
        known = self._known.get(digest)
        if known is not None and known[0] > self._clock():
            return known[1]
        basic = parse_basic(authorization)
        if basic is None:
            raise self._refusal()
        admitted = await self._pool.run(lambda: self._admit(*basic, address))
        if admitted is None:
            self._known.pop(digest, None)
            raise self._refusal()
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[digest] = (self._clock() + REMEMBERED, admitted)
        return admitted

    def _refusal(self) -> Refused:
        return Refused(
            401, "sign in with user name and secret", headers={"WWW-Authenticate": self._challenge}
        )
