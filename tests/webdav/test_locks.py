"""LOCK, UNLOCK, and what locks keep from happening."""

from __future__ import annotations

from pathlib import Path as FilePath

import pytest

from bridge.state.database import open_state
from bridge.webdav import Settings
from bridge.webdav.lock import lock_timeout
from tests.files.model_tree import ModelTree
from tests.webdav.client import Client
from tests.webdav.server import Running, running


def info(scope: str = "exclusive", owner: str = "<D:href>me</D:href>") -> bytes:
    return (
        f'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:{scope}/></D:lockscope>'
        f"<D:locktype><D:write/></D:locktype><D:owner>{owner}</D:owner></D:lockinfo>"
    ).encode()


def take(dav: Client, path: str, scope: str = "exclusive", depth: str = "0") -> str:
    reply = dav("LOCK", path, info(scope), Depth=depth, Timeout="Second-600")
    assert reply.status in (200, 201), reply
    return (reply.header("Lock-Token") or "").strip("<>")


@pytest.fixture(autouse=True)
def folder(dav: Client) -> None:
    """/d, /d/f and /f."""
    dav("MKCOL", "/d")
    dav("PUT", "/d/f", b"old")
    dav("PUT", "/f", b"old")


@pytest.fixture
def bob(server: Running) -> Client:
    return server.client("bob")


def attempts(dav: Client, path: str, **headers: str) -> list[int]:
    """The statuses of every way to change ``path``."""
    patch = (
        b'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><D:lastmodified>1</D:lastmodified>'
        b"</D:prop></D:set></D:propertyupdate>"
    )
    dav("PUT", "/other", b"x")
    return [
        dav("PUT", path, b"new", headers).status,
        dav("PROPPATCH", path, patch, headers).status,
        dav("MOVE", path, None, {"Destination": dav.url("/moved"), **headers}).status,
        dav("COPY", "/other", None, {"Destination": dav.url(path), **headers}).status,
        dav("MOVE", "/other", None, {"Destination": dav.url(path), **headers}).status,
        dav("DELETE", path, None, headers).status,
    ]


def test_a_lock_stops_every_change_without_its_token(dav: Client, bob: Client) -> None:
    token = take(dav, "/f")
    assert attempts(dav, "/f") == [423] * 6
    assert attempts(bob, "/f") == [423] * 6
    # The token is of no use to who does not own the lock.
    assert attempts(bob, "/f", If=f"<{dav.url('/f')}> (<{token}>)") == [423] * 6
    assert dav("GET", "/f").body == b"old"
    assert dav("COPY", "/f", None, Destination=dav.url("/copy")).status == 201
    assert dav("PUT", "/copy", b"a copy has no lock").status == 204


def test_with_its_token_the_owner_may_do_all(dav: Client) -> None:
    token = take(dav, "/f")
    condition = f"(<{token}>)"
    assert dav("PUT", "/f", b"new", If=condition).status == 204
    assert dav("PUT", "/f", b"newer", Lock_Token=f"<{token}>").status == 204
    assert dav("PUT", "/f", b"newest", If=f"<{dav.url('/f')}> (<{token}>)").status == 204
    assert dav("DELETE", "/f", None, If=condition).status == 204
    assert dav("PUT", "/f", b"the lock went with the file").status == 201


def test_the_refusal_names_the_lock_in_the_way(dav: Client) -> None:
    take(dav, "/d", depth="infinity")
    reply = dav("PUT", "/d/f", b"x")
    assert reply.status == 423
    assert reply.xml.findtext("{DAV:}lock-token-submitted/{DAV:}href") == "/dav/d"
    reply = dav("LOCK", "/d/f", info(), Depth="0")
    assert reply.status == 423
    assert reply.xml.findtext("{DAV:}no-conflicting-lock/{DAV:}href") == "/dav/d"


