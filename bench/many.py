"""The client that measures many small requests: kept-alive connections on one epoll loop.

``put_many`` sends each file once with its own name; ``get_many`` runs wrk, the cheapest client
there is, with 200 connections, and where it is missing falls back to this module's loop.
"""

from __future__ import annotations

import hashlib
import json
import re
import resource
import selectors
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.client import TIMEOUT, Stopwatch, request_head
from bench.process import ServerFailed
from bench.servers import Target

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_SCRIPT = Path(__file__).with_name("get.lua")


class Load(NamedTuple):
    """What a load came to: requests answered well, seconds, the client's processor seconds."""

    requests: int
    seconds: float
    client_cpu: float


class Request(NamedTuple):
    """The bytes to send, and the body that the answer must have, None when any will do."""

    message: bytes
    body: bytes | None = None


class _Connection:
    """One kept-alive connection: sends the next request as soon as an answer is whole."""

    def __init__(self, target: Target, requests: Iterator[Request]) -> None:
        self._target = target
        self._requests = requests
        self._body: bytes | None = None
        self._answer = b""
        self.socket = self._connect()

    def _connect(self) -> socket.socket:
        link = socket.create_connection((self._target.host, self._target.port), TIMEOUT)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return link

    def send_next(self) -> bool:
        """Send one more request; False when there are no more."""
        self._answer = b""
        request = next(self._requests, None)
        if request is not None:
            self._body = request.body
            self.socket.sendall(request.message)
        return request is not None

    def receive(self) -> bool:
        """Take what has come; True when it completes a good answer."""
        more = self.socket.recv(256 << 10)
        self._answer += more
        head_end = self._answer.find(b"\r\n\r\n") + 4
        if not more or (head_end > 3 and self._answer[9:10] != b"2"):
            raise ServerFailed(f"small request: {self._answer[:300]!r}")
        if head_end == 3:
            return False
        head = self._answer[:head_end]
        length = _LENGTH.search(head)
        if length is None:
            no_body = self._answer[9:12] == b"204"
            return no_body or self._answer.endswith(b"0\r\n\r\n")
        if len(self._answer) < head_end + int(length[1]):
            return False
        if self._body is not None and self._answer[head_end:] != self._body:
            raise ServerFailed(f"small request: wrong content after {head!r}")
        return True

    def reopen_if_closing(self) -> None:
        """Connect anew after an answer that ends its connection."""
        if b"\r\nconnection: close" in self._answer.partition(b"\r\n\r\n")[0].lower():
            self.socket.close()
            self.socket = self._connect()


def run_requests(target: Target, requests: Sequence[Request], connections: int) -> Load:
    """Send each request once over ``connections``; every answer must be 2xx."""
    waiting = iter(requests)
    links = [_Connection(target, waiting) for _ in range(min(connections, len(requests)))]
    done = 0
    try:
        with selectors.EpollSelector() as selector:
            watch = Stopwatch.start()
            for link in links:
                if link.send_next():
                    selector.register(link.socket, selectors.EVENT_READ, link)
            while done < len(requests):
                ready = selector.select(TIMEOUT)
                if not ready:
                    raise ServerFailed(f"no answer within {TIMEOUT:.0f} s")
                for key, _ in ready:
                    link = key.data
                    if not link.receive():
                        continue
                    done += 1
                    selector.unregister(key.fileobj)
                    link.reopen_if_closing()
                    if link.send_next():
                        selector.register(link.socket, selectors.EVENT_READ, link)
            timing = watch.read()
    finally:
        for link in links:
            link.socket.close()
    return Load(done, timing.seconds, timing.client_cpu)


def put_many(target: Target, folder: str, count: int, size: int, connections: int) -> Load:
    """PUT ``count`` new files of ``size`` bytes, named ``folder/00000.bin`` and so on."""
    requests = [
        Request(request_head(target, "PUT", _path(folder, number), size) + _content(number, size))
        for number in range(count)
    ]
    return run_requests(target, requests, connections)


def get_each(target: Target, folder: str, count: int, size: int, connections: int) -> Load:
    """GET each of the files that ``put_many`` made once; every byte is checked."""
    requests = [
        Request(request_head(target, "GET", _path(folder, number)), _content(number, size))
        for number in range(count)
    ]
    return run_requests(target, requests, connections)


def _path(folder: str, number: int) -> str:
    return f"{folder}/{number:05d}.bin"


def _content(number: int, size: int) -> bytes:
    """Of each file another one, which nobody compresses."""
    return hashlib.shake_128(number.to_bytes(8)).digest(size)


def get_many(
    target: Target, folder: str, count: int, size: int, connections: int, seconds: int
) -> Load:
    """GET the files that ``put_many`` made, over and over, for about ``seconds``."""
    wrk = shutil.which("wrk")
    if wrk is not None:
        return _wrk(wrk, target, folder, count, size, connections, seconds)
    done, clock, cpu = 0, 0.0, 0.0
    while clock < seconds:
        part = get_each(target, folder, count, size, connections)
        done, clock, cpu = done + part.requests, clock + part.seconds, cpu + part.client_cpu
    return Load(done, clock, cpu)


def _wrk(
    wrk: str, target: Target, folder: str, count: int, size: int, connections: int, seconds: int
) -> Load:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    script = ["-s", str(_SCRIPT), f"http://{target.host}:{target.port}", "--"]
    arguments = [f"{target.base}{folder}", str(count), target.authorization]
    done = subprocess.run(
        [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", *script, *arguments],
        check=False,
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
    if done.returncode or found is None:
        raise ServerFailed(f"wrk: {done.stdout[-300:]}{done.stderr[-300:]}")
    said: dict[str, int] = json.loads(found[1])
    failed = {name: said[name] for name in ("connect", "read", "write", "status", "timeout")}
    if any(failed.values()) or said["bytes"] < said["requests"] * size:
        raise ServerFailed(f"GET of small files: {said}")
    return Load(said["requests"], said["microseconds"] / 1e6, cpu)
