"""Runs the doors in an event loop until the process is told to stop.

Stopping: the listeners close, idle connections too, ``/readyz`` says so; requests under way get
half of ``stop_seconds`` to end by themselves, then bodies are cut, their uploads aborted, and
they get the other half to wind up. A second signal ends the wait.
"""

from __future__ import annotations

import asyncio
import contextlib
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

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class CannotListen(Exception):
    """The address cannot be listened on; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What ``serve`` needs: the door's server on ``sockets``, and what goes with it."""

    server: web.Server
    sockets: Sequence[socket.socket]
    health: Health
    stop_seconds: float
    certificates: Certificates | None = None
    metrics_sockets: Sequence[socket.socket] = ()
    ready: Callable[[], None] = field(default=lambda: None)
    """Called once, when requests are accepted."""
    wind_up: Callable[[], Awaitable[None]] | None = None
    """Called in the loop when no request is left."""


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

    runners = [web.ServerRunner(serving.server, shutdown_timeout=serving.stop_seconds / 2)]
    if serving.metrics_sockets:
        figures = web.Server(serving.health.handle_metrics, access_log=None)
        runners.append(web.ServerRunner(figures, shutdown_timeout=1.0))
    try:
        await _listen(runners[0], serving.sockets, serving.certificates)
        if serving.metrics_sockets:
            await _listen(runners[1], serving.metrics_sockets, None)
        _log.info("accepting requests")
        serving.ready()
        await stop.wait()
        _log.info("stopping")
        serving.health.stopping = True
    finally:
        if watching is not None:
            watching.cancel()
        await _unless(hurry, asyncio.gather(*(runner.cleanup() for runner in runners)))
        if serving.wind_up is not None:
            await _unless(hurry, serving.wind_up())


def with_health(health: Health, door: Handler) -> Handler:
    """The handler of the main listener: health beside the door."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.rel_url.raw_path in PATHS:
            return await health.handle(request)
        return await door(request)

    return handle


async def _listen(
    runner: web.ServerRunner, sockets: Sequence[socket.socket], tls: Certificates | None
) -> None:
    await runner.setup()
    for sock in sockets:
        context = tls.context if tls is not None else None
        await web.SockSite(runner, sock, ssl_context=context, backlog=BACKLOG).start()


async def _unless(hurry: asyncio.Event, work: Awaitable[object]) -> None:
    """Wait for ``work``, but no longer than until ``hurry``."""
    task = asyncio.ensure_future(work)
    hurried = asyncio.create_task(hurry.wait())
    await asyncio.wait({task, hurried}, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    if not task.done():
        _log.warning("stopping at once")
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return
    task.result()


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
