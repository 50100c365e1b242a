"""Basic authentication (RFC 7617) before anything else is looked at."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from bridge.http import sign_in
from bridge.http.line import WAITING
from bridge.http.pool import Pool

C_co = TypeVar("C_co", bound="Credential", covariant=True)
T = TypeVar("T")


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

        An unknown user takes as long as a known one. ``address`` is the client's; the gate before
        this slows down whoever fails repeatedly.
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


class Gate(sign_in.Gate[T]):
    """The gate for user names and secrets; arguments as of ``bridge.http.sign_in.Gate``."""

    def __init__(
        self,
        admit: Callable[[str, str, str], T | sign_in.Opening[T] | None],
        pool: Pool,
        *,
        realm: str,
        opening: Pool | None = None,
        waiting: int = WAITING,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        challenge = f'Basic realm="{realm}", charset="UTF-8"'
        scheme = sign_in.Scheme(
            parse_basic, challenge, challenge, "sign in with user name and secret"
        )
        super().__init__(
            admit, pool, scheme, opening=opening, waiting=waiting, clock=clock, sleep=sleep
        )
