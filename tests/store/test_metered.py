"""The metering wrapper: every call, its time, its error, its bytes."""

from __future__ import annotations

from itertools import count

import pytest

from bridge.store.api import NotFound
from bridge.store.memory import MemoryStore
from bridge.store.metered import MeteredStore
from tests.store.objects import keys, read, write


class Notebook:
    """A meter that writes everything down."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, float, str]] = []
        self.sent = 0
        self.received = 0

    def store_call(self, operation: str, seconds: float, error: str) -> None:
        self.calls.append((operation, seconds, error))

    def store_bytes(self, sent: int, received: int) -> None:
        self.sent += sent
        self.received += received


def test_each_call_is_told_with_its_time_and_its_error() -> None:
    notebook = Notebook()
    ticks = count()
    store = MeteredStore(MemoryStore(), notebook, clock=lambda: float(next(ticks)))
    write(store, "d/k", b"content")
    assert keys(store.list("d/")) == ["d/k"]
    with pytest.raises(NotFound):
        store.stat("missing")
    assert notebook.calls == [
        ("put", 1.0, ""),
        ("write", 1.0, ""),
        ("commit", 1.0, ""),
        ("list", 1.0, ""),
        ("stat", 1.0, "NotFound"),
    ]


def test_the_bytes_of_objects_and_parts_are_counted_both_ways() -> None:
    notebook = Notebook()
    store = MeteredStore(MemoryStore(), notebook)
    write(store, "k", b"x" * 1000)
    assert len(read(store, "k", 100)) == 900
    upload_id = store.create_multipart("m")
    part = store.put_part("m", upload_id, 1)
    part.write(b"y" * 50)
    part.commit("etag")
    assert (notebook.sent, notebook.received) == (1050, 900)
