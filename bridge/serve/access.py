"""Around the door: answers are counted, and the access log is written."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from bridge.http.served import Served
from bridge.telemetry.metrics import Metrics

_log = structlog.get_logger()

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Front:
    """What stands before one door: it counts what goes in and out."""

    def __init__(self, metrics: Metrics, *, door: str) -> None:
        self._metrics = metrics
        self._door = door

    def around(self, handler: Handler) -> Handler:
        """``handler``, counted."""

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            response = await handler(request)
            sent = response.body_length if response.prepared else response.content_length or 0
            if request.method == "HEAD":
                sent = 0
            self._metrics.bodies(self._door, request.content.total_bytes, sent)
            return response

        return handle


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
