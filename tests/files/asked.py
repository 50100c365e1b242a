"""Counts what calls ask of a satellite, by the satellite's own count.

A token is one operation by that count, of which a project may have about a hundred a second;
several travel in one round trip.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.network.client import Network


class Cost(NamedTuple):
    """What was asked between two moments."""

    tokens: int
    round_trips: int


class Asked:
    """Counts while a call runs. Nobody else may ask the network meanwhile."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def __call__(self, call: Callable[[], object]) -> Cost:
        before = self._network.requests()
        call()
        after = self._network.requests()
        trips = sum(after.round_trips.values()) - sum(before.round_trips.values())
        return Cost(after.tokens - before.tokens, trips)
