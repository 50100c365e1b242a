"""Where the tree lies: above it, behind proxies, and before sign-in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.http.origin import PublicURL
from bridge.state.api import Locks
from bridge.webdav.mount import Mount
from tests.files.model_tree import ModelTree
from tests.webdav.client import Client
from tests.webdav.server import Running, running


@pytest.fixture
def plain(model: ModelTree, locks: Locks) -> Iterator[Running]:
    with running(model, locks, path="/remote/dav") as server:
        yield server


def test_the_folders_above_are_shown_and_cannot_be_changed(plain: Running) -> None:
    dav = plain.client()
    reply = dav("PROPFIND", "///", Depth="1")
    assert reply.status == 207
    assert reply.hrefs == ["/", "/remote/"]
    assert reply.props()["{DAV:}resourcetype"].find("{DAV:}collection") is not None
    assert dav("PROPFIND", "//remote", Depth="1").hrefs == ["/remote/", "/remote/dav/"]
    assert dav("PROPFIND", "//remote", Depth="0").hrefs == ["/remote/"]
    for method in ("PUT", "DELETE", "MKCOL", "LOCK"):
        assert dav(method, "//remote", b"").status == 403
    assert dav("PUT", "//elsewhere", b"").status == 404
    assert dav("GET", "//").status == 200


@pytest.mark.parametrize("path", ["//", "//remote/dav/", "//remote/dav/none"])
def test_options_tells_everybody_the_same(plain: Running, path: str) -> None:
    stranger = Client(plain.port, None, "")
    for client in (stranger, plain.client()):
        reply = client("OPTIONS", path)
        assert reply.status == 200
        assert reply.header("DAV") == "1, 2, 3"
        assert reply.header("MS-Author-Via") == "DAV"
        assert "PROPPATCH" in (reply.header("Allow") or "")
    with stranger.raw() as raw:
        raw.sock.sendall(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")
        assert raw.reply().status == 200


def test_nobody_gets_in_without_the_secret(plain: Running) -> None:
    dav = plain.client()
    dav("PUT", "/f", b"x")
    for authorization in (None, "Basic " + "YWxpY2U6d3Jvbmc=", "Basic !", "Bearer x"):
        stranger = Client(plain.port, authorization, dav.root)
        for method in ("GET", "PUT", "PROPFIND", "DELETE", "LOCK", "REPORT"):
            reply = stranger(method, "/f", b"")
            assert reply.status == 401, (method, authorization)
            assert (reply.header("WWW-Authenticate") or "").startswith("Basic realm=")
        if authorization:
            assert stranger("OPTIONS", "/").status == 401
    assert dav("GET", "/f").body == b"x"


def test_an_unknown_method_is_405_with_those_that_are(plain: Running) -> None:
    reply = plain.client()("REPORT", "/")
    assert reply.status == 405
    assert "PROPFIND" in (reply.header("Allow") or "")


def test_every_answer_carries_a_request_id_of_its_own(plain: Running) -> None:
    dav = plain.client()
    replies = [dav("PUT", "/f", b"x"), dav("GET", "/f"), dav("GET", "/none"), dav("OPTIONS", "/")]
    replies.append(Client(plain.port, None, dav.root)("GET", "/f"))
    ids = [reply.header("X-Request-Id") for reply in replies]
    assert None not in ids
    assert len(set(ids)) == len(ids)
    assert [s.request_id for s in plain.served] == ids
    # Not a client's own: only a trusted proxy may name it.
    assert dav("GET", "/f", X_Request_ID="forged").header("X-Request-Id") != "forged"


@pytest.fixture
def proxied(model: ModelTree, locks: Locks) -> Iterator[Running]:
    with running(
        model, locks, public_url="https://cloud.example/files", proxies=("127.0.0.1",)
    ) as server:
        yield server


@pytest.mark.parametrize("seen", ["/files/dav", "/dav"], ids=["kept", "stripped"])
@pytest.mark.parametrize("sent", ["/files/dav", "/dav"], ids=["public", "rewritten"])
def test_behind_a_proxy_hrefs_destination_and_if_tags_are_right(
    proxied: Running, seen: str, sent: str
) -> None:
    dav = proxied.client(root=seen)
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "cloud.example"}
    dav("PUT", "/a", b"x", forwarded)
    assert dav("PROPFIND", "/", None, {"Depth": "1"}).hrefs == ["/files/dav/", "/files/dav/a"]
    etag = dav("HEAD", "/a").header("ETag")
    tag = f"<https://cloud.example{sent}/a> ([{etag}])"
    to = f"https://cloud.example{sent}/b"
    reply = dav("MOVE", "/a", None, {"Destination": to, "If": tag})
    assert reply.status == 201
    assert reply.header("Location") == "/files/dav/b"
    assert dav("GET", "/b").body == b"x"
    elsewhere = {"Destination": "https://other.example/files/dav/b"}
    assert dav("COPY", "/b", None, elsewhere).status == 502


def test_the_address_of_a_request_is_the_proxys_client(proxied: Running) -> None:
    proxied.client(root="/dav")("GET", "/", X_Forwarded_For="192.0.2.9", X_Request_ID="from-proxy")
    assert proxied.served[-1].address == "192.0.2.9"
    assert proxied.served[-1].request_id == "from-proxy"
    assert proxied.served[-1].principal == "alice"


def test_a_mount_that_could_be_taken_for_another_is_refused() -> None:
    with pytest.raises(ValueError, match="may not begin with"):
        Mount("/dav", PublicURL.parse("https://h/dav"))
    assert Mount("/", PublicURL.parse("https://h/dav")).root == "/dav/"
    assert Mount("/").root == "/"
    with pytest.raises(ValueError, match="cannot be one"):
        Mount("/a/../b")


def test_the_tree_may_lie_at_the_root(model: ModelTree, locks: Locks) -> None:
    with running(model, locks, path="/") as server:
        dav = server.client()
        assert dav("PUT", "/a", b"x").status == 201
        assert dav("PROPFIND", "/", Depth="1").hrefs == ["/", "/a"]
        assert dav("MOVE", "/a", None, Destination=dav.url("/b")).status == 201
