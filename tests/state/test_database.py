"""Opening, refusing, failing and closing a state database."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from bridge.state.api import LeaseName, StateError, StateNewer, StateUnavailable, Touch
from bridge.state.database import open_state
from bridge.state.schema import VERSION
from tests.postgres import PostgreSQL, new_schema
from tests.state.conftest import Database, until

A = b"a" * 16
ONE = LeaseName(A, b"one")


def test_the_epoch_stays_and_is_new_when_the_database_is_made_anew(
    database: Database, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    first = database.open()
    assert len(first.epoch) == 16
    first.close()
    assert database.open().epoch == first.epoch
    with open_state(tmp_path / "other.db") as other:
        assert other.epoch != first.epoch
    with open_state(new_schema(postgresql)) as other:
        assert other.epoch != first.epoch


def test_a_file_can_be_named_by_a_url_too(tmp_path: Path) -> None:
    with open_state(f"sqlite:///{tmp_path / 'state.db'}") as first:
        assert (tmp_path / "state.db").exists()
    with open_state(tmp_path / "state.db") as again:
        assert again.epoch == first.epoch


def test_directories_survive_a_restart(database: Database) -> None:
    first = database.open()
    with first.tree("v").acquire([ONE], [Touch(A, links=True)], wait=0) as lease:
        states = lease.finish()
    first.close()
    assert database.open().tree("v").read([A]) == [states[A]]


def test_many_open_a_new_database_at_once(database: Database) -> None:
    epochs: list[bytes] = []

    def work() -> None:
        with open_state(database.url) as state:
            epochs.append(state.epoch)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(epochs) == 6
    assert len(set(epochs)) == 1


def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    database.open().close()
    newer = f"{VERSION + 1}".encode().hex()
    value = f"X'{newer}'" if database.is_sqlite else f"'\\x{newer}'"
    database.run(f"UPDATE meta SET value = {value} WHERE key = 'version'")
    with pytest.raises(StateError, match="newer version"):
        database.open()


def test_a_process_notices_that_a_newer_version_has_taken_the_database_over(
    database: Database,
) -> None:
    state = database.open()
    state.probe()
    newer = f"{VERSION + 1}".encode().hex()
    value = f"X'{newer}'" if database.is_sqlite else f"'\\x{newer}'"
    database.run(f"UPDATE meta SET value = {value} WHERE key = 'version'")
    with pytest.raises(StateNewer, match=f"schema {VERSION + 1}, this process knows {VERSION}"):
        state.probe()


def test_some_other_programs_tables_are_refused_and_left_as_they_are(database: Database) -> None:
    for table in ("people (name int)", "meta (key text, value int)"):
        database.run(f"CREATE TABLE {table}", "SELECT 1")
        with pytest.raises(StateError, match="some other program"):
            database.open()
    assert database.run("SELECT * FROM people") == []
    for table in ("directories", "leases", "locks"):
        database.run(f"CREATE TABLE {table} (one int)", "SELECT 1")
    with pytest.raises(StateError, match=r"some other program|did not answer"):
        database.open()


@pytest.mark.parametrize("url", ["mysql://user:hush@host/name", "sqlite://relative", "http://x"])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(StateError, match="give a path") as caught:
        open_state(url)
    assert "hush" not in str(caught.value)


def test_a_writer_that_holds_the_database_is_waited_for_and_then_given_up(
    database: Database,
) -> None:
    state = database.open(busy=0.05)
    tree = state.tree("v")
    tree.read([A])
    with database.blocked():
        with pytest.raises(StateUnavailable):
            tree.acquire([ONE], [], wait=0)
        with pytest.raises(StateUnavailable):
            state.probe()
        assert tree.read([A])
    state.probe()
    tree.acquire([ONE], [], wait=0).release()


def test_a_lease_that_could_not_be_released_is_released_later(database: Database) -> None:
    state = database.open(busy=0.02)
    tree = state.tree("v")
    before = tree.read([A])[0].generation
    lease = tree.acquire([ONE], [Touch(A, links=False)], wait=0)
    with database.blocked():
        with pytest.raises(StateUnavailable):
            lease.finish()
        lease.release()
        assert tree.read([A])[0].changing
    state.beat()
    assert tree.read([A])[0].generation == before + 1
    assert not tree.read([A])[0].changing
    tree.acquire([ONE], [], wait=0).release()


def test_many_threads_that_meet_a_busy_database_all_come_back(database: Database) -> None:
    state = database.open(busy=0.02)
    failed = []

    def work() -> None:
        try:
            state.probe()
        except StateUnavailable as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(12)]
    with database.blocked():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert len(failed) == 12
    state.probe()


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
