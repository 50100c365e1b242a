"""A metadata update races a move and a copy of the same object, with nothing to keep them apart.

On Storj a move, and a copy, takes two requests. An update between them leaves metadata that nobody
can decrypt, since the second brings the key of the metadata that the first met. The tree keeps
them apart by leases; what a store owes where these fail is shown here: nothing vanishes, content
stays, and what is damaged says so and can be described anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from bridge.store.api import ObjectInfo, StoreError
from bridge.store.storj.store import StorjStore
from tests.network.client import Network
from tests.network.values import Project
from tests.store.objects import race, read, write
from tests.store.storj.opening import open_bucket

OLD, NEW = {"r": "old" * 100}, {"r": "new" * 200}
CONTENTS = (b"inline", b"on the nodes" * 1_000)

WIDENED = 5.0
"""Milliseconds added each way: the requests of two calls that begin at once then alternate."""


@pytest.fixture
def store(network: Network, storj_project: Project) -> Iterator[StorjStore]:
    opened = open_bucket(network, storj_project)
    yield opened
    opened.close()


def _listed(store: StorjStore) -> dict[str, ObjectInfo]:
    return {info.key: info for info in store.list("d/")}


def _check(store: StorjStore, wanted: set[str], content: bytes) -> int:
    """Everything is listed, and read; returns how many are damaged, after describing them anew."""
    listed = _listed(store)
    assert set(listed) == wanted
    damaged = 0
    for key, info in listed.items():
        assert read(store, key) == content
        now = store.stat(key)
        assert (now.version, now.metadata) == (info.version, info.metadata)
        if info.metadata is None:
            damaged += 1
            store.set_metadata(key, NEW, info.version)
            assert store.stat(key).metadata == NEW
        else:
            assert info.metadata in (OLD, NEW)
    assert {key for key, info in _listed(store).items() if info.metadata is None} == set()
    return damaged


def _at_once(jobs: Sequence[Callable[[], object]]) -> list[object]:
    return race(len(jobs), lambda number: jobs[number]())


def _races(store: StorjStore, rounds: int, *changes: str) -> Counter[str]:
    """The update and ``changes``, all of one object, at once; how each ended."""
    told = Counter[str]()
    for number in range(rounds):
        content = CONTENTS[number % 2]
        version = write(store, "d/a", content, OLD).version
        update = partial(store.set_metadata, "d/a", NEW, version)
        jobs = [update, *(partial(getattr(store, name), "d/a", f"d/{name}") for name in changes)]
        answers = dict(zip(("update", *changes), _at_once(jobs), strict=True))
        ended = {
            name: type(answer).__name__ if isinstance(answer, StoreError) else "done"
            for name, answer in answers.items()
        }
        told.update(f"{name}: {how}" for name, how in ended.items())
        assert ended["update"] in ("done", "Changed", "NotFound"), answers
        assert ended.get("move", "done") == "done", answers
        # A copy that begins while a move ends may meet keys of both places: it changes nothing.
        assert ended.get("copy", "done") in ("done", "NotFound", "Damaged"), answers
        wanted = {"d/move" if "move" in changes else "d/a"}
        if ended.get("copy") == "done":
            wanted.add("d/copy")
        told["damaged"] += _check(store, wanted, content)
        store.delete_many(["d/a", "d/move", "d/copy"])
    print(f"\n{' and '.join(changes)}, {rounds} rounds: {dict(sorted(told.items()))}")
    return told


ROUNDS = [20, pytest.param(1_000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("changes", [("move",), ("copy",), ("move", "copy")], ids=" and ".join)
def test_an_update_that_races_them_loses_no_object_and_no_content(
    store: StorjStore, changes: tuple[str, ...], rounds: int
) -> None:
    _races(store, rounds, *changes)


@pytest.mark.parametrize("change", ["move", "copy"])
def test_what_such_a_race_damages_is_told_and_can_be_described_anew(
    network: Network, store: StorjStore, change: str
) -> None:
    network.delay(WIDENED, "satellite")
    for _ in range(20):
        if _races(store, 10, change)["damaged"]:
            return
    pytest.fail("nothing was damaged: does the satellite keep them apart by now?")
