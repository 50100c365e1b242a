"""Runs the doors in an event loop until the process is told to stop.

Stopping: the listeners close, idle connections too, ``/readyz`` says so; requests under way get
half of ``stop_seconds`` to end by themselves, then their connections are cut, their uploads are
aborted, and they get the other half to wind up. A second signal ends the wait.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiohttp import web

from bridge.serve.health import PATHS, Health
from bridge.serve.tls import Certificates
from bridge.settings import Address

_log = structlog.get_logger()

BACKLOG = 1_024

CLEANUP_SECONDS = 0.2
"""What aiohttp may take to close what is left, when nothing is expected of it any more."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class CannotListen(Exception):
    """The address cannot be listened on; the message says why and what to do."""


class Requests:
    """The main listener's handler: health beside the door. Knows which requests are under way."""

    def __init__(self, health: Health, door: Handler) -> None:
        self._health = health
        self._door = door
        # By identity: aiohttp's requests are mappings, and no key themselves.
        self._running: dict[int, web.BaseRequest] = {}
        self._stopping = False

    @property
    def running(self) -> int:
        """Requests under way, also those whose clients have gone."""
        return len(self._running)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self._running[id(request)] = request
        try:
            if request.rel_url.raw_path in PATHS:
                response = await self._health.handle(request)
            else:
                response = await self._door(request)
        finally:
            del self._running[id(request)]
        if self._stopping:
            response.force_close()
        return response

    def close_idle(self, server: web.Server) -> None:
        """Close the connections that wait for a request, and the others after their answer.

        aiohttp's own shutdown would throw away what still comes of a body.
        """
        self._stopping = True
        busy = {request.protocol for request in self._running.values()}
        for connection in server.connections:
            if connection not in busy:
                connection.force_close()

    def cut(self) -> None:
        """End the connections of all requests under way."""
        for request in list(self._running.values()):
            if request.transport is not None:
                request.transport.abort()


@dataclass(frozen=True, slots=True)
class Serving:
    """What ``serve`` needs: the door's server on ``sockets``, and what goes with it."""

    server: web.Server
    requests: Requests
    sockets: Sequence[socket.socket]
    health: Health
    stop_seconds: float
    certificates: Certificates | None = None
    metrics_sockets: Sequence[socket.socket] = ()
    admin: web.Server | None = None
    admin_sockets: Sequence[socket.socket] = ()
    ready: Callable[[], None] = field(default=lambda: None)
    """Called once, when requests are accepted."""
    outstanding: Callable[[], int] = field(default=lambda: 0)
    """How much work beside running requests must end before the process may."""


def bind(address: Address) -> list[socket.socket]:
    """Sockets bound to every address that ``address`` names. Raises CannotListen.

    They are bound before anything else is opened, so that a port in use is told at once.
    """
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise CannotListen(f"cannot listen on {address}: {error.strerror or error}") from None
    sockets: list[socket.socket] = []
    port = address.port
    try:
        for family, kind, protocol, _, target in dict.fromkeys(found):
            sock = socket.socket(family, kind, protocol)
            sockets.append(sock)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((target[0], port, *target[2:]))
            port = sock.getsockname()[1]  # with port 0, the same for IPv4 and IPv6
    except OSError as error:
        close_all(sockets)
        raise CannotListen(_why(address, error)) from None
    return sockets


def close_all(sockets: Sequence[socket.socket]) -> None:
    """Close sockets that are not going to be served."""
    for sock in sockets:
        sock.close()


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run to the end, on uvloop where it installs."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main)


async def serve(serving: Serving) -> None:
    """Serve until SIGTERM or SIGINT, then stop as the module says."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    hurry = asyncio.Event()

    def told_to_stop() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop)
    watching: asyncio.Task[None] | None = None
    if serving.certificates is not None:
        loop.add_signal_handler(signal.SIGHUP, serving.certificates.reload)
        watching = asyncio.create_task(serving.certificates.watch())

    runners = [web.ServerRunner(serving.server, shutdown_timeout=CLEANUP_SECONDS)]
    if serving.metrics_sockets:
        figures = web.Server(serving.health.handle_metrics, access_log=None)
        runners.append(web.ServerRunner(figures, shutdown_timeout=CLEANUP_SECONDS))
    if serving.admin is not None and serving.admin_sockets:
        administered = web.ServerRunner(serving.admin, shutdown_timeout=CLEANUP_SECONDS)
        runners.append(administered)
    try:
        await _listen(runners[0], serving.sockets, serving.certificates)
        if serving.metrics_sockets:
            await _listen(runners[1], serving.metrics_sockets, None)
        if serving.admin_sockets:
            await _listen(runners[-1], serving.admin_sockets, serving.certificates)
        _log.info("accepting requests")
        serving.ready()
        await stop.wait()
        _log.info("stopping")
        serving.health.stopping = True
    finally:
        if watching is not None:
            watching.cancel()
        await _stop_listening(runners[0])
        await asyncio.sleep(0)  # what has just come in begins
        serving.requests.close_idle(serving.server)
        ended = await _unless(hurry, serving)
        if not ended:
            serving.requests.cut()
            ended = await _unless(hurry, serving)
        if not ended:
            _log.warning("work was still under way at the end", action="stopping all the same")
        for runner in runners:
            await runner.cleanup()


async def _listen(
    runner: web.ServerRunner, sockets: Sequence[socket.socket], tls: Certificates | None
) -> None:
    await runner.setup()
    for sock in sockets:
        context = tls.context if tls is not None else None
        await web.SockSite(runner, sock, ssl_context=context, backlog=BACKLOG).start()


async def _stop_listening(runner: web.ServerRunner) -> None:
    for site in list(runner.sites):
        await site.stop()


async def _ended(serving: Serving) -> None:
    """Wait until nothing is under way."""
    while serving.requests.running or serving.outstanding():  # noqa: ASYNC110 - threads work too
        await asyncio.sleep(0.02)


async def _unless(hurry: asyncio.Event, serving: Serving) -> bool:
    """Wait for all work to end, at most half of ``stop_seconds`` and until ``hurry``."""
    ended = asyncio.create_task(_ended(serving))
    hurried = asyncio.create_task(hurry.wait())
    await asyncio.wait(
        {ended, hurried}, timeout=serving.stop_seconds / 2, return_when=asyncio.FIRST_COMPLETED
    )
    hurried.cancel()
    if not ended.done():
        ended.cancel()
        return False
    return True


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - it does not install everywhere
    except ImportError:
        return None
    return uvloop.new_event_loop


def _why(address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"cannot listen on {address}: another program already does; stop it, or choose "
            "another port"
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"cannot listen on {address}: not allowed (ports below 1024 need a privilege)"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"cannot listen on {address}: this machine has no such address"
    return f"cannot listen on {address}: {error.strerror}"
