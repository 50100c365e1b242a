"""Connections: kept alive, pipelined, slow, cut, and too many."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bridge.files.api import Entry
from bridge.files.errors import StorageUnavailable
from bridge.files.path import Path
from bridge.http.limits import Limits
from bridge.state.api import Locks
from tests.files.model_tree import ModelTree
from tests.webdav.client import Client
from tests.webdav.polling import until
from tests.webdav.server import Running, running


def test_requests_follow_each_other_on_one_connection(dav: Client) -> None:
    with dav.raw() as raw:
        raw.send("PUT", "/a", "Content-Length: 5", body=b"hello")
        assert raw.reply().status == 201
        raw.send("GET", "/a")
        assert raw.reply().body == b"hello"
        raw.send("PUT", "/a", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n")
        assert raw.reply().status == 204
        raw.send("HEAD", "/a")
        assert raw.reply(head=True).header("Content-Length") == "3"
        raw.send("DELETE", "/a")
        assert raw.reply().status == 204


def test_pipelined_requests_are_answered_in_order(dav: Client) -> None:
    with dav.raw() as raw:
        for n in range(20):
            raw.send("PUT", f"/{n}", "Content-Length: 2", body=b"%02d" % n)
        for n in range(20):
            raw.send("GET", f"/{n}")
        assert [raw.reply().status for _ in range(20)] == [201] * 20
        assert [raw.reply().body for _ in range(20)] == [b"%02d" % n for n in range(20)]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("PUT", "/none/a", [], 409),
        ("PUT", "/a", ["If-Match: *"], 412),
        ("PUT", "/a", ["Content-Range: bytes 0-1/2"], 400),
        ("MKCOL", "/a", [], 415),
        ("PUT", "/%zz", [], 400),
    ],
)
def test_after_an_early_refusal_the_connection_is_in_step_or_closed(
    dav: Client, method: str, path: str, headers: list[str], status: int
) -> None:
    # The body looks like a request: read as one it would be smuggled in.
    body = b"DELETE /dav/keep HTTP/1.1\r\nHost: h\r\n\r\n" * 10
    dav("PUT", "/keep", b"kept")
    with dav.raw() as raw:
        raw.send(method, path, f"Content-Length: {len(body)}", *headers, body=body)
        reply = raw.reply()
        assert reply.status == status
        if reply.header("Connection") == "close":
            assert raw.ended()
        else:
            raw.send("GET", "/keep")
            assert raw.reply().body == b"kept"
    assert dav("GET", "/keep").body == b"kept"


def test_http_1_0_is_answered_and_closed(dav: Client) -> None:
    dav("PUT", "/a", b"hello")
    with dav.raw() as raw:
        head = f"GET /dav/a HTTP/1.0\r\nAuthorization: {dav.authorization}\r\n\r\n"
        raw.sock.sendall(head.encode())
        assert raw.reply().body == b"hello"
        assert raw.ended()


@pytest.mark.parametrize(
    "head",
    [
        "GET /dav/a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "PUT /dav/a HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n",
        "PUT /dav/a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        "PUT /dav/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n",
        "nonsense\r\n",
    ],
)
def test_what_two_servers_could_read_differently_is_400_and_closed(dav: Client, head: str) -> None:
    with dav.raw() as raw:
        raw.sock.sendall(f"{head}Authorization: {dav.authorization}\r\n\r\n0\r\n\r\n".encode())
        assert raw.reply().status == 400
        assert raw.ended()


@pytest.mark.parametrize("where", ["line", "field"])
def test_a_header_too_long_is_431(dav: Client, where: str) -> None:
    with dav.raw() as raw:
        path, extra = ("/" + "x" * 20_000, "") if where == "line" else ("/", "x" * 20_000)
        raw.send("GET", path, f"X-Long: {extra}")
        assert raw.reply().status == 431
        assert raw.ended()


def test_an_absolute_request_target_is_understood(dav: Client) -> None:
    dav("PUT", "/a", b"hello")
    with dav.raw() as raw:
        head = (
            f"GET http://127.0.0.1:{dav.port}/dav/a HTTP/1.1\r\nHost: h\r\n"
            f"Authorization: {dav.authorization}\r\n\r\n"
        )
        raw.sock.sendall(head.encode())
        assert raw.reply().body == b"hello"


@pytest.fixture
def tight(model: ModelTree, locks: Locks) -> Iterator[Running]:
    limits = Limits(connections=3, keepalive=0.5, idle=0.5, drain=0.2)
    with running(model, locks, limits=limits) as server:
        yield server


def test_a_header_that_comes_too_slowly_is_cut_off(tight: Running) -> None:
    with tight.client().raw() as raw:
        raw.sock.sendall(b"GET /dav/a HTT")
        assert raw.ended()


def test_an_idle_connection_is_closed(tight: Running) -> None:
    with tight.client().raw() as raw:
        raw.send("OPTIONS", "/")
        assert raw.reply().status == 200
        assert raw.ended()


def test_a_small_body_that_stops_coming_is_408(tight: Running) -> None:
    with tight.client().raw() as raw:
        raw.send("PROPFIND", "/", "Content-Length: 100", body=b"<D:prop")
        assert raw.reply().status == 408
        assert raw.ended()


def test_a_client_that_takes_nothing_is_cut_off(tight: Running) -> None:
    dav = tight.client()
    dav("PUT", "/big", bytes(30_000_000))
    with dav.raw() as raw:
        raw.send("GET", "/big")
        until(lambda: tight.served[-1].method == "GET", limit=20)
        assert tight.served[-1].status == 499


def test_one_connection_too_many_is_told_503(model: ModelTree, locks: Locks) -> None:
    with running(model, locks, limits=Limits(connections=3)) as server, ExitStack() as stack:
        raws = [stack.enter_context(server.client().raw()) for _ in range(3)]
        for raw in raws:
            raw.send("OPTIONS", "/")
            assert raw.reply().status == 200
        with server.client().raw() as refused:
            reply = refused.reply()
            assert reply.status == 503
            assert reply.header("Retry-After") == "10"
            assert refused.ended()
        raws[0].sock.close()
        until(lambda: len(server.server.connections) < 3)
        assert server.client()("OPTIONS", "/").status == 200


class _Hanging(ModelTree):
    """A tree whose every look hangs until told."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def stat(self, path: Path) -> Entry:
        assert self.go_on.wait(20)
        return super().stat(path)


