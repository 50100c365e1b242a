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
    """What a client has signed in with. ``name``, its user name, is the principal of its locks."""

    tenant: Tenant
    name: str


class Authenticator(Protocol):
    """Checks what clients sign in with. Thread-safe; doors ask it in a worker thread."""

    def authenticate(self, username: str, secret: str, address: str) -> Credential | None:
        """The credential these open, or None; an unknown user takes as long as a known one.

        ``address``: the client's, by which repeated failures may be slowed down.
        """
        ...
