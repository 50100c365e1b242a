"""What the log is told of a store's calls."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from itertools import count
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from bridge.store.api import NotFound, Unavailable, UploadBroken
from bridge.store.logged import SLOW, LoggedStore
from bridge.store.memory import MemoryStore
from tests.store.faulty import FAILED, FaultyStore, Script
from tests.store.objects import keys, read, write

Lines = list[MutableMapping[str, Any]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    structlog.reset_defaults()
    with capture_logs() as told:
        yield told


def _store(*, calls: bool, step: float = 0.001) -> LoggedStore:
    """A store of which each call takes ``step`` seconds."""
    ticks = count()
    return LoggedStore(MemoryStore(), calls=calls, clock=lambda: next(ticks) * step)


def test_each_call_has_a_line_with_its_object_its_time_and_its_end(lines: Lines) -> None:
    store = _store(calls=True)
    write(store, "d/k", b"content")
    assert keys(store.list("d/")) == ["d/k"]
    with pytest.raises(NotFound) as raised:
        store.stat("missing")
    call = {"event": "store call", "log_level": "debug"}
    assert lines == [
        call | {"operation": "put", "object": "d/k", "code": "ok", "milliseconds": 1.0},
        call
        | {"operation": "commit", "object": "d/k", "code": "ok", "milliseconds": 2.0, "bytes": 7},
        call | {"operation": "list", "object": "d/", "code": "ok", "milliseconds": 1.0},
        call
        | {"operation": "stat", "object": "missing", "code": "NotFound", "milliseconds": 1.0}
        | {"reason": str(raised.value)},
    ]


def test_a_transfer_has_one_line_for_all_its_blocks(lines: Lines) -> None:
    store = _store(calls=True)
    upload = store.put("k")
    for _ in range(10):
        upload.write(b"x" * 1_000)
    upload.commit({})
    upload.abort()
    assert len(read(store, "k", 500)) == 9_500
    upload_id = store.create_multipart("m")
    part = store.put_part("m", upload_id, 1)
    part.write(b"x" * 50)
    part.commit("etag")
    told = [(line["operation"], line.get("bytes")) for line in lines]
    assert told == [
        ("put", None),
        ("commit", 10_000),
        ("get", None),
        ("read", 9_500),
        ("create_multipart", None),
        ("put_part", None),
        ("commit_part", 50),
    ]
    assert lines[1]["milliseconds"] == 11.0


def test_an_upload_thrown_away_is_told_once_and_is_no_failure(lines: Lines) -> None:
    store = _store(calls=True)
    upload = store.put("k")
    upload.write(b"x" * 30)
    upload.abort()
    upload.abort()
    with pytest.raises(UploadBroken):
        upload.write(b"more")
    told = [(line["operation"], line["code"], line["log_level"]) for line in lines]
    assert told == [
        ("put", "ok", "debug"),
        ("abort", "ok", "debug"),
        ("write", "UploadBroken", "debug"),
    ]
    assert lines[1]["bytes"] == 30


def test_above_debug_only_failures_and_long_calls_are_told_and_no_key(lines: Lines) -> None:
    quick = _store(calls=False)
    write(quick, "secret plan", b"content")
    with pytest.raises(NotFound):
        quick.stat("missing")
    assert lines == []
    _store(calls=False, step=SLOW).delete("secret plan")
    failing = FaultyStore(MemoryStore(), Script(stat=[FAILED]))
    with pytest.raises(Unavailable):
        LoggedStore(failing, calls=False).stat("secret plan")
    assert [(line["log_level"], line["event"], line["operation"]) for line in lines] == [
        ("info", "a store call took long", "delete"),
        ("warning", "a store call failed", "stat"),
    ]
    assert lines[0]["milliseconds"] == 1000 * SLOW
    assert lines[1]["code"] == "Unavailable"
    assert "secret plan" not in str(lines)
