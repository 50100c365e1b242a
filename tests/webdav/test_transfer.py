"""MKCOL, DELETE, COPY and MOVE."""

from __future__ import annotations

import threading

import pytest

from bridge.files.api import Guard, no_guard
from bridge.files.path import Path
from bridge.state.api import Locks
from tests.files.model_tree import ModelTree
from tests.webdav.client import Client
from tests.webdav.polling import until
from tests.webdav.server import running


@pytest.fixture(autouse=True)
def folder(dav: Client) -> None:
    """/d with /d/f and /d/e/g in it, and /h."""
    for path in ("/d", "/d/e"):
        assert dav("MKCOL", path).status == 201
    for path in ("/d/f", "/d/e/g", "/h"):
        assert dav("PUT", path, path.encode()).status == 201


def move(dav: Client, src: str, dst: str, method: str = "MOVE", **headers: str) -> int:
    return dav(method, src, None, {"Destination": dav.url(dst), **headers}).status


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/new", 201),
        ("/new/", 201),
        ("/d", 405),
        ("/h", 405),
        ("/", 405),
        ("/x/y", 409),
        ("/h/y", 409),
    ],
)
def test_mkcol(dav: Client, path: str, status: int) -> None:
    assert dav("MKCOL", path).status == status


def test_mkcol_with_a_body_is_415_and_heeds_conditions(dav: Client) -> None:
    assert dav("MKCOL", "/new", b"<x/>").status == 415
    assert dav("MKCOL", "/new", If_Match="*").status == 412
    assert dav("MKCOL", "/new", If="(<urn:uuid:none>)").status == 412
    assert dav("GET", "/new").status == 404


def test_delete_takes_files_and_whole_folders(dav: Client) -> None:
    assert dav("DELETE", "/h").status == 204
    assert dav("DELETE", "/d/").status == 204
    for path in ("/h", "/d", "/d/f", "/d/e/g"):
        assert dav("GET", path).status == 404
    assert dav("DELETE", "/h").status == 404


def test_delete_refuses_the_root_a_depth_and_a_failed_condition(dav: Client) -> None:
    assert dav("DELETE", "/").status == 403
    assert dav("DELETE", "/d", Depth="0").status == 400
    assert dav("DELETE", "/h", If_Match='"other"').status == 412
    assert dav("GET", "/h").status == 200


def test_a_fragment_deletes_nothing(dav: Client) -> None:
    assert dav("DELETE", "/d#f").status == 400
    assert dav("DELETE", "/d/#f").status == 400
    assert dav("GET", "/d/f").status == 200


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_a_free_destination_is_201_a_taken_one_204(dav: Client, method: str) -> None:
    assert move(dav, "/h", "/new", method) == 201
    assert move(dav, "/new", "/d/f", method) == 204
    assert dav("GET", "/d/f").body == b"/h"
    assert move(dav, "/d", "/d2", method) == 201
    assert dav("GET", "/d2/e/g").body == b"/d/e/g"
    assert dav("GET", "/d").status == (200 if method == "COPY" else 404)


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_overwrite_f_is_412_and_keeps_both(dav: Client, method: str) -> None:
    assert move(dav, "/h", "/d/f", method, Overwrite="F") == 412
    assert move(dav, "/h", "/new", method, Overwrite="f") == 201
    assert dav("GET", "/d/f").body == b"/d/f"
    assert move(dav, "/new", "/d/f", method, Overwrite="perhaps") == 400


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_where_it_cannot_go(dav: Client, method: str) -> None:
    assert move(dav, "/h", "/none/x", method) == 409
    assert move(dav, "/h", "/d/f/x", method) == 409
    assert move(dav, "/none", "/x", method) == 404
    assert move(dav, "/h", "/h", method) == 403
    assert move(dav, "/d", "/d/e/x", method) == 403
    assert move(dav, "/d/e", "/d", method) == 403
    assert move(dav, "/", "/d/x", method) == 403
    assert dav(method, "/h").status == 400
    assert dav(method, "/h", None, Destination="http://other.example/dav/x").status == 502
    assert dav(method, "/h", None, Destination=dav.url("")[:-4] + "/elsewhere").status == 502
    assert dav(method, "/h", None, Destination="relative").status == 502
    assert dav(method, "/h", None, Destination=dav.url("/../x")).status == 400
    assert dav(method, "/h", None, Destination=dav.url("/a%2Fb")).status == 400
    assert dav(method, "/h", None, Destination=dav.url("/a#b")).status == 400
    assert dav("GET", "/h").body == b"/h"


