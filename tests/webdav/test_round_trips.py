"""What each HTTP request asks of a satellite, counted by the satellite itself.

The door adds nothing to what the tree asks (``tests/files/test_round_trips.py``): what it looks at
before an operation, the operation finds in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path as FilePath

import pytest

from bridge.state.api import Locks
from tests.files.asked import Asked, Cost
from tests.files.vault import OpenNew, Vault
from tests.network.client import Network
from tests.webdav.client import Client, Reply
from tests.webdav.server import running

INLINE, SEGMENT, STREAMED = b"i" * 3_000, b"s" * 65_536, b"S" * (3 << 20)

FILES = 1_000


class Door:
    """A door on a vault. ``restart`` gives it cold caches."""

    def __init__(self, vault: Vault, locks: Locks, asked: Asked) -> None:
        self._vault = vault
        self._locks = locks
        self._asked = asked
        self._stack = ExitStack()
        self.restart()

    def restart(self) -> None:
        self.close()
        server = self._stack.enter_context(running(self._vault.tree(), self._locks))
        self.client: Client = server.client()

    def close(self) -> None:
        self._stack.close()

    def cost(
        self, method: str, path: str, body: bytes | None = None, *, to: str = "", depth: str = ""
    ) -> Cost:
        """What a request costs that succeeds."""
        headers = {"Destination": self.client.url(to)} if to else {}
        if depth:
            headers["Depth"] = depth
        replies: list[Reply] = []
        cost = self._asked(lambda: replies.append(self.client(method, path, body, headers)))
        assert replies[0].status < 300, replies[0]
        return cost


@pytest.fixture
def door(
    network: Network, storj_vaults: OpenNew, locks: Locks, tmp_path: FilePath
) -> Iterator[Door]:
    (tmp_path / "vault").mkdir()
    with storj_vaults(tmp_path / "vault") as vault:
        opened = Door(vault, locks, Asked(network))
        # A store's first missing object costs one more: is there a bucket?
        assert opened.client("GET", "/nothing").status == 404
        yield opened
        opened.close()


def test_files(door: Door) -> None:
    assert door.cost("MKCOL", "/f/") == Cost(4, 2)
    door.cost("PUT", "/f/known", b"x")
    assert door.cost("PUT", "/f/inline", INLINE) == Cost(3, 1)
    assert door.cost("PUT", "/f/inline", INLINE) == Cost(3, 1)
    assert door.cost("PUT", "/f/segment", SEGMENT) == Cost(4, 2)
    assert door.cost("PUT", "/f/segment", SEGMENT) == Cost(4, 2)
    assert door.cost("PUT", "/f/streamed", STREAMED) == Cost(4, 4)
    assert door.cost("GET", "/f/inline") == Cost(1, 1)
    assert door.cost("GET", "/f/segment") == Cost(1, 1)
    assert door.cost("HEAD", "/f/inline") == Cost(0, 0)
    assert door.cost("PROPFIND", "/f/inline", depth="0") == Cost(0, 0)
    assert door.cost("MOVE", "/f/inline", to="/f/moved") == Cost(2, 2)
    assert door.cost("COPY", "/f/segment", to="/f/copy") == Cost(4, 4)
    assert door.cost("DELETE", "/f/moved") == Cost(1, 1)


def test_files_of_which_nothing_is_known(door: Door) -> None:
    door.cost("MKCOL", "/f/")
    door.restart()
    assert door.cost("PUT", "/f/inline", INLINE) == Cost(5, 3)
    assert door.cost("PUT", "/f/segment", SEGMENT) == Cost(5, 3)
    assert door.cost("MOVE", "/f/inline", to="/f/moved") == Cost(3, 3)
    assert door.cost("COPY", "/f/segment", to="/f/copy") == Cost(5, 5)


def test_folders(door: Door) -> None:
    door.cost("MKCOL", "/f/")
    with ThreadPoolExecutor(16) as pool:
        statuses = pool.map(lambda n: door.client("PUT", f"/f/{n}", b"x").status, range(FILES))
        assert set(statuses) == {201}
    door.restart()
    assert door.cost("PROPFIND", "/f/", depth="1") == Cost(2, 2)
    assert door.cost("PROPFIND", "/f/", depth="1") == Cost(0, 0)
    assert door.cost("MOVE", "/f/", to="/g/") == Cost(3, 3)
    assert door.cost("PROPFIND", "/g/", depth="1") == Cost(0, 0)
    assert door.cost("DELETE", "/g/") == Cost(2, 2)
