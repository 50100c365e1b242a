"""What clients are told of a lock's time comes from the database's clock, never from our own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path as FilePath

import pytest

from bridge.state.database import DatabaseState, open_state
from tests.files.model_tree import ModelTree
from tests.postgres import new_schema
from tests.webdav.client import Client
from tests.webdav.server import running
from tests.webdav.test_locks import info

WRONG = [-86_400, 86_400]
"""Seconds by which the clocks differ."""


@pytest.fixture(params=WRONG)
def wrong(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=["sqlite", "postgresql"])
def elsewhere(
    request: pytest.FixtureRequest, tmp_path: FilePath, wrong: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DatabaseState]:
    """A state whose clock is not that of this process."""
    own = time.time
    if request.param == "sqlite":  # its clock is this machine's: it is given another one
        state = open_state(tmp_path / "state.db", clock=lambda: own() - wrong)
    else:  # its clock is the server's: this machine is given another one
        state = open_state(new_schema(request.getfixturevalue("postgresql")))
        monkeypatch.setattr(time, "time", lambda: own() + wrong)
    with state:
        yield state


def seconds(told: str | None) -> int:
    return int((told or "").removeprefix("Second-"))


def shown(dav: Client) -> list[int]:
    """What PROPFIND tells of the locks on /f."""
    locks = dav("PROPFIND", "/f", Depth="0").props()["{DAV:}lockdiscovery"]
    return [seconds(lock.findtext("{DAV:}timeout")) for lock in locks]


def test_a_lock_has_its_time_whatever_our_clock_says(
    elsewhere: DatabaseState, model: ModelTree
) -> None:
    with running(model, elsewhere.locks(f"tenant {time.time()}")) as server:
        dav, bob = server.client(), server.client("bob")
        dav("PUT", "/f", b"content")
        reply = dav("LOCK", "/f", info(), Depth="0", Timeout="Second-600")
        assert b"Second-600<" in reply.body
        token = (reply.header("Lock-Token") or "").strip("<>")
        (left,) = shown(dav)
        assert 540 < left <= 600
        assert bob("PUT", "/f", b"other").status == 423
        refreshed = dav("LOCK", "/f", None, If=f"(<{token}>)", Timeout="Second-1200")
        assert b"Second-1200<" in refreshed.body
        (left,) = shown(dav)
        assert 1140 < left <= 1200
        assert dav("UNLOCK", "/f", None, Lock_Token=f"<{token}>").status == 204
