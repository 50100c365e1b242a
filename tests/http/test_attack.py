"""Thousands of failed sign-ins at once, on real sockets: whoever else comes is served as ever.

Nothing here is timed. Addresses are those of the loopback network; what matters is counted.
"""

from __future__ import annotations

import asyncio
import base64
import resource
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from aiohttp import web

from bridge.http.basic import Gate
from bridge.http.errors import Refused
from bridge.http.failures import FREE_BY_NAME
from bridge.http.limits import Limits
from bridge.http.line import AT_ONCE, WAITING
from bridge.http.pool import Pool
from bridge.http.server import Server
from bridge.state.database import open_state
from tests.files.model_tree import ModelTree
from tests.webdav.server import running

ATTACKER, FRIEND, STRANGER = "127.0.0.2", "127.0.0.3", "127.0.0.4"


@pytest.fixture(autouse=True)
def many_sockets() -> Iterator[None]:
    """Both ends of every connection are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16_384 if hard == resource.RLIM_INFINITY else min(16_384, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def status_of(port: int, user: str, secret: str, address: str) -> int:
    """Of one request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    token = base64.b64encode(f"{user}:{secret}".encode()).decode()
    writer.write(
        b"PROPFIND /dav/ HTTP/1.1\r\nHost: h\r\nDepth: 0\r\nConnection: close\r\n"
        b"Authorization: Basic " + token.encode() + b"\r\n\r\n"
    )
    try:
        line = await reader.readline()
        await reader.read()
        return int(line.split()[1])
    finally:
        writer.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - sockets and threads make it true
            await asyncio.sleep(0.01)


class House:
    """Everybody's secret is ``right``."""

    def __init__(self) -> None:
        self.inside = self.most_inside = 0
        self._lock = threading.Lock()

    def admit(self, username: str, secret: str, address: str) -> str | None:
        with self._lock:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        with self._lock:
            self.inside -= 1
        return username if secret == "right" else None


@asynccontextmanager
async def serving(gate: Gate[str]) -> AsyncIterator[int]:
    """The port of a server behind the gate."""

    async def handle(request: web.BaseRequest) -> web.Response:
        try:
            await gate.enter(request.headers.get("Authorization"), request.remote or "")
        except Refused as refused:
            return web.Response(status=refused.status)
        return web.Response()

    runner = web.ServerRunner(Server(handle, Limits(connections=10_000)), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_while_thousands_of_failures_wait_everybody_else_is_let_in() -> None:
    house, pool, released = House(), Pool("test", 32), asyncio.Event()
    asleep = 0

    async def sleep(_seconds: float) -> None:
        nonlocal asleep
        asleep += 1
        await released.wait()

    gate: Gate[str] = Gate(house.admit, pool, realm="r", waiting=5_000, sleep=sleep)
    async with serving(gate) as port:
        assert await status_of(port, "regular", "right", ATTACKER) == 200
        failing = [
            asyncio.create_task(status_of(port, f"user{number % 3}", "wrong", ATTACKER))
            for number in range(3_000)
        ]
        await until(lambda: asleep + sum(task.done() for task in failing) == 3_000)
        assert asleep >= 3_000 - 3 * (FREE_BY_NAME + AT_ONCE)
        assert gate.waiting == asleep
        others = [
            (f"friend{number}", address) for number in range(100) for address in (FRIEND, STRANGER)
        ]
        answers = await asyncio.gather(
            *(status_of(port, user, "right", address) for user, address in others)
        )
        assert answers == [200] * 200
        # At the attacker's address too: who is known, and who has not failed.
        assert await status_of(port, "regular", "right", ATTACKER) == 200
        assert await status_of(port, "newcomer", "right", ATTACKER) == 200
        before = asleep
        late = asyncio.create_task(status_of(port, "user1", "right", ATTACKER))
        await until(lambda: asleep == before + 1)
        assert gate.waiting == asleep
        released.set()
        assert await late == 200
        assert Counter(await asyncio.gather(*failing)) == {401: 3_000}
    assert house.most_inside <= AT_ONCE + 32  # of the attacker, and of all others together
    assert gate.waiting == 0
    pool.close()


async def test_ten_thousand_failed_sign_ins_keep_nobody_from_the_files(tmp_path: Path) -> None:
    """On the WebDAV door, with its own waits; more than may wait are told to come again."""
    attempts, at_once = 10_000, 400
    with (
        closing(open_state(str(tmp_path / "locks.db"))) as state,
        running(ModelTree(), state.locks("tenant"), limits=Limits(drain=0.1)) as server,
    ):
        turn = asyncio.Semaphore(at_once)
        failed: Counter[int] = Counter()

        async def fail(number: int) -> None:
            async with turn:
                user = "alice" if number % 2 else f"nobody{number}"
                failed[await status_of(server.port, user, f"wrong{number}", ATTACKER)] += 1

        async def attack() -> None:
            await asyncio.gather(*(fail(number) for number in range(attempts)))

        attacking = asyncio.create_task(attack())
        served: Counter[int] = Counter()
        beside = 0
        while not attacking.done():
            for user, address in (("alice", FRIEND), ("bob", STRANGER)):
                served[await status_of(server.port, user, user[::-1], address)] += 1
            beside += not attacking.done()
        await attacking
        assert served.keys() == {207}
        assert beside > 5
        assert failed.keys() <= {401, 503}
        assert failed.total() == attempts
        # So many were told to come again because no more than these may wait.
        assert failed[401] >= WAITING
        # And the attacked user gets in at the attacker's own address, once the wait is over.
        assert await status_of(server.port, "alice", "ecila", ATTACKER) == 207