def test_a_locked_folder_takes_and_loses_no_members(dav: Client) -> None:
    token = take(dav, "/d", depth="0")
    assert dav("PUT", "/d/new", b"").status == 423
    assert dav("MKCOL", "/d/new").status == 423
    assert dav("DELETE", "/d/f").status == 423
    assert dav("MOVE", "/f", None, Destination=dav.url("/d/new")).status == 423
    assert dav("MOVE", "/d/f", None, Destination=dav.url("/moved")).status == 423
    assert dav("LOCK", "/d/new", info(), Depth="0").status == 423
    assert dav("PUT", "/d/f", b"content is not the folder's").status == 204
    condition = f"<{dav.url('/d')}> (<{token}>)"
    assert dav("PUT", "/d/new", b"", If=condition).status == 201
    assert dav("DELETE", "/d/new", None, If=condition).status == 204


def test_a_lock_deep_inside_keeps_the_folder_in_place(dav: Client, bob: Client) -> None:
    token = take(dav, "/d/f")
    assert bob("DELETE", "/d").status == 423
    assert bob("MOVE", "/d", None, Destination=bob.url("/e")).status == 423
    assert dav("DELETE", "/d").status == 423
    assert dav("LOCK", "/d", info(), Depth="infinity").status == 423
    condition = f"<{dav.url('/d/f')}> (<{token}>)"
    assert dav("MOVE", "/d", None, {"Destination": dav.url("/e"), "If": condition}).status == 201
    assert dav("PUT", "/e/f", b"locks do not move").status == 204
    dav("MKCOL", "/d")
    assert dav("PUT", "/d/f", b"nor do they stay").status == 201


def test_shared_locks_stand_beside_each_other_and_each_token_will_do(
    dav: Client, bob: Client
) -> None:
    mine, his = take(dav, "/f", "shared"), take(bob, "/f", "shared")
    assert dav("LOCK", "/f", info("exclusive"), Depth="0").status == 423
    assert dav("PUT", "/f", b"x").status == 423
    assert dav("PUT", "/f", b"x", If=f"(<{mine}>)").status == 204
    assert bob("PUT", "/f", b"x", If=f"(<{his}>)").status == 204
    assert bob("PUT", "/f", b"x", If=f"(<{mine}>)").status == 423


def test_locking_nothing_makes_an_empty_file(dav: Client) -> None:
    reply = dav("LOCK", "/new", info(), Depth="0")
    assert reply.status == 201
    assert dav("GET", "/new").body == b""
    assert dav("LOCK", "/none/new", info(), Depth="0").status == 409
    token = (reply.header("Lock-Token") or "").strip("<>")
    assert dav("PUT", "/new", b"x", If=f"(<{token}>)").status == 204
    assert dav("UNLOCK", "/new", None, Lock_Token=f"<{token}>").status == 204


def test_only_its_owner_unlocks_and_only_what_it_covers(dav: Client, bob: Client) -> None:
    token = take(dav, "/f")
    assert bob("UNLOCK", "/f", None, Lock_Token=f"<{token}>").status == 403
    assert dav("UNLOCK", "/d/f", None, Lock_Token=f"<{token}>").status == 409
    assert dav("UNLOCK", "/f", None, Lock_Token="<urn:uuid:none>").status == 409
    assert dav("UNLOCK", "/f").status == 400
    assert dav("UNLOCK", "/f", None, Lock_Token=f"<{token}>").status == 204
    assert dav("PUT", "/f", b"x").status == 204


def test_discovery_shows_scope_owner_time_and_root_also_from_below(dav: Client) -> None:
    token = take(dav, "/d", "shared", depth="infinity")
    for path in ("/d", "/d/f"):
        active = dav("PROPFIND", path, Depth="0").props()["{DAV:}lockdiscovery"][0]
        assert active.find("{DAV:}lockscope/{DAV:}shared") is not None
        assert active.findtext("{DAV:}depth") == "infinity"
        assert active.findtext("{DAV:}owner/{DAV:}href") == "me"
        assert active.findtext("{DAV:}locktoken/{DAV:}href") == token
        assert active.findtext("{DAV:}lockroot/{DAV:}href") == "/dav/d"
        assert int((active.findtext("{DAV:}timeout") or "").removeprefix("Second-")) in (599, 600)
    listing = dav("PROPFIND", "/", Depth="1")
    locked = [len(listing.props(n)["{DAV:}lockdiscovery"]) for n in range(len(listing.hrefs))]
    assert dict(zip(listing.hrefs, locked, strict=True)) == {"/dav/": 0, "/dav/d/": 1, "/dav/f": 0}


