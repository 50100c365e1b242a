"""The client that measures single transfers: blocking sockets, one copy of each byte, no parsing.

Of curl, ``sendfile``, ``recv(MSG_TRUNC)`` and this, this was the cheapest that truly receives
what it asks for (README.md has the figures). Every status is checked; an error is never counted.
"""

from __future__ import annotations

import os
import re
import socket
import time
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import NamedTuple

from bench.process import ServerFailed
from bench.servers import Target

RECEIVE = 256 << 10
SEND = 1 << 20
TIMEOUT = 120.0

PROPFIND_BODY = (
    b'<?xml version="1.0" encoding="utf-8"?>'
    b'<d:propfind xmlns:d="DAV:"><d:prop><d:getlastmodified/><d:getcontentlength/>'
    b"<d:resourcetype/><d:getetag/><d:getcontenttype/></d:prop></d:propfind>"
)
"""The live properties that Nextcloud's client asks for in a listing."""


class Timing(NamedTuple):
    """Seconds on the clock, and the client's own processor seconds among them."""

    seconds: float
    client_cpu: float


@dataclass(slots=True)
class Stopwatch:
    """Clock and processor time of this process since it was made."""

    wall: float
    cpu: float

    @classmethod
    def start(cls) -> Stopwatch:
        return cls(time.perf_counter(), time.process_time())

    def read(self) -> Timing:
        return Timing(time.perf_counter() - self.wall, time.process_time() - self.cpu)


def request_head(target: Target, method: str, path: str, length: int | None = None) -> bytes:
    """The bytes of a request's head, kept alive; ``length`` of the body that follows."""
    lines = [
        f"{method} {target.base}{path} HTTP/1.1",
        f"Host: {target.host}:{target.port}",
        f"Authorization: {target.authorization}",
        "User-Agent: bench",
    ]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Source:
    """Random bytes to send, made once: ``block`` of them over and over."""

    def __init__(self, block: int) -> None:
        self._bytes = memoryview(os.urandom(block))

    def at(self, offset: int, limit: int) -> memoryview:
        """What stands at ``offset`` of the endless content, at most ``limit`` bytes of it."""
        start = offset % len(self._bytes)
        return self._bytes[start : start + limit]


def upload(target: Target, path: str, source: Source, size: int) -> Timing:
    """PUT ``size`` bytes; the time ends with the answer."""
    with _connect(target) as link:
        watch = Stopwatch.start()
        link.sendall(request_head(target, "PUT", path, size))
        sent = 0
        while sent < size:
            block = source.at(sent, min(SEND, size - sent))
            link.sendall(block)
            sent += len(block)
        head = link.recv(RECEIVE)
        timing = watch.read()
    _expect(head, (200, 201, 204), f"PUT {path}")
    return timing


def download(target: Target, path: str, source: Source, size: int, *, verify: bool) -> Timing:
    """GET ``size`` bytes; ``verify`` compares each with what ``upload`` sent."""
    with _connect(target) as link:
        watch = Stopwatch.start()
        link.sendall(request_head(target, "GET", path))
        head, _, rest = _read_head(link)
        _expect(head, (200,), f"GET {path}")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if length is None or int(length[1]) != size:
            raise ServerFailed(f"GET {path}: not {size} bytes: {head!r}")
        buffer = bytearray(RECEIVE)
        buffer[: len(rest)] = rest
        have, got = len(rest), 0
        while True:
            if verify and not _same(buffer, have, source, got):
                raise ServerFailed(f"GET {path}: wrong content after byte {got}")
            got += have
            if got >= size:
                break
            have = link.recv_into(buffer)
            if not have:
                raise ServerFailed(f"GET {path}: cut off after {got} of {size} bytes")
        return watch.read()


def propfind(target: Target, path: str, members: int) -> Timing:
    """PROPFIND at depth 1 of a folder that has ``members`` files."""
    with closing(HTTPConnection(target.host, target.port, timeout=TIMEOUT)) as link:
        link.connect()
        watch = Stopwatch.start()
        status, body = _ask(link, target, "PROPFIND", path, {"Depth": "1"}, PROPFIND_BODY)
        timing = watch.read()
    found = len(re.findall(rb"</(?:\w+:)?response>", body))
    if status != 207 or found != members + 1:
        raise ServerFailed(f"PROPFIND {path}: {status}, {found} of {members + 1} responses")
    return timing


def simple(
    target: Target,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    *,
    limit: float = TIMEOUT,
) -> Timing:
    """A request without a body that must succeed within ``limit``: MKCOL, DELETE, MOVE."""
    with closing(HTTPConnection(target.host, target.port, timeout=limit)) as link:
        link.connect()
        watch = Stopwatch.start()
        status, body = _ask(link, target, method, path, headers or {}, None)
        timing = watch.read()
    if not 200 <= status < 300:
        raise ServerFailed(f"{method} {path}: {status} {body[:200]!r}")
    return timing


def _ask(
    link: HTTPConnection,
    target: Target,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes | None,
) -> tuple[int, bytes]:
    sent = {"Authorization": target.authorization, "User-Agent": "bench", **headers}
    link.request(method, target.base + path, body, sent)
    answer = link.getresponse()
    return answer.status, answer.read()


def _connect(target: Target) -> socket.socket:
    return socket.create_connection((target.host, target.port), TIMEOUT)


def _read_head(link: socket.socket) -> tuple[bytes, bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        more = link.recv(RECEIVE - len(data))
        if not more:
            raise ServerFailed(f"closed before a whole head: {data!r}")
        data += more
    return data.partition(b"\r\n\r\n")


def _same(buffer: bytearray, have: int, source: Source, offset: int) -> bool:
    at = 0
    while at < have:
        wanted = source.at(offset + at, have - at)
        if not buffer.startswith(wanted, at):  # the comparison that copies nothing
            return False
        at += len(wanted)
    return True


def _expect(head: bytes, statuses: tuple[int, ...], what: str) -> None:
    if not head.startswith(b"HTTP/1.1 ") or int(head[9:12]) not in statuses:
        raise ServerFailed(f"{what}: {head[:300]!r}")
