"""How much one client, and all of them together, may ask of the process."""

from __future__ import annotations

from dataclasses import dataclass

BLOCK = 1 << 19
"""Bytes that travel together between a socket, a worker thread and a tree."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one HTTP server; the defaults suit 200 clients on two cores.

    ``connections``: open at once; one more is told 503 and closed. ``header_line`` and
    ``headers``: bytes of the request line or of one field, and number of fields, else 431.
    ``idle``: seconds without a byte while a body is read or an answer is taken. ``rate``: least
    bytes a second of a body, measured over each block once ``idle`` seconds have passed.
    ``keepalive``: seconds in which the next request's header must have come whole.
    ``small_body``: bytes of a body that is not content (XML). ``drain``: seconds for which the
    rest of a refused body is read and thrown away before the connection is closed. ``threads``:
    workers for short work, ``long_threads`` for copying and for walking whole folders,
    ``sign_in_threads`` for looking at secrets. ``queue``: requests that may wait for a worker;
    ``wait``: seconds one waits for that, or for memory, before 503.
    """

    connections: int = 1000
    header_line: int = 16 * 1024
    headers: int = 100
    idle: float = 60.0
    rate: int = 1024
    keepalive: float = 75.0
    small_body: int = 1 << 20
    drain: float = 5.0
    threads: int = 32
    long_threads: int = 16
    sign_in_threads: int = 8
    queue: int = 2000
    wait: float = 20.0
