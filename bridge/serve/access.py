"""Around the door: uploads take turns, answers are counted, and the access log is written."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import structlog
from aiohttp import web

from bridge.http.answer import refusal
from bridge.http.body import promised_length
from bridge.http.errors import Overloaded, Refused
from bridge.http.served import Served
from bridge.serve.turns import Turns
from bridge.telemetry.metrics import Metrics

_log = structlog.get_logger()

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Front:
    """What stands before one door.

    ``turns``: whose turn it is to upload; ``wait``: seconds that a PUT waits for its turn before
    503. It waits before the door asks for its body: a client that expects 100 has sent nothing yet.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        door: str,
        turns: Turns,
        wait: float,
    ) -> None:
        self._metrics = metrics
        self._door = door
        self._turns = turns
        self._wait = wait
        self.uploads = 0
        """PUTs under way."""

    def around(self, handler: Handler) -> Handler:
        """``handler`` with turns and counts."""

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await self._handle(handler, request)

        return handle

    async def _handle(self, handler: Handler, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "PUT":
            response = await self._in_turn(handler, request)
        else:
            response = await handler(request)
        sent = response.body_length if response.prepared else response.content_length or 0
        if request.method == "HEAD":
            sent = 0
        self._metrics.bodies(self._door, request.content.total_bytes, sent)
        return response

    async def _in_turn(self, handler: Handler, request: web.BaseRequest) -> web.StreamResponse:
        try:
            size = promised_length(request)
        except Refused:
            size = 0  # the door refuses it in its own way, and reads no body
        async with AsyncExitStack() as held:
            try:
                await held.enter_async_context(self._turns.turn(size, self._wait))
            except TimeoutError:
                busy = Overloaded("too many uploads at once; try again")
                busy.close = True  # its body has not been read
                return refusal(busy)
            self.uploads += 1
            try:
                return await handler(request)
            finally:
                self.uploads -= 1


class AccessLog:
    """What is said and counted of each request to one door, once it is answered.

    ``asked`` is told who has made it, where somebody had signed in.
    """

    def __init__(
        self, metrics: Metrics, *, door: str, asked: Callable[[str], None] = lambda _who: None
    ) -> None:
        self._metrics = metrics
        self._door = door
        self._asked = asked

    def served(self, served: Served) -> None:
        """One line of the access log, and its figures; the target only at debug level."""
        if served.principal:
            self._asked(served.principal)
        self._metrics.request(self._door, served.method, served.status, served.seconds)
        _log.info(
            "request",
            request_id=served.request_id,
            door=self._door,
            method=served.method,
            status=served.status,
            seconds=round(served.seconds, 6),
            client=served.address,
            username=served.principal,
            user_agent=served.agent,
        )
        if _log.is_enabled_for(logging.DEBUG):
            _log.debug(
                "request target",
                request_id=served.request_id,
                method=served.method,
                target=served.target,
            )
