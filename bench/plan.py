"""What is measured: the workloads, how much of each, and the targets set for the bridge."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

MIB = 1 << 20


class Workload(StrEnum):
    """One thing measured, in the order in which a server meets them."""

    PUT = "put"
    GET = "get"
    SMALL_PUT = "small-put"
    LIST_COLD = "list-cold"
    LIST_WARM = "list-warm"
    SMALL_GET = "small-get"

    @property
    def unit(self) -> str:
        """Megabytes (10^6) a second, requests a second, or milliseconds."""
        if self in LARGE:
            return "MB/s"
        return "ms" if self in LISTINGS else "req/s"

    @property
    def decimals(self) -> int:
        return 1 if self in LISTINGS else 0


LARGE = (Workload.PUT, Workload.GET)
LISTINGS = (Workload.LIST_COLD, Workload.LIST_WARM)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of each workload. ``large`` and ``small`` in bytes, ``get_seconds`` in seconds."""

    large: int = 1024 * MIB
    files: int = 10_000
    small: int = 4096
    put_connections: int = 16
    get_connections: int = 200
    get_seconds: int = 5
    warm_listings: int = 5

    def title(self, workload: Workload) -> str:
        """The workload in words, with its amounts."""
        large, small = f"{self.large // MIB:,} MiB", f"{self.small // 1024} KiB"
        return {
            Workload.PUT: f"PUT {large}",
            Workload.GET: f"GET {large}",
            Workload.SMALL_PUT: f"{self.files:,} x {small} PUT, {self.put_connections} connections",
            Workload.LIST_COLD: f"PROPFIND depth 1 of {self.files:,} files, just restarted",
            Workload.LIST_WARM: f"PROPFIND depth 1 of {self.files:,} files, warm",
            Workload.SMALL_GET: f"{small} GET, {self.get_connections} connections",
        }[workload]


QUICK = Sizes(large=64 * MIB, files=500, get_seconds=1, get_connections=50, warm_listings=2)


class Target(NamedTuple):
    """The ratio of the bridge's figure to a peer's that is asked for.

    A floor for rates, a ceiling for times; ``bound`` None where it is only to be reported.
    """

    workload: Workload
    peer: str
    bound: float | None

    @property
    def rule(self) -> str:
        if self.bound is None:
            return "reported"
        return f"{'<=' if self.workload in LISTINGS else '>='} {self.bound:g}"

    def verdict(self, ratio: float) -> str:
        if self.bound is None:
            return "-"
        met = ratio <= self.bound if self.workload in LISTINGS else ratio >= self.bound
        return "met" if met else "MISSED"


TARGETS = (
    Target(Workload.GET, "aiohttp", 0.6),
    Target(Workload.PUT, "aiohttp", 0.6),
    Target(Workload.GET, "aiohttp-hops", None),
    Target(Workload.PUT, "aiohttp-hops", None),
    Target(Workload.GET, "rclone-crypt", 1.2),
    Target(Workload.PUT, "rclone-crypt", 2.0),
    Target(Workload.GET, "rclone", None),
    Target(Workload.PUT, "rclone", 1.5),
    Target(Workload.LIST_COLD, "rclone", None),
    Target(Workload.LIST_WARM, "rclone", 1.0),
    Target(Workload.SMALL_GET, "wsgidav", 1.5),
    Target(Workload.SMALL_PUT, "wsgidav", 1.5),
    Target(Workload.SMALL_GET, "rclone", None),
    Target(Workload.SMALL_PUT, "rclone", None),
)
