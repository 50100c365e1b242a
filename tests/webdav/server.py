"""The door on a real socket, in a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import uvloop
from aiohttp import web

from bridge.files.api import FileTree
from bridge.http.limits import Limits
from bridge.http.pool import Workers
from bridge.http.served import Served
from bridge.http.server import Server
from bridge.http.turns import Turns
from bridge.state.api import Locks
from bridge.webdav import Quota, Settings, WebDAVDoor
from tests.tenants.credentials import rights_of
from tests.webdav.client import Client


@dataclass(frozen=True)
class User:
    name: str


class Users:
    """An authenticator for users whose secret is their name backwards."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.asked = 0

    def authenticate(self, username: str, secret: str, address: str) -> User | None:
        self.asked += 1
        if username in self.names and secret == username[::-1]:
            return User(username)
        return None


@dataclass
class Running:
    """A server that runs. ``served`` has every request that was answered."""

    port: int
    tree: FileTree
    locks: Locks
    served: list[Served]
    server: Server
    loop: asyncio.AbstractEventLoop
    users: Users
    root: str
    turns: Turns

    def client(self, user: str = "alice", root: str | None = None) -> Client:
        token = base64.b64encode(f"{user}:{user[::-1]}".encode()).decode()
        return Client(self.port, f"Basic {token}", (root or self.root).rstrip("/"))


@contextmanager
def running(
    tree: FileTree,
    locks: Locks,
    *,
    limits: Limits | None = None,
    settings: Settings | None = None,
    quota: Callable[[], Quota] | None = None,
    credentials: Mapping[str, tuple[FileTree, Locks]] | None = None,
    path: str = "/dav",
    public_url: str | None = None,
    proxies: tuple[str, ...] = (),
    uploads: int = 1 << 30,
    still: Callable[[], None] | None = None,
) -> Iterator[Running]:
    """Serve ``tree`` until the block ends; to whoever has ``credentials``, what stands there.

    ``uploads``: bytes of memory that all PUTs may hold, a long one 2 MiB of them. ``still`` raises
    once everybody is shut out.
    """
    given = credentials or {}
    limits = limits or Limits(drain=0.5)
    started: threading.Event = threading.Event()
    box: list[Running] = []
    stop: list[asyncio.Event] = []
    failed: list[BaseException] = []
    served: list[Served] = []
    users = Users("alice", "bob", *given)

    async def main() -> None:
        workers = Workers.within(limits)
        turns = Turns(uploads, each=0, beside=2 << 20, wait=limits.wait)
        door = WebDAVDoor(
            authenticator=users,
            tree_for=lambda user: given.get(user.name, (tree, locks))[0],
            locks_for=lambda user: given.get(user.name, (tree, locks))[1],
            quota_for=(lambda _user: quota()) if quota else None,
            rights_for=lambda user: rights_of(given.get(user.name, (tree, locks))[0]),
            still_for=(lambda _user: still) if still else None,
            tenant_for=lambda user: user.name,
            workers=workers,
            turns=turns,
            limits=limits,
            settings=settings,
            path=path,
            public_url=public_url,
            proxies=proxies,
            served=served.append,
        )
        server = Server(door.handle, limits)
        runner = web.ServerRunner(server, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        loop = asyncio.get_running_loop()
        box.append(Running(port, tree, locks, served, server, loop, users, door.root, turns))
        stop.append(asyncio.Event())
        started.set()
        await stop[0].wait()
        await runner.cleanup()
        workers.close()

    def run() -> None:
        try:
            uvloop.run(main())
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            failed.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="server")
    thread.start()
    started.wait(10)
    if failed:
        raise failed[0]
    server = box[0]
    try:
        yield server
    finally:
        server.loop.call_soon_threadsafe(stop[0].set)
        thread.join(10)
    if failed:
        raise failed[0]
