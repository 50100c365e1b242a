"""The admin API on a real socket, in a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvloop
from aiohttp import web

from bridge.admin import AdminDoor, Meaning
from bridge.http.limits import Limits
from bridge.http.pool import Workers
from bridge.http.served import Served
from bridge.http.server import Server
from bridge.tenants.api import Administration
from tests.admin.watched import GrantRefused, Watched
from tests.webdav.client import Client, Reply

ROOT = "/admin/api/v1"
MEANINGS: Mapping[type[Exception], Meaning] = {
    GrantRefused: Meaning(422),
    OSError: Meaning(503, "the store does not answer; try again"),
}


class Api:
    """Requests with one token. ``text`` None: none is sent."""

    def __init__(self, port: int, text: str | None) -> None:
        self.text = text
        self.client = Client(port, None if text is None else f"Bearer {text}", ROOT)

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> Reply:
        """``body`` goes as JSON; ``raw`` as it is. Without either, none is sent."""
        sent = dict(headers or {})
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
        return self.client(method, path, raw, sent)

    def json(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        """The answer's JSON, once its status was this."""
        reply = self(method, path, body)
        assert reply.status == status, (reply.status, reply.body)
        return json.loads(reply.body)


@dataclass
class Running:
    """A server that runs, in ``loop``. ``served`` has every request that was answered."""

    port: int
    watched: Watched
    administration: Administration
    door: AdminDoor
    workers: Workers
    loop: asyncio.AbstractEventLoop
    served: list[Served]
    operator: Api

    def api(self, text: str | None) -> Api:
        return Api(self.port, text)

    def bound(self, tenant: str) -> Api:
        """Requests with a new token that is bound to this tenant."""
        return self.api(self.administration.create_token("bound", tenant_id=tenant).text)

    def occupy(self, tenant: str, call: Callable[[], object], times: int) -> None:
        """Have workers run ``call`` so often in a tenant's name, as its requests for files do."""
        quick = self.workers.of(tenant).quick
        for _ in range(times):
            self.loop.call_soon_threadsafe(quick.submit, call)


@contextmanager
def running(
    watched: Watched,
    *,
    limits: Limits | None = None,
    proxies: tuple[str, ...] = (),
) -> Iterator[Running]:
    """Serve the service until the block ends."""
    limits = limits or Limits(drain=0.5)
    administration = watched.administration
    box: list[tuple[int, AdminDoor, Workers, asyncio.AbstractEventLoop, asyncio.Event]] = []
    ready = threading.Event()
    failed: list[BaseException] = []
    served: list[Served] = []

    async def main() -> None:
        workers = Workers.within(limits)
        door = AdminDoor(
            administration,
            workers=workers,
            limits=limits,
            meanings=MEANINGS,
            proxies=proxies,
            served=served.append,
        )
        runner = web.ServerRunner(Server(door.handle, limits), shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        box.append((runner.addresses[0][1], door, workers, loop, stop))
        ready.set()
        await stop.wait()
        await runner.cleanup()
        workers.close()

    def run() -> None:
        try:
            uvloop.run(main())
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="admin")
    thread.start()
    ready.wait(10)
    if failed:
        raise failed[0]
    port, door, workers, loop, stop = box[0]
    operator = Api(port, administration.create_token("operator").text)
    try:
        yield Running(port, watched, administration, door, workers, loop, served, operator)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
    if failed:
        raise failed[0]
