"""One tenant whose store hangs, with as many requests as it likes: the others notice nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path as FilePath

import pytest

from bridge.files.api import FileTree
from bridge.http.limits import Limits
from bridge.state.api import Locks
from bridge.store.wrapping import Operation
from tests.files.model_tree import ModelTree
from tests.files.vault import memory_vault
from tests.store.faulty import Fault, FaultyStore
from tests.webdav.client import Client, Reply
from tests.webdav.server import Running, running

REQUESTS = 100
"""Of the tenant whose store hangs: more than there are threads of any kind."""

HELD = 12
"""Calls that hang at least, once all requests have come: what one has of the smallest pool."""

LIMITS = Limits(drain=0.5, wait=8.0)
"""Who is starved is told after this wait."""

LARGE = bytes(3 << 20)


@dataclass
class Hanging:
    """A plan for a store whose calls hang from ``begin`` to ``end``; ``calls`` do."""

    calls: int = 0
    end: threading.Event = field(default_factory=threading.Event)
    begun: bool = False

    def __call__(self, operation: Operation, key: str) -> Fault | None:
        if not self.begun or self.end.is_set():
            return None
        self.calls += 1
        return Fault(error=None, hang=self.end)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    plan = Hanging()
    yield plan
    plan.end.set()


@pytest.fixture
def server(hanging: Hanging, locks: Locks, tmp_path: FilePath) -> Iterator[Running]:
    """``bob``'s store hangs; ``alice`` and ``carol`` have trees of their own."""
    with memory_vault(tmp_path) as vault:
        store = FaultyStore(vault.store, hanging)
        mine: dict[str, tuple[FileTree, Locks]] = {
            "bob": (vault.tree(store), locks),
            "carol": (ModelTree(), locks),
        }
        with running(ModelTree(), locks, limits=LIMITS, credentials=mine) as server:
            yield server
            hanging.end.set()


@asynccontextmanager
async def asked(client: Client, method: str, path: str, *headers: str) -> AsyncIterator[None]:
    """A request that was sent, and whose answer nobody waits for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    lines = [
        f"{method} {client.root}{path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: {client.authorization}",
        *headers,
    ]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
    await writer.drain()
    try:
        yield
    finally:
        writer.close()
        await asyncio.gather(reader.read(), return_exceptions=True)


async def held(hanging: Hanging, calls: int) -> None:
    """Wait until so many calls hang, and the requests behind them have come too."""
    async with asyncio.timeout(20):
        while hanging.calls < calls:  # noqa: ASYNC110 - worker threads count
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)


def everything(client: Client) -> list[Reply]:
    """Sign in, and do something in each of the pools."""
    return [
        client("PROPFIND", "/", Depth="1"),
        client("PUT", "/small", b"small"),
        client("PUT", "/large", LARGE),
        client("GET", "/large"),
        client("COPY", "/large", Destination=client.url("/copy")),
        client("PROPFIND", "/", Depth="infinity"),
        client("MOVE", "/copy", Destination=client.url("/moved")),
        client("DELETE", "/moved"),
    ]


EVERYTHING = [207, 201, 201, 200, 201, 207, 201, 204]


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", []),
        ("PUT", [f"Content-Length: {len(LARGE)}", "Expect: 100-continue"]),
        ("COPY", ["Destination: /dav/copy{}"]),
    ],
    ids=["short work", "large bodies", "copies"],
)
def test_while_one_tenants_store_hangs_others_sign_in_and_are_served(
    server: Running, hanging: Hanging, method: str, headers: list[str]
) -> None:
    alice, bob = server.client("alice"), server.client("bob")
    assert bob("PUT", "/file", b"content").status == 201
    assert alice("PROPFIND", "/", Depth="0").status == 207  # remembered; carol has yet to sign in
    hanging.begun = True

    async def work() -> None:
        async with AsyncExitStack() as stack:
            for number in range(REQUESTS):
                filled = [each.format(number) for each in headers]
                path = "/file" if method != "PUT" else f"/{number}"
                await stack.enter_async_context(asked(bob, method, path, *filled))
            await held(hanging, HELD)
            for client in (alice, server.client("carol")):
                replies = await asyncio.to_thread(everything, client)
                assert [reply.status for reply in replies] == EVERYTHING
                assert replies[3].body == LARGE
            assert hanging.calls >= HELD
            hanging.end.set()

    asyncio.run(work())
    assert bob("GET", "/file").body == b"content"


class HangingTrees(Mapping[str, tuple[FileTree, Locks]]):
    """What ``bob`` has cannot be opened as long as ``hanging`` lasts."""

    def __init__(self, hanging: Hanging, locks: Locks) -> None:
        self._hanging = hanging
        self._locks = locks

    def __getitem__(self, name: str) -> tuple[FileTree, Locks]:
        if name != "bob":
            raise KeyError(name)
        self._hanging.calls += 1
        self._hanging.end.wait(30)
        return ModelTree(), self._locks

    def __iter__(self) -> Iterator[str]:
        return iter(["bob"])

    def __len__(self) -> int:
        return 1


def test_signing_in_to_a_tenant_that_cannot_be_opened_holds_up_no_other(
    locks: Locks, hanging: Hanging
) -> None:
    trees = HangingTrees(hanging, locks)
    with running(ModelTree(), locks, limits=LIMITS, credentials=trees) as server:

        async def work() -> None:
            async with AsyncExitStack() as stack:
                for _ in range(REQUESTS):
                    await stack.enter_async_context(asked(server.client("bob"), "GET", "/"))
                await held(hanging, HELD)
                replies = await asyncio.to_thread(everything, server.client("alice"))
                assert [reply.status for reply in replies] == EVERYTHING
                hanging.end.set()

        try:
            asyncio.run(work())
        finally:
            hanging.end.set()
