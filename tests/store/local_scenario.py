"""Every operation of a local store once or twice, step by step, and what each must leave.

Run as a program (``python -m tests.store.local_scenario ROOT``) it prints the changing system
calls it recorded, for comparison with what strace saw.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bridge.store.api import ObjectStore
from bridge.store.local import LocalStore
from tests.store.objects import put_part, read, write
from tests.store.power_cut import Mark, TracingDisk

Value = tuple[object, ...]
Stored = Mapping[str, Value]
"""By key: an object's content and metadata; by ``upload <key>``: the parts of one."""


@dataclass(frozen=True)
class Step:
    """One operation: what it does to a store, and to what is stored.

    ``atomic``: a cut leaves the whole state before or the whole state after; otherwise each
    key by itself. ``moves``: without atomic renames, a
    cut during it may leave its keys at both places or none.
    """

    name: str
    run: Callable[[ObjectStore, dict[str, str]], object]
    sets: Stored = field(default_factory=dict)
    removes: tuple[str, ...] = ()
    atomic: bool = True
    moves: bool = False

    def after(self, before: Stored) -> Stored:
        """What is stored when it has been done."""
        left = {key: value for key, value in before.items() if key not in self.removes}
        return {**left, **self.sets}


BIG = bytes(range(256)) * 40
LONG = "A" * 700 + "/" + "b" * 300


def _set(key: str, metadata: dict[str, str]) -> Callable[[ObjectStore, dict[str, str]], object]:
    return lambda store, _ids: store.set_metadata(key, metadata, store.stat(key).version)


def _put(key: str, content: bytes, metadata: dict[str, str], *, if_absent: bool = False) -> Step:
    return Step(
        f"put {key[:20]}",
        lambda store, _ids: write(store, key, content, metadata, if_absent=if_absent),
        sets={key: (content, metadata)},
    )


def _move(src: str, dst: str, value: Value) -> Step:
    return Step(
        f"move {src[:20]} to {dst[:20]}",
        lambda store, _ids: store.move(src, dst),
        sets={dst: value},
        removes=(src,),
        moves=True,
    )


def _abort(store: ObjectStore, _ids: dict[str, str]) -> None:
    upload = store.put("aborted/x")
    upload.write(BIG)
    upload.abort()


def _create(store: ObjectStore, ids: dict[str, str]) -> None:
    ids["m/k"] = store.create_multipart("m/k")


def _part(number: int, content: bytes, etag: str, parts: Value) -> Step:
    return Step(
        f"part {number}",
        lambda store, ids: put_part(store, "m/k", ids["m/k"], number, content, etag),
        sets={"upload m/k": parts},
    )


STEPS: list[Step] = [
    _put("a/b/c", b"first", {"n": "1"}),
    _put("a/b/c", BIG, {"n": "2"}),
    _put("a/b", b"", {}),
    _put("a/b", b"not empty any more", {"m": "x" * 1500}),
    _put(LONG, b"long", {"n": "long"}),
    _put("new/one", b"absent before", {"n": "3"}, if_absent=True),
    Step("set a", _set("a/b/c", {"n": "4"}), sets={"a/b/c": (BIG, {"n": "4"})}),
    Step("set b", _set("a/b/c", {"n": "5"}), sets={"a/b/c": (BIG, {"n": "5"})}),
    Step("set c", _set("a/b/c", {"n": "y" * 1900}), sets={"a/b/c": (BIG, {"n": "y" * 1900})}),
    Step(
        "copy",
        lambda store, _ids: store.copy("a/b/c", "copies/one"),
        sets={"copies/one": (BIG, {"n": "y" * 1900})},
    ),
    Step(
        "copy over",
        lambda store, _ids: store.copy("new/one", "copies/one"),
        sets={"copies/one": (b"absent before", {"n": "3"})},
    ),
    Step(
        "copy if absent",
        lambda store, _ids: store.copy(LONG, "copies/two", if_absent=True),
        sets={"copies/two": (b"long", {"n": "long"})},
    ),
    _move("new/one", "else/where", (b"absent before", {"n": "3"})),
    _move("else/where", "else/here", (b"absent before", {"n": "3"})),
    _move("else/here", "a/b", (b"absent before", {"n": "3"})),
    _move(LONG, "short", (b"long", {"n": "long"})),
    Step("abort", _abort),
    _put("new/one", b"again in a folder that was removed", {}),
    Step("delete", lambda store, _ids: store.delete("new/one"), removes=("new/one",)),
    Step("create multipart", _create, sets={"upload m/k": ()}),
    _part(2, b"two", "e2", ((2, 3, "e2"),)),
    _part(1, BIG, "e1", ((1, len(BIG), "e1"), (2, 3, "e2"))),
    _part(2, b"two again", "e3", ((1, len(BIG), "e1"), (2, 9, "e3"))),
    Step(
        "complete",
        lambda store, ids: store.complete_multipart("m/k", ids["m/k"], {"n": "m"}),
        sets={"m/k": (BIG + b"two again", {"n": "m"})},
        removes=("upload m/k",),
        atomic=False,
    ),
    Step("create another", _create, sets={"upload m/k": ()}),
    _part(7, b"seven", "e7", ((7, 5, "e7"),)),
    Step(
        "abort multipart",
        lambda store, ids: store.abort_multipart("m/k", ids["m/k"]),
        removes=("upload m/k",),
    ),
    Step(
        "delete many",
        lambda store, _ids: store.delete_many(["a/b/c", "copies/one", "copies/two", "missing"]),
        removes=("a/b/c", "copies/one", "copies/two"),
        atomic=False,
    ),
]


def states() -> Iterator[Stored]:
    """What is stored before the first step, after it, after the second, …"""
    stored: Stored = {}
    yield stored
    for step in STEPS:
        stored = step.after(stored)
        yield stored


def look(store: ObjectStore) -> Stored:
    """All that is stored, read back; a damaged object has the metadata None."""
    found: dict[str, Value] = {}
    for info in store.list("", recursive=True):
        content = read(store, info.key) if info.metadata is not None else b""
        found[info.key] = (content, None if info.metadata is None else dict(info.metadata))
    for upload in store.list_multiparts(""):
        parts = store.list_parts(upload.key, upload.upload_id)
        found[f"upload {upload.key}"] = tuple((p.number, p.size, p.etag) for p in parts)
    return found


def trace(disk_root: Path) -> TracingDisk:
    """Run all steps in ``disk_root / "store"``, recorded."""
    disk = TracingDisk(disk_root)
    store = LocalStore(disk_root / "store", disk=disk)
    ids: dict[str, str] = {}
    disk.mark(0)
    for number, (step, expected) in enumerate(zip(STEPS, list(states())[1:], strict=True), 1):
        step.run(store, ids)
        disk.mark(number)
        assert look(store) == expected, step.name
    store.close()
    return disk


if __name__ == "__main__":
    kinds = [event.kind for event in trace(Path(sys.argv[1])).events if not isinstance(event, Mark)]
    json.dump([kind for kind in kinds if kind != "entry"], sys.stdout)
