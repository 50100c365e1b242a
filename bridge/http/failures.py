"""Failed sign-ins, and how long whoever fails has to wait before the next one is looked at.

They count twice: by address and user name, and by address alone with a higher limit, since a
Nextcloud server brings all its users from one address. An IPv6 address counts as its /64, which is
what one customer has. Every table is bounded; what failed longest ago is forgotten first.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import time
from collections import OrderedDict
from collections.abc import Callable

FREE_BY_NAME = 5
"""Failures of one user name from one address that cost nothing."""

FREE_BY_ADDRESS = 100
"""Failures of one address, whatever the names, that cost nothing."""

FORGIVEN_BY_NAME = 30.0
"""Seconds after which a user name's failures are one less."""

FORGIVEN_BY_ADDRESS = 1.0
"""Seconds after which an address's failures are one less."""

FIRST_WAIT = 0.5
"""Seconds to wait once failures are no longer free; each further one doubles them."""

LONGEST_WAIT = 5.0
"""Seconds to wait at most: clients give up after 30, and the right secret must still get in."""

MOST_KEPT = 10_000
"""Entries of each table."""

_STEPS = 10
"""Failures beyond the free ones that count: who stops failing is free again in minutes."""


class _Tally:
    """Failures by key; each is forgiven after a while. Bounded."""

    def __init__(self, free: int, forgiven: float) -> None:
        self._free = free
        self._forgiven = forgiven
        self._counts: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, key: bytes, now: float) -> None:
        count = min(self._count(key, now) + 1, self._free + _STEPS)
        self._counts[key] = count, now
        self._counts.move_to_end(key)
        if len(self._counts) > MOST_KEPT:
            self._counts.popitem(last=False)

    def drop(self, key: bytes) -> None:
        self._counts.pop(key, None)

    def wait(self, key: bytes, now: float) -> float:
        beyond = self._count(key, now) - self._free
        return min(FIRST_WAIT * 2.0 ** int(beyond), LONGEST_WAIT) if beyond >= 0 else 0.0

    def _count(self, key: bytes, now: float) -> float:
        count, at = self._counts.get(key, (0.0, now))
        return max(0.0, count - (now - at) / self._forgiven)


class Failures:
    """What failed, by address and user name and by address. Used from one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._key = os.urandom(32)
        self._names = _Tally(FREE_BY_NAME, FORGIVEN_BY_NAME)
        self._addresses = _Tally(FREE_BY_ADDRESS, FORGIVEN_BY_ADDRESS)

    def add(self, client: bytes, username: str) -> None:
        """Count a failure of a ``client_of`` address."""
        now = self._clock()
        self._names.add(self._name(client, username), now)
        self._addresses.add(client, now)

    def succeeded(self, client: bytes, username: str) -> None:
        """Forget the name's failures; not the address's, which may have an account of its own."""
        self._names.drop(self._name(client, username))

    def wait(self, client: bytes, username: str) -> float:
        """Seconds before this sign-in may be looked at; 0.0 for most."""
        now = self._clock()
        return max(
            self._names.wait(self._name(client, username), now),
            self._addresses.wait(client, now),
        )

    def _name(self, client: bytes, username: str) -> bytes:
        """A key of one length, since clients send names as long as they like."""
        return hashlib.blake2b(
            client + b"\0" + username.encode("utf-8", "surrogatepass"),
            digest_size=16,
            key=self._key,
        ).digest()


def client_of(address: str) -> bytes:
    """What an address counts as: an IPv4 address itself, also in IPv6's form, an IPv6's /64."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return b""  # no address, as on a Unix socket: all of these are one
    if isinstance(ip, ipaddress.IPv6Address):
        return ip.packed[:8] if ip.ipv4_mapped is None else ip.ipv4_mapped.packed
    return ip.packed
