"""The reserve, which is SQLite's own: on a disk full to the last byte what is small goes on."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.state import sqlite
from bridge.state.api import LeaseName, Touch
from bridge.state.database import DatabaseState, open_state
from bridge.state.reserve import LOW, SIZE
from tests.state.conftest import fill, mounted_disk

CHANGES = 2 * sqlite.CHECKPOINT_PAGES
"""Each writes some pages, so that the log begins anew several times."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB."""
    with mounted_disk(tmp_path / "disk", 48 << 20) as folder:
        yield folder


def change(state: DatabaseState, first: int, count: int = CHANGES) -> None:
    """Changes of as many directories, none of them seen before."""
    tree = state.tree("v")
    for number in range(first, first + count):
        directory = number.to_bytes(16, "big")
        with tree.acquire(
            [LeaseName(directory, b"name")], [Touch(directory, links=True)], wait=5
        ) as lease:
            assert lease.finish()


def free_pages(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        return int(connection.execute("PRAGMA freelist_count").fetchone()[0])


def test_a_full_disk_stops_no_small_change_not_even_after_a_restart(disk: Path) -> None:
    path, ballast = disk / "state.db", disk / "ballast"
    with open_state(path) as state:
        fill(ballast)
        assert shutil.disk_usage(disk).free == 0
        change(state, 0)
        state.probe()
    # What closing made room for is taken again before anybody else can have it.
    with open_state(path) as state:
        fill(ballast)
        assert shutil.disk_usage(disk).free == 0
        change(state, CHANGES)
        read = state.tree("v").read([number.to_bytes(16, "big") for number in range(2 * CHANGES)])
        assert len({each.generation for each in read}) > 1


def test_the_reserve_is_small_and_is_not_made_twice(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    for _ in range(3):
        with open_state(path) as state, open_state(path) as beside:
            state.beat()
            beside.beat()
            sizes = [each.stat().st_size for each in tmp_path.iterdir()]
            assert 2 * SIZE <= sum(sizes) < 3 * SIZE
        assert SIZE <= path.stat().st_size < 2 * SIZE


def test_what_was_used_of_the_reserve_is_made_up_for(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with open_state(path) as state:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE growing AS SELECT zeroblob(?)", (SIZE - LOW // 2,))
        connection.close()
        assert free_pages(path) * 4096 < LOW
        state.beat()
        assert free_pages(path) * 4096 >= SIZE - 4096


def test_a_reserve_that_cannot_be_made_stops_nothing(disk: Path) -> None:
    ballast = disk / "ballast"
    fill(ballast)
    with ballast.open("r+b") as file:
        file.truncate(ballast.stat().st_size - SIZE)
    with open_state(disk / "state.db") as state:
        change(state, 0, 10)
        assert shutil.disk_usage(disk).free > SIZE // 2
        ballast.unlink()
        state.beat()
    assert (disk / "state.db").stat().st_size > SIZE


def test_a_disk_too_small_for_a_reserve_is_left_to_its_files(tmp_path: Path) -> None:
    with (
        mounted_disk(tmp_path / "small", 8 << 20) as small,
        open_state(small / "state.db") as state,
    ):
        state.beat()
        assert shutil.disk_usage(small).used < SIZE // 4


def test_another_writer_puts_the_reserve_off_and_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with open_state(path, busy=0.05) as state:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE growing AS SELECT zeroblob(?)", (SIZE,))
        connection.execute("BEGIN IMMEDIATE")
        state.beat()
        connection.execute("ROLLBACK")
        connection.close()
        assert free_pages(path) * 4096 < LOW
        state.beat()
        assert free_pages(path) * 4096 >= LOW
