"""Opening, refusing, failing and closing a state database."""

from __future__ import annotations

import itertools
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.state.api import (
    LeaseName,
    Lock,
    Locks,
    StateError,
    StateFull,
    StateUnavailable,
    Touch,
)
from bridge.state.database import open_state
from tests.state.conftest import Database, fill, mounted_disk, until

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


def test_the_epoch_stays_and_is_new_when_the_database_is_made_anew(tmp_path: Path) -> None:
    with open_state(tmp_path / "state.db") as first:
        assert len(first.epoch) == 16
    with open_state(f"sqlite:///{tmp_path / 'state.db'}") as again:
        assert again.epoch == first.epoch
    with open_state(tmp_path / "other.db") as other:
        assert other.epoch != first.epoch


def test_directories_survive_a_restart(database: Database) -> None:
    first = database.open()
    with first.tree("v").acquire([ONE], [Touch(A, links=True)], wait=0) as lease:
        states = lease.finish()
    first.close()
    assert database.open().tree("v").read([A]) == [states[A]]


def test_many_open_a_new_database_at_once(tmp_path: Path) -> None:
    epochs: list[bytes] = []

    def work() -> None:
        with open_state(tmp_path / "state.db") as state:
            epochs.append(state.epoch)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(epochs) == 6
    assert len(set(epochs)) == 1


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


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    open_state(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'version'", (b"2",))
    connection.close()
    with pytest.raises(StateError, match="newer version"):
        open_state(path)


@pytest.mark.parametrize("url", ["postgresql://host/name", "sqlite://relative", "http://x"])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(StateError, match="give a path"):
        open_state(url)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(StateUnavailable, match="missing"):
        open_state(tmp_path / "missing" / "state.db")


def test_a_writer_that_holds_the_database_is_waited_for_and_then_given_up(
    database: Database,
) -> None:
    state = database.open(busy=0.05)
    tree = state.tree("v")
    tree.read([A])
    blocker = sqlite3.connect(database.url, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StateUnavailable):
        tree.acquire([ONE], [], wait=0)
    with pytest.raises(StateUnavailable):
        state.probe()
    assert tree.read([A])
    blocker.execute("ROLLBACK")
    blocker.close()
    state.probe()
    tree.acquire([ONE], [], wait=0).release()


def test_a_lease_that_could_not_be_released_is_released_later(database: Database) -> None:
    state = database.open(busy=0.02)
    tree = state.tree("v")
    before = tree.read([A])[0].generation
    lease = tree.acquire([ONE], [Touch(A, links=False)], wait=0)
    blocker = sqlite3.connect(database.url, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StateUnavailable):
        lease.finish()
    lease.release()
    assert tree.read([A])[0].changing
    blocker.execute("ROLLBACK")
    blocker.close()
    state.beat()
    assert tree.read([A])[0].generation == before + 1
    assert not tree.read([A])[0].changing
    tree.acquire([ONE], [], wait=0).release()


def test_many_threads_that_meet_a_busy_database_all_come_back(database: Database) -> None:
    state = database.open(busy=0.02)
    blocker = sqlite3.connect(database.url, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    failed = []

    def work() -> None:
        try:
            state.probe()
        except StateUnavailable as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    blocker.execute("ROLLBACK")
    blocker.close()
    assert len(failed) == 12
    state.probe()


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


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_finds_it_closed_and_the_parent_goes_on(database: Database) -> None:
    state = database.open(real=True)
    tree = state.tree("v")
    lease = tree.acquire([ONE], [Touch(A, links=False)], wait=0)
    child = os.fork()
    if not child:
        code = 1
        try:
            tree.read([A])
        except StateUnavailable:
            with open_state(database.url) as mine:
                code = 0 if mine.tree("v").read([A])[0].changing else 2
        finally:
            os._exit(code)
    ended: dict[int, int] = {}

    def reaped() -> bool:
        pid, status = os.waitpid(child, os.WNOHANG)
        ended[pid] = status
        return pid == child

    until(reaped)
    assert os.waitstatus_to_exitcode(ended[child]) == 0
    assert lease.finish()