def test_copy_with_depth_0_takes_the_folder_alone(dav: Client) -> None:
    assert move(dav, "/d", "/d0", "COPY", Depth="0") == 201
    assert dav("PROPFIND", "/d0", Depth="1").hrefs == ["/dav/d0/"]
    assert move(dav, "/d", "/d1", "MOVE", Depth="0") == 400
    assert move(dav, "/d", "/d1", "COPY", Depth="1") == 400


def test_a_folder_that_is_overwritten_is_replaced_and_not_merged(dav: Client) -> None:
    dav("MKCOL", "/t")
    dav("PUT", "/t/old", b"")
    assert move(dav, "/d", "/t", "COPY") == 204
    assert sorted(dav("PROPFIND", "/t", Depth="1").hrefs) == ["/dav/t/", "/dav/t/e/", "/dav/t/f"]


def test_a_destination_may_be_a_path_end_in_a_slash_or_be_written_without_escapes(
    dav: Client,
) -> None:
    assert dav("MOVE", "/d/", None, Destination=dav.url("/moved/")).status == 201
    assert dav("MOVE", "/moved/f", None, Destination="/dav/moved/g").status == 201
    raw = (dav.url("/moved/ü x")).encode()
    assert dav("MOVE", "/moved/g", None, {"Destination": raw}).status == 201
    assert dav("GET", "/moved/%C3%BC%20x").body == b"/d/f"


def test_a_condition_is_about_the_source(dav: Client) -> None:
    etag = dav("HEAD", "/h").header("ETag") or ""
    assert move(dav, "/h", "/new", **{"If-Match": '"other"'}) == 412
    assert move(dav, "/h", "/new", If=f"([{etag}])") == 201


def test_what_makes_nextcloud_drop_a_mount_is_403_for_it(dav: Client) -> None:
    agent = {"User-Agent": "sabre-dav/4.7.0 (http://sabre.io/)"}
    to_missing = {"Destination": dav.url("/none/x"), **agent}
    assert dav("MOVE", "/h", None, to_missing).status == 403
    assert dav("COPY", "/none", None, {"Destination": dav.url("/x"), **agent}).status == 403
    assert dav("MKCOL", "/none/x", None, agent).status == 403
    assert dav("MKCOL", "/d", None, agent).status == 405
    assert dav("DELETE", "/none", None, agent).status == 404
    assert dav("PROPFIND", "/none", None, {"Depth": "0", **agent}).status == 404
    assert dav("GET", "/none", None, agent).status == 404
    assert dav("PUT", "/none/x", b"", agent).status == 409


class _Slow(ModelTree):
    """A tree whose copies take until told."""

    def __init__(self) -> None:
        super().__init__()
        self.copying = threading.Event()
        self.go_on = threading.Event()

    def copy(
        self,
        src: Path,
        dst: Path,
        *,
        overwrite: bool,
        recursive: bool = True,
        guard: Guard = no_guard,
    ) -> bool:
        self.copying.set()
        assert self.go_on.wait(20)
        return super().copy(src, dst, overwrite=overwrite, recursive=recursive, guard=guard)


def test_a_long_copy_goes_on_though_its_client_has_gone(locks: Locks) -> None:
    tree = _Slow()
    with running(tree, locks) as server:
        dav = server.client()
        dav("PUT", "/a", b"x")
        with dav.raw() as raw:
            raw.send("COPY", "/a", f"Destination: {dav.url('/b')}")
            assert tree.copying.wait(10)
        tree.go_on.set()
        until(lambda: dav("GET", "/b").status == 200)
        assert dav("GET", "/b").body == b"x"
