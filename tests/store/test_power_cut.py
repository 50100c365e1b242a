"""What the local store has acknowledged survives a power cut, and nothing is ever half there.

``power_cut`` states the model of the disk, ``local_scenario`` what is done.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bridge.store.local import LocalStore
from tests.store.local_scenario import STEPS, Stored, look, states, trace
from tests.store.objects import read, write
from tests.store.power_cut import CarelessDisk, Cut, Event, cuts, sites, without
from tests.tools import require_tool


@pytest.fixture(scope="module")
def events() -> Iterator[Sequence[Event]]:
    with tempfile.TemporaryDirectory() as folder:
        yield trace(Path(folder)).events


@pytest.fixture
def places() -> Iterator[Iterator[Path]]:
    """Fresh paths, in memory where the machine has such a file system."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:

        def fresh() -> Iterator[Path]:
            number = 0
            while True:
                path = Path(folder) / str(number)
                yield path
                shutil.rmtree(path, ignore_errors=True)
                number += 1

        yield fresh()


EXPECTED = list(states())


def violation(cut: Cut, place: Path, *, split: bool = False) -> str | None:
    """What is wrong with the store on a state that a power cut left, or None."""
    cut.root.build(place)
    store = LocalStore(place / "store", disk=CarelessDisk())
    try:
        found = look(store)
        before = EXPECTED[cut.acknowledged]
        step = STEPS[cut.acknowledged] if cut.acknowledged < len(STEPS) else None
        after = step.after(before) if step else before
        wrong = _difference(found, before, after, atomic=step is None or step.atomic)
        if wrong and split and step is not None and step.moves:
            touched = {*step.sets, *step.removes}
            wrong = _difference(
                {key: value for key, value in found.items() if key not in touched},
                {key: value for key, value in before.items() if key not in touched},
                {key: value for key, value in after.items() if key not in touched},
                atomic=True,
            )
        if wrong:
            return (
                f"after {cut.acknowledged} steps, during {step.name if step else 'none'}: {wrong}"
            )
        write(store, "a/b/after the cut", b"content")
        if read(store, "a/b/after the cut") != b"content":
            return "it cannot be written to"
        store.delete("a/b/after the cut")
        # Of the temporary files only this store's own folder, empty, is left.
        left = [str(path) for path in (place / "store" / "tmp").rglob("*")]
        return f"left behind: {left}" if len(left) != 1 else None
    finally:
        store.close()


def _difference(found: Stored, before: Stored, after: Stored, *, atomic: bool) -> str | None:
    if found in (before, after):
        return None
    if not atomic:
        keys = {*found, *before, *after}
        if all(found.get(key) in (before.get(key), after.get(key)) for key in keys):
            return None
    wrong = [key for key in {*found, *before} if found.get(key) != before.get(key)]
    return ", ".join(f"{key[:30]}: {str(found.get(key))[:60]}" for key in sorted(wrong))


def first_violation(
    events: Sequence[Event],
    places: Iterator[Path],
    samples: int,
    *,
    split: bool = False,
    start: int = 0,
) -> tuple[int, str | None]:
    """How many states were tried, and what was wrong with the last of them."""
    tried = 0
    for cut in cuts(events, random.Random(11), samples, split=split, start=start):
        tried += 1
        wrong = violation(cut, next(places), split=split)
        if wrong:
            return tried, wrong
    return tried, None


def test_every_state_a_power_cut_can_leave_holds_what_was_acknowledged(
    events: Sequence[Event], places: Iterator[Path]
) -> None:
    tried, wrong = first_violation(events, places, samples=8)
    assert wrong is None
    assert tried > 1000


def test_what_was_acknowledged_holds_also_where_renames_are_not_atomic(
    events: Sequence[Event], places: Iterator[Path]
) -> None:
    tried, wrong = first_violation(events, places, samples=2, split=True)
    assert wrong is None
    assert tried > 1000


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_many_more_states_hold_it_too(events: Sequence[Event], places: Iterator[Path]) -> None:
    for split in (False, True):
        tried, wrong = first_violation(events, places, samples=500, split=split)
        assert wrong is None
        assert tried > 4_000


def test_a_power_cut_shows_when_any_one_sync_is_left_out(
    events: Sequence[Event], places: Iterator[Path]
) -> None:
    found = {}
    for site in sites(events):
        careless, start = without(events, site)
        # In the weaker model, because a journal makes some syncs redundant.
        found[site] = first_violation(careless, places, samples=2, split=True, start=start)[1]
    assert len(found) >= 8
    assert [site for site, wrong in found.items() if wrong is None] == []


CALLS = {
    "openat": "create",
    "open": "create",
    "mkdir": "mkdir",
    "mkdirat": "mkdir",
    "pwrite64": "write",
    "copy_file_range": "copy",
    "fsync": "sync",
    "fdatasync": "sync_data",
    "rename": "rename",
    "renameat": "rename",
    "renameat2": "rename",
    "link": "link",
    "linkat": "link",
    "unlink": "unlink",
    "unlinkat": "unlink",
    "rmdir": "rmdir",
}
OTHERS = [
    "write", "writev", "pwritev", "pwritev2", "truncate", "ftruncate", "fallocate", "sendfile",
    "splice", "symlink", "symlinkat", "creat", "mknod", "mknodat", "sync", "syncfs",
    "sync_file_range", "msync",
]  # fmt: skip


def test_no_change_of_the_disk_escapes_the_record(tmp_path: Path) -> None:
    strace = require_tool("strace")
    log = tmp_path / "log"
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        [
            *[strace, "-f", "-y", "-s", "4", "-o", str(log)],
            *["-e", "trace=" + ",".join([*CALLS, *OTHERS])],
            *[sys.executable, "-B", "-m", "tests.store.local_scenario", str(folder)],
        ],
        check=True,
        capture_output=True,
        timeout=100,
    )
    seen = []
    for line in log.read_text().splitlines():
        match = re.match(r"\d+ +(\w+)\((.*)= (-?\d+)", line)
        if match is None or str(folder) not in line or match[3] == "-1":
            continue
        call = match[1]
        if call in ("openat", "open") and "O_CREAT" not in line:
            continue
        kind = CALLS.get(call, call)
        seen.append("rmdir" if kind == "unlink" and "AT_REMOVEDIR" in line else kind)
    assert seen == json.loads(done.stdout)
    assert len(seen) > 150


def test_a_cut_while_the_store_is_first_opened_leaves_one_that_opens(
    events: Sequence[Event], places: Iterator[Path]
) -> None:
    opening = events[: next(i for i, event in enumerate(events) if event.kind == "mark")]
    tried = 0
    for cut in cuts(opening, random.Random(1), samples=64):
        assert violation(cut, next(places)) is None
        tried += 1
    assert tried > 5
