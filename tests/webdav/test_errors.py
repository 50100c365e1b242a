"""What goes wrong, as statuses: for everybody, and for the one client that needs others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.files import errors as files
from bridge.files.api import Entry, Guard, no_guard
from bridge.files.path import Path
from bridge.state import api as state
from bridge.state.api import Locks
from bridge.webdav.deviations import content_type_for, status_for
from bridge.webdav.errors import refused_by
from tests.files.model_tree import ModelTree
from tests.webdav.server import Running, running

NEXTCLOUD = ("sabre-dav/4.7.0 (http://sabre.io/)", "Nextcloud Server Crawler")
HARMLESS = {401, 403, 405, 423}


@pytest.mark.parametrize(
    "kind",
    [
        *files.FileError.__subclasses__(),
        state.StateUnavailable,
        state.LeaseBusy,
        state.LeaseLost,
    ],
    ids=lambda kind: kind.__name__,
)
def test_every_error_of_the_layers_below_has_a_status(kind: type[Exception]) -> None:
    refused = refused_by(kind("what happened"))
    assert refused is not None
    assert 400 <= refused.status < 600
    assert (refused.message == "what happened") == (kind is not state.StateUnavailable)
    assert (refused.headers.get("Retry-After") is not None) == (refused.status == 503)


@pytest.mark.parametrize("kind", [state.StateUnavailable, state.StateFull])
def test_nobody_is_told_where_the_state_database_is(kind: type[Exception]) -> None:
    refused = refused_by(kind("PostgreSQL bridge at db.internal cannot be reached"))
    assert refused is not None
    assert "db.internal" not in refused.message
    assert refused.message.startswith("the state database")


@pytest.mark.parametrize("agent", NEXTCLOUD)
@pytest.mark.parametrize("method", ["PROPFIND", "MKCOL", "COPY", "MOVE", "DELETE", "PROPPATCH"])
@pytest.mark.parametrize("status", [400, 404, 409, 412, 413, 414, 500, 502, 507])
def test_no_refusal_takes_nextclouds_mount_offline(agent: str, method: str, status: int) -> None:
    sent = status_for(agent, method, status)
    if status == 404 and method in ("PROPFIND", "DELETE"):
        assert sent == 404
    else:
        assert sent in HARMLESS
    assert status_for("curl/8", method, status) == status
    for other in ("GET", "PUT"):
        assert status_for(agent, other, status) == status


def test_a_store_out_of_reach_is_told_to_nextcloud_as_it_is() -> None:
    assert status_for(NEXTCLOUD[0], "MOVE", 503) == 503
    assert status_for(NEXTCLOUD[0], "MOVE", 503, busy=True) == 423


@pytest.mark.parametrize(
    ("agent", "content_type", "sent"),
    [
        ("Guzzle/5.3.1 curl/7.64.0 PHP/7.1", "text/xml", "application/octet-stream"),
        ("Guzzle/5.3.1 curl/7.64.0 PHP/7.1", "image/svg+xml", "application/octet-stream"),
        ("Guzzle/5.3.1 curl/7.64.0 PHP/7.1", "text/plain", "text/plain"),
        ("GuzzleHttp/7", "text/xml", "text/xml"),
    ],
)
def test_pydio_gets_no_xml_type_with_a_file(agent: str, content_type: str, sent: str) -> None:
    assert content_type_for(agent, content_type) == sent


class _Crowded(ModelTree):
    """A tree where somebody else works on every name, and no room is left."""

    error: files.FileError = files.Busy("somebody else works on it")

    def mkdir(self, path: Path, guard: Guard = no_guard) -> Entry:
        raise self.error


@pytest.fixture
def crowded(locks: Locks) -> Iterator[tuple[_Crowded, Running]]:
    tree = _Crowded()
    with running(tree, locks) as server:
        yield tree, server


def test_a_busy_name_and_a_full_store_are_told_to_each_in_his_way(
    crowded: tuple[_Crowded, Running],
) -> None:
    tree, server = crowded
    dav = server.client()
    busy = dav("MKCOL", "/a")
    assert (busy.status, busy.header("Retry-After")) == (503, "10")
    assert dav("MKCOL", "/a", None, {"User-Agent": NEXTCLOUD[0]}).status == 423
    tree.error = files.StorageFull("no room")
    assert dav("MKCOL", "/a").status == 507
    assert dav("MKCOL", "/a", None, {"User-Agent": NEXTCLOUD[0]}).status == 403
