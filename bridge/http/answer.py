"""Answers: streamed with read-ahead and patience that ends, refusals, request ids."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
from collections.abc import AsyncIterator
from html import escape

from aiohttp import web

from bridge.http.errors import Refused, phrase
from bridge.http.limits import Limits

SERVER = "storj-bridge"

_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_process = os.urandom(5).hex()
_count = itertools.count(1)


def new_request_id() -> str:
    """Unlike any other of this process, and surely of others."""
    return f"{_process}-{next(_count):x}"


def forwarded_request_id(header: str | None) -> str | None:
    """A trusted proxy's own id for the request, if it can stand in a log line."""
    return header if header is not None and _ID.fullmatch(header) else None


class CutOff(Exception):
    """An answer that had begun cannot be finished: the connection must end unclean."""


async def send_blocks(
    request: web.BaseRequest,
    response: web.StreamResponse,
    blocks: AsyncIterator[bytes | bytearray | memoryview],
    limits: Limits,
) -> None:
    """Send ``blocks`` as the answer's body.

    A client that takes nothing for ``limits.idle`` seconds is cut off; so is the connection when
    ``blocks`` fails, since a clean end would make half a body pass for a whole one.
    """
    await response.prepare(request)
    patience = _Patience(request, limits)
    try:
        async for block in blocks:
            patience.written += len(block)
            await response.write(block)
        await response.write_eof()
    except asyncio.CancelledError:
        cut(request)
        raise
    except Exception as error:
        cut(request)
        raise CutOff(str(error)) from error
    finally:
        patience.end()


class _Patience:
    """Cuts a client off that takes less than ``limits.rate`` of what waits for it.

    Looks every ``limits.idle`` seconds: one timer for an answer, not one for each block.
    """

    def __init__(self, request: web.BaseRequest, limits: Limits) -> None:
        self.written = 0
        self._request = request
        self._limits = limits
        self._taken = 0
        self._timer = self._set()

    def end(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _set(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._limits.idle, self._look)

    def _look(self) -> None:
        unsent = _unsent(self._request)
        taken = self.written - unsent
        if unsent and taken - self._taken < self._limits.rate * self._limits.idle:
            cut(self._request)  # the write that waits for it fails
            return
        self._taken = taken
        self._timer = self._set()


def _unsent(request: web.BaseRequest) -> int:
    """Bytes that wait to be taken by the client."""
    transport = request.transport
    return 0 if transport is None else transport.get_write_buffer_size()


def cut(request: web.BaseRequest) -> None:
    """End the connection so that the client knows the answer is not whole."""
    transport = request.transport
    if transport is not None:
        abort = getattr(transport, "abort", transport.close)
        abort()


def refusal(refused: Refused, *, html: bool = False) -> web.Response:
    """The answer that says so."""
    headers = {"Server": SERVER, **refused.headers}
    body = refused.body
    content_type = refused.content_type
    if body is None:
        if html:
            title = f"{refused.status} {phrase(refused.status)}"
            body = (
                f"<!DOCTYPE html><title>{title}</title><h1>{title}</h1>"
                f"<p>{escape(refused.message)}</p>\n"
            ).encode()
            content_type = "text/html; charset=utf-8"
        else:
            body = f"{refused.message}\n".encode("utf-8", "replace")
    if refused.status in (204, 304):
        body = b""
    else:
        headers["Content-Type"] = content_type
    response = web.Response(status=refused.status, headers=headers, body=body)
    if refused.close:
        response.force_close()
    return response
