"""Attacks over HTTP by credentials of one tenant: out of their folders, beyond their rights.

Alice has the whole tree, bob all rights in /team, carol may read and list, dora may only write, in
/drop, and ed only delete.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath

import pytest

from bridge.files.api import FileTree
from bridge.state.api import Locks
from bridge.tenants.api import ALL_RIGHTS, Right
from bridge.tenants.confined import ConfinedLocks, ConfinedTree, folder_path
from tests.files.script import run, snapshot
from tests.files.vault import memory_vault
from tests.webdav.client import Client, Reply
from tests.webdav.server import running
from tests.webdav.test_locks import info, take

CREDENTIALS = {
    "bob": (ALL_RIGHTS, "/team"),
    "carol": (Right.READ | Right.LIST, "/"),
    "dora": (Right.WRITE, "/drop"),
    "ed": (Right.DELETE, "/"),
}

TOLD = re.compile(rb"team|private|secret|drop", re.IGNORECASE)
"""What bob and dora may never be told: where they are, and what lies beside them."""

PATCH = (
    b'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><x:a xmlns:x="x:">1</x:a></D:prop></D:set>'
    b"</D:propertyupdate>"
)
LOCKS = b'<D:propfind xmlns:D="DAV:"><D:prop><D:lockdiscovery/></D:prop></D:propfind>'


@dataclass
class House:
    """A tenant's tree, and its clients by name."""

    tree: FileTree
    clients: dict[str, Client]

    def __getattr__(self, name: str) -> Client:
        return self.clients[name]

    def outside(self) -> object:
        """All that bob must not change."""
        return {name: held for name, held in snapshot(self.tree).items() if name != "team"}

    def etag(self, path: str) -> str:
        return self.alice("HEAD", path).header("ETag") or ""


@pytest.fixture
def house(tmp_path: FilePath, locks: Locks) -> Iterator[House]:
    folder = tmp_path / "vault"
    folder.mkdir()
    with memory_vault(folder) as vault:
        tree = vault.tree()
        run(
            tree,
            "mkdir /private, write /private/secret classified, mkdir /team, mkdir /team/d, "
            "write /team/f own, write /team/d/g own, mkdir /teams, write /teams/secret classified, "
            "mkdir /drop, write /drop/old mine",
        )
        credentials = {
            name: (
                ConfinedTree(tree, rights, folder_path(root)),
                ConfinedLocks(locks, rights, folder_path(root)),
            )
            for name, (rights, root) in CREDENTIALS.items()
        }
        with running(tree, locks, credentials=credentials) as server:
            clients = {name: server.client(name) for name in ("alice", *CREDENTIALS)}
            yield House(tree, clients)


OUT = [
    "/../private/secret",
    "/%2e%2e/private/secret",
    "/%2E%2E%2Fprivate%2Fsecret",
    "/..%2fprivate/secret",
    "/d/../../private/secret",
    "/d/%2e%2e/%2e%2e/private/secret",
    "/./../private/secret",
    "//../private/secret",
    "/..%5cprivate%5csecret",
    "/..;/private/secret",
    "/%c0%ae%c0%ae/private/secret",
    "/%ef%bc%8e%ef%bc%8e/private/secret",
    "/%e2%80%a5/private/secret",
    "/..%00/private/secret",
    "/%252e%252e/private/secret",
    "/private/secret",
    "/team/../private/secret",
    "/s/secret",
    "s/secret",
    "/../teams/secret",
    "/%2fprivate%2fsecret",
    "/../../dav/private/secret",
    "/.%2e/private/secret",
]
"""Ways that might lead to a secret outside."""


@pytest.mark.parametrize("way", OUT)
def test_no_path_leads_out_of_a_folder(house: House, way: str) -> None:
    before = house.outside()
    for method, body in (
        ("GET", None),
        ("HEAD", None),
        ("PROPFIND", None),
        ("DELETE", None),
        ("PROPPATCH", PATCH),
        ("PUT", b"overwritten"),
        ("MKCOL", None),
        ("LOCK", info()),
    ):
        reply = house.bob(method, way, body)
        # Some are names like any other: what they make lies in bob's own folder.
        assert 400 <= reply.status < 500 or method in ("LOCK", "PUT")
        assert b"classified" not in reply.body
    assert house.outside() == before


@pytest.mark.parametrize("way", OUT)
def test_no_destination_leads_out_of_a_folder(house: House, way: str) -> None:
    before = house.outside()
    for method in ("COPY", "MOVE"):
        for destination in (house.bob.url(way), house.bob.root + way, "/dav" + way):
            house.bob(method, "/f", None, Destination=destination)
            house.bob(method, "/d", None, Destination=destination)
            # Nor in: what lies outside cannot be brought to where it can be read.
            house.bob(method, way, None, Destination=house.bob.url("/stolen"))
    assert house.outside() == before
    assert b"classified" not in repr(snapshot(house.tree, folder_path("/team"))).encode()


