"""The moment by which the calls of this thread (or task) must have ended.

A deadline is ambient, as a context variable, so that the interface of a store stays about
objects: ``with deadline(20): store.stat(key)``. Nested deadlines only shorten. Wrappers and
stores ask ``remaining()``; the Storj store hands it to the network, the retrying wrapper
stops by it. Code that moves work to another thread carries the context over
(``contextvars.copy_context().run``), as ``asyncio.to_thread`` does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from bridge.store.api import Unavailable

_ends: ContextVar[float | None] = ContextVar("bridge_store_deadline", default=None)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Bound the store calls made inside to ``seconds`` from now, or less if already bound."""
    ends = time.monotonic() + seconds
    outer = _ends.get()
    token = _ends.set(ends if outer is None else min(ends, outer))
    try:
        yield
    finally:
        _ends.reset(token)


def remaining() -> float | None:
    """Seconds left, never negative, or None when there is no deadline."""
    ends = _ends.get()
    return None if ends is None else max(0.0, ends - time.monotonic())


def check(key: str = "") -> None:
    """Raise Unavailable when the time is up."""
    if remaining() == 0.0:
        raise Unavailable("the time allowed for this call is over", key=key)
