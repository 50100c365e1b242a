"""The real service on a real database, watched, and broken where a test wants it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from bridge.crypto.keyring import Kek
from bridge.state.database import DatabaseState, open_state
from bridge.tenants.api import Administration, Invalid, Tenant
from bridge.tenants.service import TenantService
from tests.tenants.storage import Storage


class GrantRefused(Exception):
    """A grant that will not do; the message has it, as a careless store's would."""


class GrantStorage(Storage):
    """Wants grants that begin with ``grant-``, or none."""

    def tenant_grant(self, tenant: Tenant, *, root: str | None, own: str | None) -> str:
        if root is not None and own is not None:
            raise Invalid("a tenant has one grant: from the root grant, or its own")
        for grant in (root, own):
            if grant is not None and not grant.startswith("grant-"):
                raise GrantRefused(f"this is not an access grant: {grant}")
        return super().tenant_grant(tenant, root=root, own=own)


class Watched:
    """Everything of the service. ``calls``: what was asked of it, but not whose tokens are.

    ``broken`` is raised by whatever is asked next. ``now``: the service's clock; None for the true
    one.
    """

    def __init__(self, folder: Path) -> None:
        self.state: DatabaseState = open_state(folder / "state.db")
        self.calls: list[str] = []
        self.broken: Exception | None = None
        self.now: float | None = None
        self.service = TenantService(
            self.state, GrantStorage(), (Kek(bytes(range(32))),), clock=self._clock
        )

    def __getattr__(self, name: str) -> Any:
        method: Callable[..., object] = getattr(self.service, name)
        if name == "token":
            return method

        def call(*arguments: object, **named: object) -> object:
            self.calls.append(name)
            broken, self.broken = self.broken, None
            if broken is not None:
                raise broken
            return method(*arguments, **named)

        return call

    def replace(self, name: str, call: Callable[..., object]) -> None:
        """Have ``call`` take the place of a method."""
        self.__dict__[name] = call

    @property
    def administration(self) -> Administration:
        """Itself, by its type."""
        return cast("Administration", self)

    def _clock(self) -> float:
        return time.time() if self.now is None else self.now
