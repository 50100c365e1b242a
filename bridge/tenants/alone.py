"""One at a time: whoever makes or deletes a whole tenant, or writes its copy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bridge.state.api import Lease, LeaseBusy, LeaseName, State
from bridge.tenants.api import NotForTenant

_WHOLE = LeaseName(b"", b"whole tenant")

_WAIT = 20.0
"""Seconds to wait for another process."""


@contextmanager
def alone(state: State, tenant_id: str) -> Iterator[Lease]:
    """Let nobody else make, delete or copy the tenant. Raises NotForTenant."""
    try:
        held = state.tree(tenant_id).acquire([_WHOLE], [], wait=_WAIT)
    except LeaseBusy:
        raise NotForTenant(
            f"tenant {tenant_id} is being made, deleted or copied by another process; if that "
            "one has died, run this again in a minute or two"
        ) from None
    with held as lease:
        lease.unchanged()
        yield lease
