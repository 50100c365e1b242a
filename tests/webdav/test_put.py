"""PUT: whole or not at all, and every refusal before the body where that can be."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from bridge.files.api import Buffer, Entry, Guard, Writer, no_guard
from bridge.files.path import Path
from bridge.http.limits import BLOCK, Limits
from bridge.state.api import Locks
from bridge.webdav import Quota
from tests.files.model_tree import ModelTree
from tests.webdav.client import Client
from tests.webdav.polling import until
from tests.webdav.server import Running, running


def test_a_new_file_is_201_and_an_old_one_204_each_with_its_etag(dav: Client) -> None:
    first, second = dav("PUT", "/a", b"one"), dav("PUT", "/a", b"two")
    assert (first.status, second.status) == (201, 204)
    assert first.header("ETag") != second.header("ETag")
    assert dav("GET", "/a").header("ETag") == second.header("ETag")


def test_a_chunked_body_of_any_size_is_kept(dav: Client) -> None:
    content = bytes(range(256)) * 10_000
    pieces = (content[i : i + 70_001] for i in range(0, len(content), 70_001))
    assert dav("PUT", "/a", pieces).status == 201
    assert dav("GET", "/a").body == content
    assert dav("PUT", "/a", iter([])).status == 204
    assert dav("GET", "/a").body == b""


@pytest.mark.parametrize("promised", [100, 3 * BLOCK])
def test_a_body_cut_short_leaves_the_old_content(
    dav: Client, server: Running, promised: int
) -> None:
    dav("PUT", "/a", b"old")
    with dav.raw() as raw:
        raw.send("PUT", "/a", f"Content-Length: {promised}", body=b"x" * (promised - 1))
    until(lambda: server.served[-1].method == "PUT" and len(server.served) == 2)
    assert server.served[-1].status in (400, 499)
    assert dav("GET", "/a").body == b"old"
    with dav.raw() as raw:
        raw.send("PUT", "/new", f"Content-Length: {promised}", body=b"x")
    assert dav("GET", "/new").status == 404


def test_a_chunked_body_cut_short_leaves_the_old_content(dav: Client, server: Running) -> None:
    dav("PUT", "/a", b"old")
    with dav.raw() as raw:
        raw.send("PUT", "/a", "Transfer-Encoding: chunked", body=b"5\r\nhello\r\n")
    until(lambda: len(server.served) == 2)
    assert dav("GET", "/a").body == b"old"


def test_a_chunked_body_of_another_length_than_the_finder_promised_is_refused(
    dav: Client,
) -> None:
    dav("PUT", "/a", b"old")
    promise = {"X-Expected-Entity-Length": "5"}
    assert dav("PUT", "/a", iter([b"hell"]), promise).status == 400
    assert dav("GET", "/a").body == b"old"
    assert dav("PUT", "/a", iter([b"hel", b"lo"]), promise).status == 204
    assert dav("GET", "/a").body == b"hello"


def test_a_part_of_a_file_is_never_taken_for_the_whole(dav: Client) -> None:
    dav("PUT", "/a", b"0123456789")
    assert dav("PUT", "/a", b"xx", Content_Range="bytes 2-3/10").status == 400
    assert dav("GET", "/a").body == b"0123456789"


def test_a_put_onto_a_folder_is_405_and_below_nothing_409(dav: Client) -> None:
    dav("MKCOL", "/d")
    dav("PUT", "/f", b"")
    assert dav("PUT", "/d", b"x").status == 405
    assert dav("PUT", "/", b"x").status == 405
    assert dav("PUT", "/none/a", b"x").status == 409
    assert dav("PUT", "/f/a", b"x").status == 409


@pytest.mark.parametrize(
    ("headers", "there", "status"),
    [
        ({"If-Match": "*"}, False, 412),
        ({"If-None-Match": "*"}, True, 412),
        ({"If-None-Match": "*"}, False, 201),
        ({"If-Match": '"other"'}, True, 412),
        ({"If": '(["other"])'}, True, 412),
        ({"If": "(<urn:uuid:none>)"}, True, 412),
        ({"If": "nonsense"}, True, 400),
    ],
)
def test_a_failing_precondition_stops_it_before_the_body(
    dav: Client, headers: dict[str, str], there: bool, status: int
) -> None:
    if there:
        dav("PUT", "/a", b"old")
    assert dav("PUT", "/a", b"new", headers).status == status
    if there:
        assert dav("GET", "/a").body == b"old"


def test_who_waits_for_100_gets_it_only_when_the_body_is_wanted(dav: Client) -> None:
    with dav.raw() as raw:
        raw.send("PUT", "/a", "Content-Length: 5", "Expect: 100-continue")
        assert raw.reply().status == 100
        raw.sock.sendall(b"hello")
        assert raw.reply().status == 201
        raw.send("GET", "/a")
        assert raw.reply().body == b"hello"
    for headers, status in (("If-None-Match: *", 412), ("Content-Range: bytes 0-4/5", 400)):
        with dav.raw() as raw:
            raw.send("PUT", "/a", "Content-Length: 5", "Expect: 100-continue", headers)
            reply = raw.reply()
            assert reply.status == status
            assert reply.header("Connection") == "close"
    with dav.raw() as raw:
        raw.send("PUT", "/none/a", "Content-Length: 5", "Expect: 100-continue")
        assert raw.reply().status == 409


def test_an_expectation_that_cannot_be_met_is_417(dav: Client) -> None:
    assert dav("PUT", "/a", b"x", Expect="miracles").status == 417


def test_the_clients_time_is_kept_and_said_to_be(dav: Client) -> None:
    reply = dav("PUT", "/a", b"x", X_OC_Mtime="1000000000")
    assert reply.header("X-OC-Mtime") == "accepted"
    assert dav("HEAD", "/a").header("Last-Modified") == "Sun, 09 Sep 2001 01:46:40 GMT"
    assert dav("PUT", "/a", b"x", X_OC_Mtime="soon").header("X-OC-Mtime") is None


def test_a_file_is_kept_as_it_came_though_its_client_names_an_encoding(dav: Client) -> None:
    dav("PUT", "/a.gz", b"\x1f\x8bnot gzip at all", Content_Encoding="gzip")
    assert dav("GET", "/a.gz").body == b"\x1f\x8bnot gzip at all"


def test_a_file_over_quota_is_507_before_its_body(model: ModelTree, locks: Locks) -> None:
    with running(model, locks, quota=lambda: Quota(90, 10)) as server:
        dav = server.client()
        assert dav("PUT", "/a", b"x" * 10).status == 201
        with dav.raw() as raw:
            raw.send("PUT", "/b", "Content-Length: 11", "Expect: 100-continue")
            assert raw.reply().status == 507
        # What is overwritten makes room.
        assert dav("PUT", "/a", b"x" * 20).status == 204


class _Watched(ModelTree):
    """Counts writers that are open, and holds a commit until told."""

    def __init__(self) -> None:
        super().__init__()
        self.open_writers = 0
        self.writes: list[int] = []
        self.before_commit: threading.Event | None = None
        self.committing = threading.Event()

    def create(  # type: ignore[override]  # the model promises its own class
        self,
        path: Path,
        *,
        size: int | None = None,
        content_type: str = "",
        mtime: float | None = None,
    ) -> Writer:
        self.open_writers += 1
        inner = super().create(path, size=size, content_type=content_type, mtime=mtime)
        return _WatchedWriter(self, inner)


class _WatchedWriter:
    def __init__(self, tree: _Watched, inner: Writer) -> None:
        self._tree = tree
        self._inner = inner

    def write(self, data: Buffer) -> None:
        self._tree.writes.append(len(data))
        self._inner.write(data)

    def commit(self, guard: Guard = no_guard) -> tuple[Entry, bool]:
        self._tree.committing.set()
        if self._tree.before_commit is not None:
            assert self._tree.before_commit.wait(10)
        done = self._inner.commit(guard)
        self._tree.open_writers -= 1
        return done

    def abort(self) -> None:
        self._tree.open_writers -= 1
        self._inner.abort()


@pytest.fixture
def watched(locks: Locks) -> Iterator[tuple[_Watched, Running]]:
    tree = _Watched()
    with running(tree, locks, limits=Limits(idle=1, drain=0.2)) as server:
        yield tree, server


@pytest.mark.parametrize(
    ("headers", "body", "rest"),
    [
        (["Content-Length: 9000000"], b"x" * 2_000_000, b""),
        (["Transfer-Encoding: chunked"], b"2\r\nxx\r\n", b"nonsense\r\n"),
        (
            ["Transfer-Encoding: chunked", "X-Expected-Entity-Length: 9"],
            b"1\r\nx\r\n",
            b"0\r\n\r\n",
        ),
    ],
)
def test_a_writer_is_aborted_however_the_body_fails(
    watched: tuple[_Watched, Running], headers: list[str], body: bytes, rest: bytes
) -> None:
    tree, server = watched
    with server.client().raw() as raw:
        raw.send("PUT", "/a", *headers, body=body)
        until(lambda: tree.open_writers == 1)
        raw.sock.sendall(rest)
    until(lambda: len(server.served) == 1 and tree.open_writers == 0)
    assert server.client()("GET", "/a").status == 404


def test_a_body_travels_in_blocks_of_a_mebibyte(watched: tuple[_Watched, Running]) -> None:
    tree, server = watched
    assert server.client()("PUT", "/a", bytes(3 * BLOCK + 5)).status == 201
    assert tree.writes == [BLOCK, BLOCK, BLOCK, 5]


def test_a_client_that_stops_sending_is_given_up_and_the_old_file_stays(
    watched: tuple[_Watched, Running],
) -> None:
    tree, server = watched
    dav = server.client()
    with dav.raw() as raw:
        raw.send("PUT", "/a", "Content-Length: 2000000", body=b"x" * 1000)
        assert raw.reply().status == 408
        assert raw.ended()
    until(lambda: tree.open_writers == 0)


def test_a_file_changed_while_the_body_came_is_not_overwritten_against_if_match(
    watched: tuple[_Watched, Running],
) -> None:
    tree, server = watched
    dav = server.client()
    etag = dav("PUT", "/a", b"first").header("ETag") or ""
    tree.committing.clear()
    tree.before_commit = threading.Event()
    statuses: list[int] = []
    late = threading.Thread(
        target=lambda: statuses.append(dav("PUT", "/a", b"late", If_Match=etag).status)
    )
    late.start()
    assert tree.committing.wait(10)
    hold, tree.before_commit = tree.before_commit, None
    assert dav("PUT", "/a", b"meanwhile").status == 204
    hold.set()
    late.join(10)
    assert statuses == [412]
    assert dav("GET", "/a").body == b"meanwhile"


def test_a_lock_taken_while_the_body_came_is_respected(watched: tuple[_Watched, Running]) -> None:
    tree, server = watched
    dav = server.client()
    dav("PUT", "/a", b"first")
    tree.committing.clear()
    tree.before_commit = threading.Event()
    statuses: list[int] = []
    late = threading.Thread(target=lambda: statuses.append(dav("PUT", "/a", b"late").status))
    late.start()
    assert tree.committing.wait(10)
    body = (
        b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
        b"<D:locktype><D:write/></D:locktype></D:lockinfo>"
    )
    assert server.client("bob")("LOCK", "/a", body).status == 200
    tree.before_commit.set()
    late.join(10)
    assert statuses == [423]
    assert dav("GET", "/a").body == b"first"
