"""What the test network answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Project:
    """A project of the network's satellite, and the means to use all of it.

    ``satellite`` is the node URL at its proxy; ``grant`` is what ``api_key`` and ``passphrase``
    give there.
    """

    id: str
    satellite: str
    api_key: str
    passphrase: str
    grant: str


@dataclass(frozen=True, slots=True)
class ProxyState:
    """The proxy before a peer.

    ``accepted`` counts connections since the start, ``open`` those there are, ``carried`` the bytes
    of both directions, ``lost`` the answers that ``Network.lose`` took.
    """

    name: str
    address: str
    cut: bool
    stalled: bool
    delay_ms: float
    accepted: int
    open: int
    carried: int
    lost: int


@dataclass(frozen=True, slots=True)
class Requests:
    """What clients asked of the satellite, by the names of its metainfo methods.

    ``round_trips`` counts calls on the wire, a batch as one ``CompressedBatch``; ``operations``
    what was asked in batches or not; ``tokens`` what it took of the projects' request rate.
    """

    round_trips: dict[str, int]
    operations: dict[str, int]
    tokens: int

    def __sub__(self, earlier: Self) -> Requests:
        return Requests(
            _less(self.round_trips, earlier.round_trips),
            _less(self.operations, earlier.operations),
            self.tokens - earlier.tokens,
        )


@dataclass(frozen=True, slots=True)
class BucketState:
    """A bucket in the satellite's database; ``bytes`` and ``metadata`` are bytes of ciphertext.

    ``user_agent`` is the bucket's, ``attribution`` the partner that its usage counts for, both
    empty where there is none; ``pending`` are uploads begun and not committed.
    """

    user_agent: str
    attribution: str
    objects: int
    pending: int
    segments: int
    bytes: int
    metadata: int


@dataclass(frozen=True, slots=True)
class Transferred:
    """What an upload sent or a download got."""

    size: int
    sha256: str


def _less(now: dict[str, int], earlier: dict[str, int]) -> dict[str, int]:
    changes = {name: count - earlier.get(name, 0) for name, count in now.items()}
    return {name: change for name, change in changes.items() if change}
