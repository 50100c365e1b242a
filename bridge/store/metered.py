"""A wrapper that tells a meter of every call: how long it took, how it ended, how many bytes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from bridge.store.api import ObjectStore
from bridge.store.wrapping import Operation, WrappedStore

T = TypeVar("T")


class Meter(Protocol):
    """What is told of the calls, from many threads at once. It must not raise."""

    def store_call(self, operation: str, seconds: float, error: str) -> None:
        """One call has ended; ``error`` is the name of the error's class, or ``""``."""
        ...

    def store_bytes(self, sent: int, received: int) -> None:
        """So many bytes of content went to the store and came from it."""
        ...


class MeteredStore(WrappedStore):
    """``inner``, measured by ``meter``; each page of a listing is a call."""

    def __init__(
        self, inner: ObjectStore, meter: Meter, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        super().__init__(inner)
        self._meter = meter
        self._clock = clock

    def around(self, operation: Operation, key: str, call: Callable[[], T]) -> T:
        began = self._clock()
        error = ""
        try:
            return call()
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            self._meter.store_call(operation, self._clock() - began, error)

    def sent(self, count: int) -> None:
        """Pass it on to the meter."""
        self._meter.store_bytes(count, 0)

    def received(self, count: int) -> None:
        """Pass it on to the meter."""
        self._meter.store_bytes(0, count)