def test_if_tells_nothing_of_what_lies_outside(house: House) -> None:
    right, wrong = house.etag("/private/secret"), '"0123456789abcdef0123456789abcdef-1"'
    token = take(house.alice, "/private/secret")
    for way in OUT:
        url = house.bob.url(way)
        for condition in ("<{0}> ([{1}])", "<{0}> (Not [{1}])"):
            answers = {
                house.bob("PUT", "/f", b"x", If=condition.format(url, etag)).status
                for etag in (right, wrong)
            }
            assert len(answers) == 1
        for condition in ("<{0}> (<{1}>)", "<{0}> (Not <{1}>)", "(<{1}>)", "(Not <{1}>)"):
            answers = {
                house.bob("PUT", "/f", b"x", If=condition.format(url, tag)).status
                for tag in (token, "urn:uuid:00000000-0000-0000-0000-000000000000")
            }
            assert len(answers) == 1


def test_tokens_of_locks_outside_are_as_unknown_as_any(house: House) -> None:
    token = take(house.alice, "/private/secret")
    for known in (token, "urn:uuid:00000000-0000-0000-0000-000000000000"):
        assert house.bob("UNLOCK", "/f", Lock_Token=f"<{known}>").status == 409
        assert house.bob("UNLOCK", "/", Lock_Token=f"<{known}>").status == 409
        assert house.bob("LOCK", "/f", b"", If=f"(<{known}>)").status == 412
        assert house.bob("LOCK", "/private/secret", b"", If=f"(<{known}>)").status == 412
    assert house.alice("PUT", "/private/secret", b"x").status == 423


def test_a_lock_above_a_folder_is_one_of_its_root_without_token_and_owner(house: House) -> None:
    token = take(house.alice, "/", depth="infinity")
    for path in ("/", "/f", "/d/g"):
        reply = house.bob("PROPFIND", path, LOCKS, Depth="0")
        assert reply.xml.findtext(".//{DAV:}lockroot/{DAV:}href") == "/dav/"
        assert reply.xml.find(".//{DAV:}locktoken") is None
        assert reply.xml.find(".//{DAV:}owner") is None
        assert token.encode() not in reply.body
    for method, body in (("PUT", b"x"), ("DELETE", None), ("PROPPATCH", PATCH), ("LOCK", info())):
        for condition in ("", f"(<{token}>)", "(<>)"):
            reply = house.bob(method, "/f", body, {"If": condition} if condition else {})
            assert reply.status in (400, 412, 423)
            assert not TOLD.search(reply.body)
            assert token.encode() not in reply.body
    assert house.alice("UNLOCK", "/", None, Lock_Token=f"<{token}>").status == 204
    assert house.bob("PUT", "/f", b"x").status == 204


def test_locks_of_two_credentials_on_one_file_meet(house: House) -> None:
    token = take(house.bob, "/f")
    assert house.alice("PUT", "/team/f", b"x").status == 423
    assert house.alice("DELETE", "/team").status == 423
    reply = house.alice("LOCK", "/team", info(), Depth="infinity")
    assert (reply.status, reply.xml.findtext(".//{DAV:}href")) == (423, "/dav/team/f")
    assert house.bob("PUT", "/f", b"x", If=f"(<{token}>)").status == 204
    theirs = take(house.alice, "/team/d", depth="infinity")
    reply = house.bob("PUT", "/d/g", b"x")
    assert (reply.status, reply.xml.findtext(".//{DAV:}href")) == (423, "/dav/d")
    assert house.bob("UNLOCK", "/d/g", None, Lock_Token=f"<{theirs}>").status == 403


def test_a_whole_listing_ends_at_the_folder(house: House) -> None:
    reply = house.bob("PROPFIND", "/", None, Depth="infinity")
    assert sorted(reply.hrefs) == ["/dav/", "/dav/d/", "/dav/d/g", "/dav/f"]
    assert not TOLD.search(reply.body)
    page = house.bob("GET", "/")
    assert page.status == 200
    assert not TOLD.search(page.body)


def test_the_root_stays_whatever_is_asked(house: House) -> None:
    before = snapshot(house.tree)
    bob = house.bob
    for path in ("/", "//dav", "//dav/", "//dav//"):
        assert bob("DELETE", path).status == 403
        assert bob("PUT", path, b"x").status == 405
        assert bob("MKCOL", path).status == 405
        assert bob("PROPPATCH", path, PATCH).status == 403
        for method in ("MOVE", "COPY"):
            assert bob(method, path, None, Destination=bob.url("/d/x")).status == 403
            for destination in (bob.url("/"), bob.url(""), "/dav", "/dav//"):
                assert bob(method, "/d", None, Destination=destination).status == 403
    assert snapshot(house.tree) == before


