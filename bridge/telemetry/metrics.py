"""Figures for Prometheus. Totals only: never a tenant, never a name.

``Metrics`` is made once for a process and handed to the parts that measure. As a store's meter
it is called by ``bridge.store.metered``, whose interface it has without importing it.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)
_METHODS = frozenset(
    [
        "GET",
        "HEAD",
        "PUT",
        "POST",
        "DELETE",
        "OPTIONS",
        "PROPFIND",
        "PROPPATCH",
        "MKCOL",
        "COPY",
        "MOVE",
        "LOCK",
        "UNLOCK",
    ]
)


class Metrics(Collector):
    """All metrics of one process, in a registry of their own."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        Info("storj_bridge_build", "The running release.", registry=self.registry).info(
            {"version": version, "python": platform.python_version()}
        )
        self._requests = Counter(
            "storj_bridge_requests",
            "Answered requests.",
            ["door", "method", "status"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "storj_bridge_request_seconds",
            "Time from a request's header to the end of its answer.",
            ["door", "method"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._bytes = Counter(
            "storj_bridge_body_bytes",
            "Bytes of bodies.",
            ["door", "direction"],
            registry=self.registry,
        )
        self._store_seconds = Histogram(
            "storj_bridge_store_seconds",
            "Time of store calls.",
            ["operation"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._store_errors = Counter(
            "storj_bridge_store_errors",
            "Failed store calls.",
            ["operation", "error"],
            registry=self.registry,
        )
        stored = Counter(
            "storj_bridge_store_bytes", "Bytes of objects.", ["direction"], registry=self.registry
        )
        self._stored, self._fetched = stored.labels("in"), stored.labels("out")
        self._watched: list[Callable[[], Metric]] = []
        self.registry.register(self)
        self._store_children: dict[str, Histogram] = {}
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def request(self, door: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        if method not in _METHODS:
            method = "other"  # clients choose methods: they must not choose label values
        key = (door, method, status // 100)
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = (
                self._requests.labels(door, method, f"{status // 100}xx"),
                self._request_seconds.labels(door, method),
            )
        found[0].inc()
        found[1].observe(seconds)

    def store_call(self, operation: str, seconds: float, error: str) -> None:
        """One store call has ended; ``error``: the name of the error's class, or ``""``."""
        found = self._store_children.get(operation)
        if found is None:
            found = self._store_children[operation] = self._store_seconds.labels(operation)
        found.observe(seconds)
        if error:
            self._store_errors.labels(operation, error).inc()

    def store_bytes(self, sent: int, received: int) -> None:
        """So many bytes of objects went to the store and came from it."""
        if sent:
            self._stored.inc(sent)
        if received:
            self._fetched.inc(received)

    def bodies(self, door: str, received: int, sent: int) -> None:
        """Count the bytes of one request's and its answer's body."""
        if received:
            self._bytes.labels(door, "in").inc(received)
        if sent:
            self._bytes.labels(door, "out").inc(sent)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Offer a level: what ``read`` returns whenever Prometheus asks. It must be quick."""
        self._watched.append(lambda: GaugeMetricFamily(f"storj_bridge_{name}", text, read()))

    def watch_total(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Offer a total kept elsewhere, which only grows, as ``watch`` does a level."""
        self._watched.append(lambda: CounterMetricFamily(f"storj_bridge_{name}", text, read()))

    def collect(self) -> Iterator[Metric]:
        """What is watched, as it is now (prometheus_client's collector interface)."""
        for family in self._watched:
            yield family()

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)
