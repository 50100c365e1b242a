"""Who may come in: the words and the interface that every door signs in through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Tenant:
    """One vault and what belongs to it. ``id`` is its name for ever, in keys and sealed data."""

    id: str


@dataclass(frozen=True, slots=True)
class Credential:
    """What a client has signed in with. ``username`` is the principal of its locks."""

    tenant: Tenant
    username: str


class Authenticator(Protocol):
    """Checks what clients sign in with. Thread-safe, and quick: it is asked at every request."""

    def authenticate(self, username: str, password: str) -> Credential | None:
        """The credential these open, or None; an unknown user takes as long as a known one."""
        ...
