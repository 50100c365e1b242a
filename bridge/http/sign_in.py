"""The gate before every door: who is let in, remembered for a few seconds; who fails, waits."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from bridge.http.errors import Refused
from bridge.http.failures import Failures, client_of
from bridge.http.line import WAITING, Line
from bridge.http.pool import Pool

T = TypeVar("T")

REMEMBERED = 4.0
"""Seconds for which a success is not asked again: a revocation is to hold within 5 s."""

_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Scheme:
    """One HTTP authentication scheme.

    ``read``: user name and secret of an ``Authorization`` header, None where it holds none (the
    user name is "" where the scheme has none). ``unasked`` and ``failed``: the challenge to whoever
    sent nothing, and to whoever sent what is wrong. ``message``: what to do, for a person.
    """

    read: Callable[[str], tuple[str, str] | None]
    unasked: str
    failed: str
    message: str


@dataclass(frozen=True, slots=True)
class _Known(Generic[T]):
    """Whom the gate let in: until when, and what was not yet forgotten then."""

    until: float
    generation: object
    value: T


class Gate(Generic[T]):
    """Lets requests in, remembering for a few seconds whom it let in.

    ``admit(username, secret, address)`` returns what the request may work with, or None; it runs
    in a worker thread. Only keyed digests of what clients sent are kept, never a secret.

    Whoever failed too often waits (``bridge.http.failures``), but never who is remembered, and not
    who was let in before: what proved right once is no guess. It is asked about again all the same.
    """

    def __init__(
        self,
        admit: Callable[[str, str, str], T | None],
        pool: Pool,
        scheme: Scheme,
        *,
        waiting: int = WAITING,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._admit = admit
        self._pool = pool
        self._scheme = scheme
        self._clock = clock
        self._key = os.urandom(32)
        self._generation = object()
        self._known: dict[bytes, _Known[T]] = {}
        self._proven: OrderedDict[bytes, None] = OrderedDict()
        self._failures = Failures(clock)
        self._line = Line(self._failures, most=waiting, sleep=sleep)

    @property
    def waiting(self) -> int:
        """Sign-ins that wait, or are looked at, because nobody has vouched for them yet."""
        return self._line.length

    def forget(self) -> None:
        """Ask about everyone again; from any thread.

        Nobody is let in from now on by what was known before, nor by an answer that is on its way.
        """
        self._generation = object()
        self._known.clear()

    async def enter(self, authorization: str | None, address: str) -> T:
        """What the signed-in client may work with.

        Raises Refused 401 with the challenge, Overloaded where too many wait already.
        """
        if authorization is None:
            raise self._refusal(self._scheme.unasked)
        digest = hashlib.blake2b(
            authorization.encode("utf-8", "surrogateescape"), digest_size=16, key=self._key
        ).digest()
        generation = self._generation
        known = self._known.get(digest)
        if known is not None and known.until > self._clock() and known.generation is generation:
            return known.value
        sent = self._scheme.read(authorization)
        if sent is None:
            raise self._refusal(self._scheme.failed)
        username, secret = sent
        client = client_of(address)
        if digest in self._proven:
            admitted = await self._pool.run(lambda: self._admit(username, secret, address))
            self._count(admitted, client, username)
        else:
            async with self._line.turn(client, username):
                admitted = await self._pool.run(lambda: self._admit(username, secret, address))
                # Counted before the next one's turn, which goes by it.
                self._count(admitted, client, username)
        if admitted is None:
            self._known.pop(digest, None)
            self._proven.pop(digest, None)
            raise self._refusal(self._scheme.failed)
        self._remember(digest, _Known(self._clock() + REMEMBERED, generation, admitted))
        return admitted

    def _count(self, admitted: T | None, client: bytes, username: str) -> None:
        if admitted is None:
            self._failures.add(client, username)
        else:
            self._failures.succeeded(client, username)

    def _remember(self, digest: bytes, known: _Known[T]) -> None:
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[digest] = known
        self._proven[digest] = None
        self._proven.move_to_end(digest)
        if len(self._proven) > _MOST_REMEMBERED:
            self._proven.popitem(last=False)

    def _refusal(self, challenge: str) -> Refused:
        return Refused(401, self._scheme.message, headers={"WWW-Authenticate": challenge})
