"""What is SQLite's own: its file, who may read it, what damage does to it, its disk."""

from __future__ import annotations

import itertools
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.state.api import LeaseName, Lock, Locks, StateError, StateFull, StateUnavailable, Touch
from bridge.state.database import open_state
from tests.state.conftest import fill, mounted_disk

A = b"a" * 16
ONE = LeaseName(A, b"one")


def test_a_new_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        with open_state(tmp_path / "state.db") as state:
            state.probe()
            modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
    finally:
        os.umask(mask)
    assert set(modes.values()) == {0o600}
    assert {"state.db", "state.db-wal"} <= set(modes)


@pytest.mark.parametrize("content", [b"not a database\n" * 500, os.urandom(8192), b"x"])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(StateError, match="not a state database"):
        open_state(path)
    assert path.read_bytes() == content


def test_a_damaged_database_is_an_error_in_words(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    open_state(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + os.urandom(len(whole) - 100))
    with pytest.raises(StateError, match=r"state\.db|did not answer"):
        open_state(path)


def test_some_other_programs_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    for statement in ("CREATE TABLE people (name)", "CREATE TABLE meta (key, value)"):
        with sqlite3.connect(path) as connection:
            connection.execute(statement)
        connection.close()
        content = path.read_bytes()
        with pytest.raises(StateError, match="some other program"):
            open_state(path)
        assert path.read_bytes() == content


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(StateUnavailable, match="missing"):
        open_state(tmp_path / "missing" / "state.db")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB: too small for a reserve."""
    with mounted_disk(tmp_path / "small", 1 << 20) as folder:
        yield folder


def lock_without_end(locks: Locks) -> None:
    for number in itertools.count():
        locks.add(Lock(str(number), f"/{number}", True, True, "x" * 500, "", 60, 0.0))


def test_a_full_disk_is_an_error_in_words_and_all_is_well_once_there_is_room(
    small_disk: Path,
) -> None:
    with open_state(small_disk / "state.db") as state:
        tree, locks = state.tree("v"), state.locks("tenant")
        held = Lock("kept", "/kept", True, True, "", "anna", 600, 0.0)
        locks.add(held)
        before = tree.read([A])[0].generation
        lease = tree.acquire([ONE], [Touch(A, links=False)], wait=0)
        ballast = small_disk / "ballast"
        fill(ballast)
        with pytest.raises(StateFull, match="full"):
            lock_without_end(locks)
        assert locks.get("kept") is not None
        lease.release()
        ballast.unlink()
        state.beat()
        state.probe()
        assert tree.read([A])[0].generation == before + 1
        assert locks.remove("kept")


def test_a_closed_state_leaves_no_thread_and_no_open_file(tmp_path: Path) -> None:
    def descriptors() -> list[str]:
        found = []
        for number in os.listdir("/proc/self/fd"):  # noqa: PTH208
            try:
                found.append(os.readlink(f"/proc/self/fd/{number}"))  # noqa: PTH115
            except FileNotFoundError:
                continue
        return [each for each in found if each.startswith(str(tmp_path))]

    state = open_state(tmp_path / "state.db")
    state.tree("v").acquire([ONE], [], wait=0)
    state.tree("v").read([A])
    assert descriptors()
    state.close()
    assert descriptors() == []
    assert not (tmp_path / "state.db-wal").exists()
    assert not [each for each in threading.enumerate() if each.name == "lease-heartbeat"]
