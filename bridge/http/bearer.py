"""Bearer tokens (RFC 6750) in the ``Authorization`` header, and nowhere else."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bridge.http import sign_in
from bridge.http.line import WAITING
from bridge.http.pool import Pool

T = TypeVar("T")

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,512}=*")
"""RFC 6750, section 2.1."""


def parse_bearer(header: str) -> str | None:
    """The token of an ``Authorization`` header, or None where it holds none."""
    scheme, _, token = header.partition(" ")
    token = token.strip(" ")
    return token if scheme.lower() == "bearer" and _TOKEN.fullmatch(token) else None


class TokenGate(sign_in.Gate[T]):
    """The gate for tokens: ``admit(text)`` returns what the request may work with, or None.

    All tokens of an address count together when they fail. Other arguments as of
    ``bridge.http.sign_in.Gate``.
    """

    def __init__(
        self,
        admit: Callable[[str], T | None],
        pool: Pool,
        *,
        realm: str,
        waiting: int = WAITING,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        challenge = f'Bearer realm="{realm}"'

        def read(header: str) -> tuple[str, str] | None:
            token = parse_bearer(header)
            return None if token is None else ("", token)

        def admit_token(_username: str, text: str, _address: str) -> T | None:
            return admit(text)

        super().__init__(
            admit_token,
            pool,
            sign_in.Scheme(
                read,
                challenge,
                f'{challenge}, error="invalid_token"',
                "send a valid token: Authorization: Bearer ...",
            ),
            waiting=waiting,
            clock=clock,
            sleep=sleep,
        )