@pytest.mark.parametrize("instead", [None, b"a file"], ids=["nothing", "a file"])
def test_a_root_that_somebody_removed_is_not_there(house: House, instead: bytes | None) -> None:
    bob = house.bob
    assert house.alice("MOVE", "/team", None, Destination=bob.url("/kept")).status == 201
    if instead is not None:
        house.alice("PUT", "/team", instead)
    before = snapshot(house.tree)
    replies = [
        *(bob(method, "/") for method in ("GET", "HEAD", "PROPFIND", "DELETE")),
        *(bob(method, "/f") for method in ("GET", "HEAD", "PROPFIND", "DELETE")),
        bob("PROPPATCH", "/", PATCH),
        bob("MOVE", "/f", None, Destination=bob.url("/x")),
        bob("MOVE", "/", None, Destination=bob.url("/x")),
    ]
    assert [reply.status for reply in replies] == [404] * len(replies)
    assert bob("MKCOL", "/").status == 409
    assert bob("MKCOL", "/new").status == 409
    assert bob("PUT", "/new", b"x").status == 409
    assert bob("LOCK", "/", info()).status == 409
    assert bob("LOCK", "/new", info()).status == 409
    assert snapshot(house.tree) == before


def errors(bob: Client) -> Iterator[Reply]:
    """Every kind of refusal there is to provoke."""
    yield bob("GET", "/nothing")
    yield bob("GET", "/f/below")
    yield bob("PUT", "/nothing/new", b"x")
    yield bob("PUT", "/d", b"x")
    yield bob("PUT", "/f", b"x", If_Match='"other"')
    yield bob("MKCOL", "/d")
    yield bob("MKCOL", "/f/x")
    yield bob("MKCOL", "/nothing/x")
    yield bob("DELETE", "/nothing")
    yield bob("DELETE", "/")
    yield bob("MOVE", "/d", None, Destination=bob.url("/d/x"))
    yield bob("COPY", "/d", None, Destination=bob.url("/d"))
    yield bob("MOVE", "/f", None, Destination=bob.url("/nothing/x"))
    yield bob("COPY", "/f", None, {"Destination": bob.url("/d"), "Overwrite": "F"})
    yield bob("MOVE", "/f", None, Destination="http://other.example/dav/x")
    yield bob("PROPFIND", "/nothing")
    yield bob("PROPPATCH", "/nothing", PATCH)
    yield bob("PROPPATCH", "/f", PATCH.replace(b">1<", b">" + b"v" * 70_000 + b"<"))
    yield bob("LOCK", "/nothing/x", info())
    yield bob("UNLOCK", "/f", Lock_Token="<urn:x>")
    yield bob("GET", "/" + "x/" * 300)
    yield bob("GET", "/" + "x/" * 255 + "y")
    yield bob("GET", "/" + "n" * 300)


def test_no_refusal_tells_where_a_folder_lies(house: House) -> None:
    for reply in errors(house.bob):
        assert 400 <= reply.status < 600
        assert not TOLD.search(reply.body), reply
        assert not any(TOLD.search(value.encode()) for _, value in reply.headers), reply


def everything(client: Client, path: str) -> dict[str, int]:
    """Every way to change ``path``, and its status; what is tried last would change the most."""
    other = client.url("/other")
    return {
        "LOCK": client("LOCK", path, info()).status,
        "UNLOCK": client("UNLOCK", path, Lock_Token="<urn:x>").status,
        "PROPPATCH": client("PROPPATCH", path, PATCH).status,
        "COPY": client("COPY", path, None, Destination=other).status,
        "MKCOL": client("MKCOL", path + "-folder").status,
        "PUT new": client("PUT", path + "-new", b"x").status,
        "PUT": client("PUT", path, b"x").status,
        "MOVE": client("MOVE", path, None, Destination=other).status,
        "DELETE": client("DELETE", path).status,
    }


def test_who_may_read_and_list_changes_nothing(house: House) -> None:
    before = snapshot(house.tree)
    for path in ("/team/f", "/team", "/drop/old"):
        found = everything(house.carol, path)
        assert found.pop("UNLOCK") == 409  # there is no such lock
        assert set(found.values()) == {403}
    assert house.carol("GET", "/private/secret").body == b"classified"
    assert house.carol("PROPFIND", "/", None, Depth="infinity").status == 207
    assert snapshot(house.tree) == before


def test_who_may_not_write_is_told_before_the_body_comes(house: House) -> None:
    for client, path in ((house.carol, "/team/new"), (house.dora, "/old")):
        with client.raw() as raw:
            raw.send("PUT", path, "Content-Length: 1000000", "Expect: 100-continue")
            assert raw.reply().status == 403
        with client.raw() as raw:
            raw.send("PUT", path, "Transfer-Encoding: chunked", "Expect: 100-continue")
            assert raw.reply().status == 403