def test_when_all_workers_hang_a_request_waits_and_then_gets_503(locks: Locks) -> None:
    tree = _Hanging()
    limits = Limits(threads=2, queue=10, wait=0.5)
    with running(tree, locks, limits=limits) as server, ExitStack() as stack:
        dav = server.client()
        assert dav("OPTIONS", "/").status == 200
        raws = [stack.enter_context(dav.raw()) for _ in range(2)]
        for raw in raws:
            raw.send("PROPFIND", "/", "Depth: 0")
        reply = dav("PROPFIND", "/", Depth="0")
        assert reply.status == 503
        assert reply.header("Retry-After") == "10"
        tree.go_on.set()
        assert dav("PROPFIND", "/", Depth="0").status == 207


class _Failing(ModelTree):
    """A tree whose store is out of reach, or which has a flaw."""

    error: Exception = StorageUnavailable("the store is out of reach")

    def stat(self, path: Path) -> Entry:
        raise self.error


def test_a_store_out_of_reach_is_503_with_retry_after(locks: Locks) -> None:
    with running(_Failing(), locks) as server:
        reply = server.client()("PROPFIND", "/", Depth="0")
        assert reply.status == 503
        assert reply.header("Retry-After") == "10"
        assert b"out of reach" in reply.body


def test_a_flaw_is_500_with_the_requests_id_and_no_inner_words(locks: Locks) -> None:
    tree = _Failing()
    tree.error = RuntimeError("a secret of the implementation")
    with running(tree, locks) as server:
        reply = server.client()("PROPFIND", "/", Depth="0")
        assert reply.status == 500
        assert reply.header("X-Request-Id")
        assert b"secret" not in reply.body
