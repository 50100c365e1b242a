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
class Opening(Generic[T]):
    """Somebody is let in, and ``call`` makes what the request may work with.

    For what takes longer than to look at a secret, in the name of ``tenant``: it holds up nobody
    who signs in, and nobody else's work.
    """

    call: Callable[[], T]
    tenant: str


@dataclass(frozen=True, slots=True)
class _Known(Generic[T]):
    """Whom the gate let in: until when, and what was not yet forgotten then."""

    until: float
    generation: object
    value: T


class Gate(Generic[T]):
    """Lets requests in, remembering for a few seconds whom it let in.

    ``admit(username, secret, address)`` returns what the request may work with, an Opening of it,
    or None; it runs in ``pool``, an Opening in ``opening`` (None: there too). Of those who look
    each user takes turns who proved right before, and each address of others. Only keyed digests
    of what clients sent are kept, never a secret.

    Whoever failed too often waits (``bridge.http.failures``), but never who is remembered, and not
    who was let in before: what proved right once is no guess. It is asked about again all the same.
    """

    def __init__(
        self,
        admit: Callable[[str, str, str], T | Opening[T] | None],
        pool: Pool,
        scheme: Scheme,
        *,
        opening: Pool | None = None,
        waiting: int = WAITING,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._admit = admit
        self._pool = pool
        self._opening = opening or pool
        self._scheme = scheme
        self._clock = clock
        self._key = os.urandom(32)
        self._generation = object()
        self._known: dict[bytes, _Known[T]] = {}
        self._swept = -REMEMBERED
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
        digest = self._digest(authorization)
        generation = self._generation
        known = self._known.get(digest)
        if known is not None and known.until > self._clock() and known.generation is generation:
            return known.value
        sent = self._scheme.read(authorization)
        if sent is None:
            raise self._refusal(self._scheme.failed)
        username, secret = sent
        # Not of the header, of which one secret has many forms: they would push others' out.
        proof = self._digest(f"{username}:{secret}")
        if proof in self._proven:
            admitted = await self._look(username, secret, address, proof, username)
        else:
            client = client_of(address)
            async with self._line.turn(client, username):
                admitted = await self._look(username, secret, address, proof, client)
        if admitted is None:
            self._known.pop(digest, None)
            raise self._refusal(self._scheme.failed)
        if isinstance(admitted, Opening):
            value: T = await self._opening.run(admitted.call, line=admitted.tenant)
        else:
            value = admitted
        if self._generation is not generation:
            return await self.enter(authorization, address)  # somebody was shut out meanwhile
        self._sweep()
        self._known[digest] = _Known(self._clock() + REMEMBERED, generation, value)
        return value

    def _sweep(self) -> None:
        """Let go of what those worked with who come no more."""
        now = self._clock()
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        if now >= self._swept + REMEMBERED:
            self._swept = now
            self._known = {key: known for key, known in self._known.items() if known.until > now}

    async def _look(
        self, username: str, secret: str, address: str, proof: bytes, line: str | bytes
    ) -> T | Opening[T] | None:
        """Look at a secret, and count what came of it: the next one's turn goes by that."""
        admitted = await self._pool.run(lambda: self._admit(username, secret, address), line=line)
        if admitted is None:
            self._failures.add(client_of(address), username)
            self._proven.pop(proof, None)
            return None
        self._failures.succeeded(client_of(address), username)
        self._proven[proof] = None
        self._proven.move_to_end(proof)
        if len(self._proven) > _MOST_REMEMBERED:
            self._proven.popitem(last=False)
        return admitted

    def _digest(self, text: str) -> bytes:
        return hashlib.blake2b(
            text.encode("utf-8", "surrogateescape"), digest_size=16, key=self._key
        ).digest()

    def _refusal(self, challenge: str) -> Refused:
        return Refused(401, self._scheme.message, headers={"WWW-Authenticate": challenge})