def test_a_lock_is_refreshed_by_its_token_also_from_below(dav: Client, bob: Client) -> None:
    token = take(dav, "/d", depth="infinity")
    for path in ("/d", "/d/f"):
        reply = dav("LOCK", path, None, If=f"(<{token}>)", Timeout="Second-1200")
        assert reply.status == 200
        assert "Second-1200" in reply.body.decode()
        assert reply.header("Lock-Token") is None
    assert dav("LOCK", "/f", None, If=f"(<{token}>)").status == 412
    assert dav("LOCK", "/d").status == 400
    assert bob("LOCK", "/d", None, If=f"(<{token}>)").status == 412


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 600),
        ("Second-1800", 1800),
        ("Infinite, Second-4100000000", 86400),
        ("Second-4100000000", 86400),
        ("Extend, second-60", 60),
        ("nonsense", 600),
    ],
)
def test_a_timeout_is_granted_up_to_a_limit(header: str | None, seconds: int) -> None:
    assert lock_timeout(header, Settings()) == seconds


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("(<{token}> [{etag}])", 204),
        ('(<{token}> ["wrong"])', 412),
        ("(<{token}>) (Not <DAV:no-lock>)", 204),
        ("(Not <{token}>)", 412),
        ("(<DAV:no-lock>)", 412),
        ("(<urn:uuid:wrong>) (Not <DAV:no-lock>)", 423),
        ("(Not <DAV:no-lock> <{token}>)", 204),
        ('(["wrong"]) ([{etag}] <{token}>)', 204),
        ("</dav/f> (<{token}>)", 204),
        ("</dav/f>(<{token}>)</dav/d>(Not <{token}>)", 204),
        ("</dav/d> (<{token}>)", 412),
        ("<http://other.example/dav/f> (<{token}>)", 412),
        ("(<{token}>", 400),
        ("()", 400),
        ("<{token}>", 400),
        ("(Not Not <{token}>)", 400),
    ],
)
def test_the_if_header_is_evaluated_as_the_rfc_says(
    dav: Client, condition: str, status: int
) -> None:
    token = take(dav, "/f")
    etag = dav("HEAD", "/f").header("ETag") or ""
    sent = condition.replace("{token}", token).replace("{etag}", etag)
    assert dav("PUT", "/f", b"x", If=sent).status == status


@pytest.mark.parametrize(
    "body",
    [
        b"<D:lockinfo xmlns:D='DAV:'/>",
        info().replace(b"D:exclusive", b"D:private"),
        info().replace(b"D:write", b"D:read"),
        info(owner="x" * 5000),
    ],
)
def test_what_is_no_lock_request_is_refused_and_makes_no_file(dav: Client, body: bytes) -> None:
    assert dav("LOCK", "/new", body, Depth="0").status in (400, 413, 422)
    assert dav("GET", "/new").status == 404
    assert dav("LOCK", "/f", info(), Depth="1").status == 400


def test_both_spellings_of_a_name_have_one_lock(dav: Client) -> None:
    composed, decomposed = "/%C3%A9", "/e%CC%81"
    dav("PUT", composed, b"x")
    token = take(dav, decomposed)
    assert dav("PUT", composed, b"y").status == 423
    assert dav("PUT", composed, b"y", If=f"(<{token}>)").status == 204
    assert dav("UNLOCK", composed, None, Lock_Token=f"<{token}>").status == 204


def test_locks_survive_a_restart(tmp_path: FilePath, model: ModelTree) -> None:
    database = str(tmp_path / "restart.db")
    state = open_state(database)
    with running(model, state.locks("t")) as server:
        token = take(server.client(), "/f")
    state.close()
    state = open_state(database)
    with running(model, state.locks("t")) as server:
        dav = server.client()
        assert dav("PUT", "/f", b"x").status == 423
        assert dav("PUT", "/f", b"x", If=f"(<{token}>)").status == 204
    state.close()


def test_a_read_with_a_false_if_header_is_412(dav: Client) -> None:
    assert dav("GET", "/f", If="(<urn:uuid:none>)").status == 412
    assert dav("PROPFIND", "/f", Depth="0", If="(<urn:uuid:none>)").status == 412
