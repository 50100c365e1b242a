"""Request bodies: in blocks, with patience that ends, and whole or not at all."""

from __future__ import annotations

import asyncio
import time

from aiohttp import web

from bridge.http.errors import BodyCut, Refused
from bridge.http.limits import Limits


class Body:
    """The body of one request, read by blocks.

    Nothing is asked of the client before the first read: with ``Expect: 100-continue`` that read
    sends the 100 (RFC 9110, section 10.1.1), and until then a refusal is the only answer.
    """

    __slots__ = ("_begun", "_content", "_limits", "_request", "_rest", "expects", "length")

    def __init__(self, request: web.BaseRequest, limits: Limits) -> None:
        self._request = request
        self._limits = limits
        self._content = request.content
        self._rest = memoryview(b"")
        self._begun = False
        self.length = _content_length(request)
        """Bytes promised by Content-Length; None for a chunked body; 0 where there is none."""
        expect = request.headers.get("Expect")
        self.expects = False
        if expect is not None and request.version >= (1, 1):
            if expect.strip().lower() != "100-continue":
                raise Refused(417, "only 100-continue can be expected", close=True)
            self.expects = self.length != 0

    @property
    def unasked(self) -> bool:
        """Whether the client still waits for 100: its body may never come."""
        return self.expects and not self._begun

    @property
    def broken(self) -> bool:
        """Whether the connection is gone, and the body will never be whole."""
        return self._content.exception() is not None

    @property
    def arrived(self) -> bool:
        """Whether all of it has come: to read it waits for nobody."""
        return self._content.is_eof()

    async def fill(self, block: memoryview) -> int:
        """Fill ``block`` and return how much came; less than its length only at the body's end.

        Raises BodyCut when the client went away, Refused 408 when it is too slow.
        """
        filled = 0
        size = len(block)
        started = 0.0
        if not self._begun:
            await self._begin()
        while filled < size:
            if not self._rest:
                if self._content.at_eof():
                    break
                now = time.monotonic()
                started = started or now
                self._rest = memoryview(await self._next())
                self._check_rate(filled + len(self._rest), time.monotonic() - started)
                continue
            part = self._rest[: size - filled]
            block[filled : filled + len(part)] = part
            filled += len(part)
            self._rest = self._rest[len(part) :]
        return filled

    async def small(self, limit: int | None = None) -> bytes:
        """The whole body, which must be small; raises Refused 413 when it is not."""
        limit = self._limits.small_body if limit is None else limit
        if self.length == 0:
            return b""
        if self.length is not None and self.length > limit:
            raise Refused(413, f"a body of this request may have {limit} bytes", close=True)
        buffer = bytearray(limit + 1 if self.length is None else self.length)
        filled = await self.fill(memoryview(buffer))
        if filled > limit:
            raise Refused(413, f"a body of this request may have {limit} bytes", close=True)
        if self.length is not None and filled < self.length:
            raise BodyCut
        return bytes(memoryview(buffer)[:filled])

    async def _begin(self) -> None:
        self._begun = True
        if self.expects:
            try:
                await self._request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            except ConnectionError as error:  # it has gone, or half of it, while it waited for this
                raise BodyCut from error
            # The interim response is not part of the answer, whose size tells if it has begun.
            self._request.writer.output_size = 0

    async def _next(self) -> bytes:
        try:
            if self._content.is_eof() or self._content.total_bytes:
                # Something may be there already: then no timer is needed.
                ready = self._content.read_nowait(-1)
                if ready:
                    return ready
            async with asyncio.timeout(self._limits.idle):
                return await self._content.readany()
        except TimeoutError:
            raise Refused(408, "the body stopped coming", close=True) from None
        except asyncio.CancelledError:
            raise
        except Exception as error:  # aiohttp has a dozen classes for a broken connection
            raise BodyCut from error

    def _check_rate(self, received: int, elapsed: float) -> None:
        if elapsed > self._limits.idle and received < self._limits.rate * elapsed:
            raise Refused(408, "the body comes too slowly", close=True)


def _content_length(request: web.BaseRequest) -> int | None:
    header = request.headers.get("Content-Length")
    if header is not None:
        return int(header)  # the parser has checked it
    coding = request.headers.get("Transfer-Encoding")
    if coding is None:
        return 0
    if coding.strip().lower() != "chunked":
        # RFC 9112, section 6.1: what is not understood would be stored still coded.
        raise Refused(501, "no transfer coding but chunked is understood", close=True)
    return None


def promised_length(request: web.BaseRequest) -> int | None:
    """Bytes that the body will have: by Content-Length, or as the Finder says for a chunked one.

    None where nothing is promised. Raises Refused.
    """
    length = _content_length(request)
    expected = request.headers.get("X-Expected-Entity-Length")
    if length is not None or expected is None:
        return length
    if not (expected.isascii() and expected.isdigit() and len(expected) < 20):
        raise Refused(400, "X-Expected-Entity-Length is no number")
    return int(expected)
