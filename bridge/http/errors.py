"""A request that is refused: status, words, and what else the answer carries."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus


class Refused(Exception):
    """Answer ``status`` with ``message``; raised anywhere while a request is served.

    ``body`` and ``content_type`` replace the plain text, for protocols with a form for errors.
    ``close``: nothing more can be read from this connection.
    """

    def __init__(
        self,
        status: int,
        message: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "text/plain; charset=utf-8",
        close: bool = False,
    ) -> None:
        self.status = status
        self.message = message or phrase(status)
        super().__init__(self.message)
        self.headers: Mapping[str, str] = headers or {}
        self.body = body
        self.content_type = content_type
        self.close = close


class Overloaded(Refused):
    """No worker came free in time: 503, and when to come again."""

    def __init__(self, message: str = "the server is busy; try again") -> None:
        super().__init__(503, message, headers={"Retry-After": "10"})


class BodyCut(Refused):
    """The client went away, or sent less than it promised, before its body was whole."""

    def __init__(self, message: str = "the body ended before all of it came") -> None:
        super().__init__(400, message, close=True)


def phrase(status: int) -> str:
    """The reason phrase of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
