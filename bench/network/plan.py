"""What is measured on a Storj network: the workloads, how much of each, and the targets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from bench.plan import MIB


class Workload(StrEnum):
    """One thing measured, in the order in which a server meets them."""

    PUT = "put"
    GET = "get"
    COPY = "copy"
    PUT_MEDIUM = "put-64k"
    GET_MEDIUM = "get-64k"
    PUT_SMALL = "put-3k"
    GET_SMALL = "get-3k"
    LIST_COLD = "list-cold"
    LIST_WARM = "list-warm"
    MOVE = "move-folder"

    @property
    def unit(self) -> str:
        """Megabytes (10^6) a second, requests a second, or milliseconds."""
        if self in (Workload.PUT, Workload.GET):
            return "MB/s"
        return "ms" if self in TIMES else "req/s"


TIMES = (Workload.COPY, Workload.LIST_COLD, Workload.LIST_WARM, Workload.MOVE)
LARGE = (Workload.PUT, Workload.GET, Workload.COPY)
MEDIUM = (Workload.PUT_MEDIUM, Workload.GET_MEDIUM)
SMALL = (
    Workload.PUT_SMALL,
    Workload.GET_SMALL,
    Workload.LIST_COLD,
    Workload.LIST_WARM,
    Workload.MOVE,
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of each workload; ``large``, ``medium`` and ``small`` in bytes of one file.

    ``small`` is kept within its entry on the satellite, ``medium`` on the nodes.
    """

    large: int = 256 * MIB
    medium: int = 64 << 10
    medium_files: int = 400
    small: int = 3 << 10
    small_files: int = 1000
    connections: int = 16
    warm_listings: int = 5

    def title(self, workload: Workload) -> str:
        """The workload in words, with its amounts."""
        large = f"{self.large // MIB:,} MiB"
        medium = f"{self.medium_files:,} x {self.medium // 1024} KiB"
        small = f"{self.small_files:,} x {self.small // 1024} KiB"
        at_once = f"{self.connections} at once"
        return {
            Workload.PUT: f"PUT {large}",
            Workload.GET: f"GET {large}",
            Workload.COPY: f"COPY {large}",
            Workload.PUT_MEDIUM: f"PUT {medium}, {at_once}",
            Workload.GET_MEDIUM: f"GET {medium}, {at_once}",
            Workload.PUT_SMALL: f"PUT {small}, {at_once}",
            Workload.GET_SMALL: f"GET {small}, {at_once}",
            Workload.LIST_COLD: f"PROPFIND depth 1 of {self.small_files:,} files, just restarted",
            Workload.LIST_WARM: f"PROPFIND depth 1 of {self.small_files:,} files, warm",
            Workload.MOVE: f"MOVE of a folder with {self.small_files:,} files",
        }[workload]

    def requests(self, workload: Workload) -> int:
        """How many requests of a client the workload is."""
        if workload is Workload.LIST_WARM:
            return self.warm_listings
        if workload in MEDIUM:
            return self.medium_files
        return self.small_files if workload in (Workload.PUT_SMALL, Workload.GET_SMALL) else 1


QUICK = Sizes(large=16 * MIB, medium_files=50, small_files=50, warm_listings=2)


class Target(NamedTuple):
    """The ratio of the bridge's figure to a peer's that is asked for: at least, or at most."""

    workload: Workload
    peer: str
    bound: float
    at_most: bool = False

    @property
    def rule(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.bound:g}"

    def verdict(self, ratio: float) -> str:
        met = ratio <= self.bound if self.at_most else ratio >= self.bound
        return "met" if met else "MISSED"


TARGETS = (
    Target(Workload.GET, "rclone", 1.0),
    Target(Workload.PUT, "rclone", 1.0),
    Target(Workload.GET, "uplink", 0.85),
    Target(Workload.PUT, "uplink", 0.85),
    Target(Workload.PUT_MEDIUM, "rclone", 1.2),
    Target(Workload.GET_MEDIUM, "rclone", 1.2),
    Target(Workload.LIST_WARM, "rclone", 0.5, at_most=True),
    Target(Workload.LIST_COLD, "rclone", 1.0, at_most=True),
    Target(Workload.COPY, "rclone", 0.1, at_most=True),
    Target(Workload.MOVE, "rclone", 0.05, at_most=True),
)
MEMORY_TARGETS = tuple(Target(workload, "rclone", 1.0, at_most=True) for workload in Workload)
"""Of the peak of resident memory during each workload."""