def test_who_may_only_write_puts_new_files_and_sees_no_others(house: House) -> None:
    dora = house.dora
    assert dora("PUT", "/new", b"mine").status == 201
    assert dora("MKCOL", "/folder").status == 201
    before = snapshot(house.tree)
    for path in ("/new", "/old"):
        assert dora("PUT", path, b"other").status == 403
        assert dora("PUT", path, iter([b"other"])).status == 403
        assert dora("GET", path).status == 403
        assert dora("DELETE", path).status == 403
        assert dora("MOVE", path, None, Destination=dora.url("/x")).status == 403
        assert dora("COPY", path, None, Destination=dora.url("/x")).status == 403
        assert dora("PROPFIND", path, None, Depth="0").status == 207
    assert dora("PROPFIND", "/", None, Depth="1").status == 403
    assert dora("PROPFIND", "/", None, Depth="infinity").status == 403
    assert dora("GET", "/").status == 403
    assert snapshot(house.tree) == before
    token = take(dora, "/old")
    assert dora("UNLOCK", "/old", None, Lock_Token=f"<{token}>").status == 204


def test_properties_are_not_told_to_who_may_neither_read_nor_list(house: House) -> None:
    large = PATCH.replace(b">1<", b">" + b"v" * 5_000 + b"<")
    for patch in (PATCH, large):
        assert house.alice("PROPPATCH", "/drop/old", patch).status == 207
        reply = house.dora("PROPFIND", "/old", None, Depth="0")
        assert reply.status == 207
        assert b"x:" not in reply.body


def test_each_is_told_what_it_may_do(house: House) -> None:
    """In ownCloud's letters, by which Nextcloud shows a mount."""
    asked = (
        b'<D:propfind xmlns:D="DAV:"><D:prop><x:permissions xmlns:x="http://owncloud.org/ns"/>'
        b"</D:prop></D:propfind>"
    )
    told = {
        name: [
            house.clients[name]("PROPFIND", path, asked, Depth="0")
            .props()["{http://owncloud.org/ns}permissions"]
            .text
            for path in (folder, file)
        ]
        for name, folder, file in (
            ("alice", "/team", "/team/f"),
            ("bob", "/d", "/f"),
            ("carol", "/team", "/team/f"),
            ("dora", "/", "/old"),
            ("ed", "/team", "/team/f"),
        )
    }
    assert told == {
        "alice": ["GDNVCK", "GDNVW"],
        "bob": ["GDNVCK", "GDNVW"],
        "carol": ["G", "G"],
        "dora": ["CK", None],
        "ed": ["D", "D"],
    }


def test_who_may_only_delete_deletes_files_and_folders_and_no_more(house: House) -> None:
    found = everything(house.ed, "/drop/old")
    assert found.pop("DELETE") == 204
    assert found.pop("UNLOCK") == 409
    assert set(found.values()) == {403}
    assert house.ed("DELETE", "/teams").status == 204
    assert house.ed("GET", "/private/secret").status == 403
    token = take(house.alice, "/private/secret")
    submitted = f"(Not <urn:x>) (<{token}>)"
    assert house.ed("DELETE", "/private", None, If=submitted).status == 423
    run(house.tree, "none /drop/old, none /teams, is /private/secret classified")


def test_the_locks_of_what_was_deleted_go_with_it(house: House) -> None:
    take(house.bob, "/d/g")
    token = take(house.bob, "/d")
    condition = f"<{house.bob.url('/d')}> (<{token}>)"
    assert house.bob("DELETE", "/d", None, If=condition).status == 423
    reply = house.bob("PROPFIND", "/d/g", LOCKS, Depth="0")
    inner = reply.xml.findtext(".//{DAV:}locktoken/{DAV:}href")
    both = f"<{house.bob.url('/d')}> (<{token}>) <{house.bob.url('/d/g')}> (<{inner}>)"
    assert house.bob("DELETE", "/d", None, If=both).status == 204
    assert house.alice("MKCOL", "/team/d").status == 201
    assert house.alice("PUT", "/team/d/g", b"x").status == 201


@pytest.mark.parametrize(
    "attempt",
    [
        lambda bob: bob("OPTIONS", "/"),
        lambda bob: bob("OPTIONS", "/../private"),
    ],
    ids=["its root", "outside"],
)
def test_options_tell_everybody_the_same(house: House, attempt: Callable[[Client], Reply]) -> None:
    told = {
        name: value
        for name, value in house.alice("OPTIONS", "/").headers
        if name in ("Allow", "DAV")
    }
    reply = attempt(house.bob)
    if reply.status == 200:
        assert {name: reply.header(name) for name in told} == told
    else:
        assert reply.status == 400
