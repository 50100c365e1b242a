"""Uploads that end before their time: at once, and what they hold is given back when it is free."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path as FilePath

import pytest

from bridge.files.api import Buffer, Entry, Guard, Writer, no_guard
from bridge.files.errors import NotAllowed
from bridge.files.path import Path
from bridge.http.limits import BLOCK, Limits
from bridge.state.api import Locks
from bridge.store.wrapping import Operation
from tests.files.model_tree import ModelTree
from tests.files.vault import memory_vault
from tests.store.faulty import Fault, FaultyStore
from tests.webdav.client import Client, Raw
from tests.webdav.polling import until
from tests.webdav.server import Running, running

LIMITS = Limits(drain=0.2, wait=0.5)

LONG = 50 << 20

EACH = 2 << 20
"""Bytes that a long upload holds."""

AT_ONCE = 3
"""Long uploads for which there is memory, of one tenant: no more than four fifths of it."""

MEMORY = 9 << 20
"""An eighth of it is for short uploads."""


class Hanging:
    """A plan for a store whose writes hang until ``end``; ``calls`` did."""

    def __init__(self) -> None:
        self.end = threading.Event()
        self.calls = 0

    def __call__(self, operation: Operation, key: str) -> Fault | None:
        if operation != "write" or self.end.is_set():
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
    """What ``bob`` writes hangs."""
    with memory_vault(tmp_path) as vault:
        trees = {"bob": (vault.tree(FaultyStore(vault.store, hanging)), locks)}
        with running(
            ModelTree(), locks, limits=LIMITS, credentials=trees, uploads=MEMORY
        ) as server:
            yield server
            hanging.end.set()


def begin(client: Client, stack: ExitStack, name: str, body: bytes) -> Raw:
    """A long upload of which ``body`` comes."""
    raw = stack.enter_context(client.raw())
    raw.send("PUT", f"/{name}", f"Content-Length: {LONG}", body=body)
    return raw


def test_memory_of_uploads_is_not_given_back_while_their_writes_hang(
    server: Running, hanging: Hanging
) -> None:
    bob, alice = server.client("bob"), server.client("alice")
    with ExitStack() as clients:
        for number in range(AT_ONCE):
            begin(bob, clients, f"cut{number}", bytes(BLOCK + 1000))
        until(lambda: hanging.calls == AT_ONCE)
    until(lambda: len(server.served) == AT_ONCE)  # the clients went, and nothing is left to answer
    assert server.turns.lent == AT_ONCE * EACH
    assert server.turns.uploads == AT_ONCE
    with bob.raw() as raw:
        raw.send("PUT", "/more", f"Content-Length: {LONG}", "Expect: 100-continue")
        assert raw.reply().status == 503
    assert alice("PUT", "/other", bytes(100)).status == 201
    hanging.end.set()
    until(lambda: server.turns.lent == 0)
    assert server.turns.uploads == 0
    assert bob("PUT", "/more", bytes(3 * BLOCK)).status == 201
    assert bob("GET", "/cut0").status == 404


def test_a_client_that_goes_while_nothing_is_read_from_it_is_done_with_all_the_same(
    server: Running, hanging: Hanging
) -> None:
    with ExitStack() as clients:
        # The second block waits for the first to be written.
        begin(server.client("bob"), clients, "cut", bytes(3 * BLOCK))
        until(lambda: hanging.calls == 1)
    until(lambda: len(server.served) == 1)
    assert server.turns.lent == EACH


class _Stoppable(ModelTree):
    """Writes wait for a network, which an abort cuts, as Storj's do. Counts what is held."""

    def __init__(self) -> None:
        super().__init__()
        self.held = 0
        self.writing = threading.Event()

    def create(  # type: ignore[override]  # the model promises its own class
        self,
        path: Path,
        *,
        size: int | None = None,
        content_type: str = "",
        mtime: float | None = None,
    ) -> Writer:
        self.held += 1
        return _StoppableWriter(self)


class _StoppableWriter:
    def __init__(self, tree: _Stoppable) -> None:
        self._tree = tree
        self._cut = threading.Event()

    def write(self, data: Buffer) -> None:
        self._tree.writing.set()
        self._cut.wait(60)

    def commit(self, guard: Guard = no_guard) -> tuple[Entry, bool]:
        raise AssertionError("nothing whole has come")

    def abort(self) -> None:
        if not self._cut.is_set():
            self._cut.set()
            self._tree.held -= 1


def test_an_abort_stops_a_write_that_waits_for_its_store(locks: Locks) -> None:
    tree = _Stoppable()
    with running(tree, locks, limits=LIMITS) as server:
        with ExitStack() as clients:
            begin(server.client(), clients, "cut", bytes(BLOCK + 1000))
            assert tree.writing.wait(10)
        until(lambda: server.turns.lent == 0)
        assert tree.held == 0


@pytest.mark.parametrize("size", [BLOCK // 2, LONG], ids=["whole", "streamed"])
def test_whoever_is_shut_out_while_it_sends_is_refused_though_no_block_is_full(
    model: ModelTree, locks: Locks, size: int
) -> None:
    shut = threading.Event()

    def still() -> None:
        if shut.is_set():
            raise NotAllowed("it was revoked")

    with running(model, locks, limits=LIMITS, still=still) as server:
        client = server.client()
        with client.raw() as raw:
            raw.send("PUT", "/slow", f"Content-Length: {size}", body=b"x")
            until(lambda: server.turns.uploads == 1)
            shut.set()
            assert raw.reply().status == 403
        until(lambda: server.turns.lent == 0)
        assert client("GET", "/slow").status == 404


def test_whoever_is_shut_out_while_its_store_hangs_is_refused(
    hanging: Hanging, locks: Locks, tmp_path: FilePath
) -> None:
    shut = threading.Event()

    def still() -> None:
        if shut.is_set():
            raise NotAllowed("it was revoked")

    with memory_vault(tmp_path) as vault:
        tree = vault.tree(FaultyStore(vault.store, hanging))
        with (
            running(tree, locks, limits=LIMITS, still=still) as server,
            ExitStack() as clients,
        ):
            raw = begin(server.client(), clients, "slow", bytes(3 * BLOCK))
            until(lambda: hanging.calls == 1)
            shut.set()
            assert raw.reply().status == 403
            assert server.turns.lent == EACH
            hanging.end.set()
            until(lambda: server.turns.lent == 0)


def test_a_slow_upload_that_may_go_on_is_looked_at_and_goes_on(
    model: ModelTree, locks: Locks
) -> None:
    looks = 0

    def still() -> None:
        nonlocal looks
        looks += 1

    with running(model, locks, limits=LIMITS, still=still) as server:
        client = server.client()
        with client.raw() as raw:
            raw.send("PUT", "/slow", "Content-Length: 10", body=b"01234")
            until(lambda: looks == 2)
            raw.sock.sendall(b"56789")
            assert raw.reply().status == 201
        assert client("GET", "/slow").body == b"0123456789"
