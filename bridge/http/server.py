"""The HTTP server under every door: aiohttp's low-level one, with limits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from bridge.http.answer import refusal
from bridge.http.errors import Refused
from bridge.http.limits import Limits

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nConnection: close\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 21\r\n\r\ntoo many connections\n"
)

_READ_BUFFER = 256 * 1024


class _Connection(RequestHandler):
    """One connection; refused when there are too many, ended when its answers are not taken.

    An answer made whole is written with no limit of time, and so is what a connection still has to
    send when it is closed: whoever takes nothing of it would hold the connection for ever.
    """

    __slots__ = ("_idle", "_least", "_looking", "_most", "_unsent", "_wire")

    def __init__(self, manager: web.Server, *, limits: Limits, **options: object) -> None:
        super().__init__(manager, **options)  # type: ignore[arg-type]
        self._most = limits.connections
        self._idle = limits.idle
        self._least = max(1, int(limits.rate * limits.idle))
        self._unsent = 0
        self._wire: asyncio.WriteTransport | None = None
        self._looking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._wire = cast("asyncio.WriteTransport", transport)
        self._looking = self._loop.call_later(self._idle, self._look)
        manager = self._manager
        if manager is not None and len(manager._connections) > self._most:  # noqa: SLF001
            cast("asyncio.Transport", transport).write(_FULL)  # uvloop's is no subclass
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._looking is not None:
            self._looking.cancel()
        self._wire = None
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        self._unsent = 0  # enough was taken; what comes now is counted anew
        super().resume_writing()

    def _look(self) -> None:
        """Every ``idle`` seconds: end the connection if too little was taken since the last look.

        Only where nothing is added meanwhile, for then less is left: writers have waited all the
        time (the buffer is full), or the connection is closed.
        """
        wire = self._wire
        if wire is None:
            return
        before, self._unsent = self._unsent, 0
        if self._paused or wire.is_closing():
            self._unsent = wire.get_write_buffer_size()
            if before and self._unsent and before - self._unsent < self._least:
                wire.abort()
                return
        self._looking = self._loop.call_later(self._idle, self._look)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What a request gets that could not be parsed, or whose handler failed unforeseen."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        if isinstance(exc, LineTooLong):
            return refusal(Refused(431, "the request line or a header is too long", close=True))
        if status < 500:
            return refusal(Refused(status, "this is not a well-formed HTTP request", close=True))
        self.log_exception("a request failed", exc_info=exc)
        return refusal(Refused(status, close=True))


class Server(web.Server):
    """``handler`` behind ``limits``; give it to ``web.ServerRunner`` or ``loop.create_server``.

    Header time is bounded by ``keepalive``: within it a whole header must come, on a new connection
    and on a kept one. After a refusal the rest of a body is read for ``drain`` seconds, then
    the connection is closed. The handler of a client that went away goes on.
    """

    def __init__(self, handler: Handler, limits: Limits) -> None:
        super().__init__(
            handler,
            keepalive_timeout=limits.keepalive,
            max_line_size=limits.header_line,
            max_field_size=limits.header_line,
            max_headers=limits.headers,
            lingering_time=limits.drain,
            read_bufsize=_READ_BUFFER,
            auto_decompress=False,  # a body is stored as it came
            access_log=None,
        )
        self._limits = limits

    def __call__(self) -> RequestHandler:
        """Make the protocol of a new connection."""
        return _Connection(self, limits=self._limits, loop=self._loop, **self._kwargs)
