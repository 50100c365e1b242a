"""What only PostgreSQL does to the state: it restarts, hangs, is cut off, has its own clock."""

from __future__ import annotations

import io
import itertools
import json
import logging
import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from pydantic import SecretStr

from bridge.app import open_database
from bridge.settings import Settings, load
from bridge.state.api import (
    LeaseBusy,
    LeaseName,
    Lock,
    Locks,
    StateError,
    StateFull,
    StateUnavailable,
    Touch,
)
from bridge.state.backend import Cursor
from bridge.state.database import DatabaseState, open_state
from bridge.state.postgres import MOST_READERS, PostgresBackend
from bridge.state.server_clock import ServerClock
from bridge.stores import CannotOpen
from bridge.telemetry.logs import configure_logs
from tests.postgres import PostgreSQL, new_schema, running_postgresql
from tests.state.conftest import Database, fill, mounted_disk, until
from tests.state.proxy import Proxy

A = b"a" * 16
ONE = LeaseName(A, b"one")
LIMIT = 60.0
HOUR = 3600.0

spawn = multiprocessing.get_context("spawn")


@pytest.fixture
def server() -> Iterator[PostgreSQL]:
    """One that a test may stop."""
    with running_postgresql() as server:
        yield server


def change(state: DatabaseState, name: bytes = b"one") -> int:
    with state.tree("v").acquire(
        [LeaseName(A, name)], [Touch(A, links=False)], wait=LIMIT
    ) as lease:
        return lease.finish()[A].generation


def generation(state: DatabaseState) -> int:
    return state.tree("v").read([A])[0].generation


def many_readers(state: DatabaseState) -> None:
    """Let the pool be full."""
    state._readers._idle.extend([state._backend.connect() for _ in range(MOST_READERS)])


# What happens to the server


def test_a_restart_between_two_requests_is_noticed_by_nobody(server: PostgreSQL) -> None:
    with open_state(server.url) as state:
        many_readers(state)
        before = change(state)
        server.stop()
        server.start_again()
        with ThreadPoolExecutor(MOST_READERS) as pool:
            assert set(pool.map(lambda _: generation(state), range(50))) == {before}
        assert change(state) == before + 1
        state.probe()


def test_a_server_that_comes_back_in_time_was_only_waited_for(server: PostgreSQL) -> None:
    with open_state(server.url, busy=LIMIT) as state:
        backend = state._backend
        assert isinstance(backend, PostgresBackend)
        before = change(state)
        server.stop()
        with ThreadPoolExecutor(4) as pool:
            reads = [pool.submit(generation, state) for _ in range(2)]
            changed = pool.submit(change, state)
            until(lambda: backend._missing_since < math.inf)
            assert not any(each.done() for each in (*reads, changed))
            server.start_again()
            assert changed.result(LIMIT) == before + 1
            assert {each.result(LIMIT) for each in reads} <= {before, before + 1}


def test_a_server_that_stays_away_is_unavailable_until_it_is_there_again(
    server: PostgreSQL,
) -> None:
    with open_state(server.url, busy=0.2) as state:
        before = change(state)
        server.stop()
        for _ in range(3):
            with pytest.raises(StateUnavailable):
                generation(state)
            with pytest.raises(StateUnavailable):
                state.probe()
            with pytest.raises(StateUnavailable):
                change(state)
        server.start_again()
        assert change(state) == before + 1
        assert generation(state) == before + 1


def test_a_server_that_is_away_is_named_in_the_log(server: PostgreSQL) -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logs(form="json", stream=stream)
    try:
        with open_state(server.url, busy=0.1) as state:
            server.stop()
            with pytest.raises(StateUnavailable):
                state.probe()
            server.start_again()
    finally:
        structlog.reset_defaults()
        logging.captureWarnings(capture=False)
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.getLogger("bridge").setLevel(logging.NOTSET)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    reasons = [line["reason"] for line in lines if "does not answer" in line["event"]]
    assert any("cannot be reached: " in reason for reason in reasons)


def test_restarts_under_load_lose_nothing_that_was_answered(server: PostgreSQL) -> None:
    stop = threading.Event()
    answered: list[int] = []

    def work(number: int) -> None:
        while not stop.is_set():
            try:
                answered.append(change(state, b"%d" % number))
            except StateError:
                stop.wait(0.01)

    with open_state(server.url, busy=2.0) as state, ThreadPoolExecutor(6) as pool:
        workers = [pool.submit(work, number) for number in range(6)]
        for _ in range(3):
            seen = len(answered)
            until(lambda: len(answered) > seen + 50)  # noqa: B023
            server.stop()
            server.start_again()
        seen = len(answered)
        until(lambda: len(answered) > seen + 50)
        stop.set()
        for worker in workers:
            worker.result(LIMIT)
        state.beat()
        assert len(set(answered)) == len(answered)
        assert generation(state) >= max(answered)
        assert not state.tree("v").read([A])[0].changing


def test_a_server_that_hangs_is_unavailable_and_well_when_it_goes_on(server: PostgreSQL) -> None:
    with open_state(server.url, busy=0.3) as state:
        many_readers(state)
        before = change(state)
        server.signal(signal.SIGSTOP)
        try:
            with ThreadPoolExecutor(8) as pool:
                asked = [pool.submit(generation, state) for _ in range(4)]
                asked += [pool.submit(change, state, b"%d" % number) for number in range(4)]
                for each in asked:
                    with pytest.raises(StateUnavailable):
                        each.result(LIMIT)
        finally:
            server.signal(signal.SIGCONT)
        until(lambda: works(state.probe))
        state.beat()
        assert generation(state) >= before
        after = generation(state)
        assert change(state) == after + 1
        assert not state.tree("v").read([A])[0].changing


def works(what: Callable[[], object]) -> bool:
    try:
        what()
    except StateUnavailable:
        return False
    return True


def lock_without_end(locks: Locks) -> None:
    for number in itertools.count():
        locks.add(Lock(str(number), f"/{number}", True, True, "x" * 500, "", 60, 0.0))


def test_a_full_disk_is_said_and_all_is_well_once_there_is_room(
    postgresql: PostgreSQL, tmp_path: Path
) -> None:
    with mounted_disk(tmp_path / "small", 24 << 20) as disk:
        for folder in disk.resolve().parents:
            folder.chmod(folder.stat().st_mode | 0o011)
        place = disk / "space"
        place.mkdir(mode=0o700)
        postgresql.give(place)
        with psycopg.connect(postgresql.url, autocommit=True) as operator:
            operator.execute(f"CREATE TABLESPACE small LOCATION '{place}'".encode())
            operator.execute(b"CREATE DATABASE small TABLESPACE small")
        with open_state(postgresql.url.replace("/postgres?", "/small?")) as state:
            locks = state.locks("tenant")
            locks.add(Lock("kept", "/kept", True, True, "", "anna", 600, 0.0))
            before = change(state)
            ballast = disk / "ballast"
            fill(ballast)
            with pytest.raises(StateFull, match="full"):
                lock_without_end(locks)
            assert locks.get("kept") is not None
            ballast.unlink()
            state.probe()
            assert change(state) == before + 1
            assert locks.remove("kept")
        with psycopg.connect(postgresql.url, autocommit=True) as operator:
            operator.execute(b"DROP DATABASE small WITH (FORCE)")
            operator.execute(b"DROP TABLESPACE small")


# What happens to the way there


def terminate(database: Database) -> None:
    """End all other connections to the server, as an administrator or a firewall may."""
    database.run(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )


def test_connections_that_end_while_idle_are_made_anew(on_postgresql: Database) -> None:
    state = on_postgresql.open(real=True)
    many_readers(state)
    before = change(state)
    terminate(on_postgresql)
    assert change(state) == before + 1
    terminate(on_postgresql)
    assert generation(state) == before + 1


def test_a_connection_that_ends_in_the_middle_of_a_change_takes_it_back(
    on_postgresql: Database,
) -> None:
    state = on_postgresql.open(real=True)
    put = state._statements.put_meta

    def work(cursor: Cursor, _now: float) -> None:
        cursor.execute(put, ("half", b"1"))
        terminate(on_postgresql)
        cursor.execute(put, ("whole", b"1"))

    with pytest.raises(StateUnavailable, match="did not answer"):
        state._writer.run(work)
    assert on_postgresql.run("SELECT key FROM meta WHERE key IN ('half', 'whole')") == []
    state.probe()


def test_a_commit_whose_answer_is_lost_is_told_as_unknown(on_postgresql: Database) -> None:
    with (
        Proxy(socket_of(on_postgresql)) as proxy,
        open_state(proxy.url(on_postgresql.url)) as state,
    ):
        before = change(state)
        proxy.lose_commit = True
        with pytest.raises(StateUnavailable, match="outcome is unknown"):
            state._writer.run(
                lambda cursor, _: (
                    cursor.execute(state._statements.put_meta, ("done", b"1")).rowcount
                )
            )
        assert on_postgresql.run("SELECT key FROM meta WHERE key = 'done'") == [("done",)]
        proxy.lose_commit = True
        with pytest.raises(StateUnavailable):
            change(state)
        state.beat()
        assert not state.tree("v").read([A])[0].changing
        assert change(state) > before


def socket_of(database: Database) -> Path:
    return Path(database.url.split("host=")[1].split("&")[0]) / ".s.PGSQL.5432"


def test_a_way_that_goes_silent_is_unavailable_and_a_new_one_is_found(
    on_postgresql: Database,
) -> None:
    with (
        Proxy(socket_of(on_postgresql)) as proxy,
        open_state(proxy.url(on_postgresql.url), busy=0.3) as state,
    ):
        before = change(state)
        assert generation(state) == before
        proxy.silence()
        with pytest.raises(StateUnavailable, match="said nothing"):
            generation(state)
        with pytest.raises(StateUnavailable):
            change(state)
        assert generation(state) == before
        until(lambda: works(state.probe))
        assert change(state) == before + 1


def test_a_process_that_is_cut_off_in_its_turn_gives_it_up_soon(on_postgresql: Database) -> None:
    other = on_postgresql.open(real=True, busy=LIMIT)
    with (
        Proxy(socket_of(on_postgresql)) as proxy,
        open_state(proxy.url(on_postgresql.url), busy=0.3) as state,
    ):

        def work(cursor: Cursor, _now: float) -> None:
            cursor.execute(state._statements.put_meta, ("half", b"1"))
            proxy.silence()
            cursor.execute(state._statements.put_meta, ("whole", b"1"))

        with pytest.raises(StateUnavailable):
            state._writer.run(work)
        other.probe()
    assert on_postgresql.run("SELECT key FROM meta WHERE key IN ('half', 'whole')") == []


# What happens to other processes


def _stops_in_its_turn(url: str, how: signal.Signals, told: Connection) -> None:
    state = open_state(url)

    def work(cursor: Cursor, _now: float) -> None:
        cursor.execute(state._statements.put_meta, ("half", b"1"))
        os.kill(os.getpid(), how)

    try:
        state._writer.run(work)
    except StateUnavailable as error:
        told.send(str(error))
    state.probe()
    told.send("goes on")


def test_a_process_that_is_stopped_in_its_turn_holds_nobody_up_for_long(
    on_postgresql: Database,
) -> None:
    state = on_postgresql.open(real=True)  # it waits for 5 s, and once more
    here, there = spawn.Pipe()
    process = spawn.Process(
        target=_stops_in_its_turn, args=(on_postgresql.url, signal.SIGSTOP, there)
    )
    process.start()
    assert process.pid is not None
    try:
        assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
        until(lambda: works(state.probe), LIMIT)
        assert on_postgresql.run("SELECT key FROM meta WHERE key = 'half'") == []
    finally:
        os.kill(process.pid, signal.SIGCONT)
    assert here.poll(LIMIT)
    assert here.recv() != "goes on"
    assert here.poll(LIMIT)
    assert here.recv() == "goes on"
    process.join(LIMIT)
    assert on_postgresql.run("SELECT key FROM meta WHERE key = 'half'") == []


def test_a_process_that_is_killed_in_its_turn_holds_up_nobody(on_postgresql: Database) -> None:
    state = on_postgresql.open(real=True, busy=2.0)
    _, there = spawn.Pipe()
    process = spawn.Process(
        target=_stops_in_its_turn, args=(on_postgresql.url, signal.SIGKILL, there)
    )
    process.start()
    process.join(LIMIT)
    assert process.exitcode == -signal.SIGKILL
    state.probe()
    assert on_postgresql.run("SELECT key FROM meta WHERE key = 'half'") == []


def _with_a_wrong_clock(url: str, wrong: float, told: Connection) -> None:
    right = time.time
    time.time = lambda: right() + wrong
    state = open_state(url)
    locks = state.locks("tenant")
    told.send(("lock of another", locks.get("theirs") is not None))
    locks.add(Lock(f"mine{wrong}", f"/{wrong}", True, True, "", "", 600, 0.0))
    try:
        state.tree("v").acquire([ONE], [], wait=0).release()
    except LeaseBusy:
        told.send(("lease of another", True))
    else:
        told.send(("lease of another", False))
    lease = state.tree("v").acquire([LeaseName(A, b"%d" % wrong)], [], wait=0)
    told.send(("remaining", lease.remaining))
    told.recv()
    lease.check()
    lease.finish()
    told.send("finished")


@pytest.mark.parametrize("wrong", [HOUR, -HOUR])
def test_a_process_whose_clock_is_wrong_by_an_hour_works_right(
    on_postgresql: Database, wrong: float
) -> None:
    state = on_postgresql.open(real=True)
    locks = state.locks("tenant")
    locks.add(Lock("theirs", "/theirs", True, True, "", "", 600, 0.0))
    with state.tree("v").acquire([ONE], [], wait=0):
        here, there = spawn.Pipe()
        process = spawn.Process(target=_with_a_wrong_clock, args=(on_postgresql.url, wrong, there))
        process.start()
        said = []
        for _ in range(3):
            assert here.poll(LIMIT)
            said.append(here.recv())
        assert said[:2] == [("lock of another", True), ("lease of another", True)]
        assert 50 < said[2][1] <= 60
        mine = locks.get(f"mine{wrong}")
        assert mine is not None
        assert 500 < mine.left < 700
        with pytest.raises(LeaseBusy):
            state.tree("v").acquire([LeaseName(A, b"%d" % wrong)], [], wait=0)
        assert state.tree("v").clear_stale_leases() == 0
        here.send("go on")
        assert here.poll(LIMIT)
        assert here.recv() == "finished"
        process.join(LIMIT)


# Clock, turns, connections


def test_the_time_of_a_transaction_is_taken_when_its_turn_has_come(
    on_postgresql: Database,
) -> None:
    state = on_postgresql.open(real=True)
    with ThreadPoolExecutor(1) as pool:
        with on_postgresql.blocked():
            waiting = pool.submit(state._writer.run, lambda _cursor, now: now)
            until(lambda: on_postgresql.run("SELECT 1 FROM pg_locks WHERE NOT granted") != [])
            ((released,),) = on_postgresql.run(
                "SELECT extract(epoch FROM clock_timestamp())::float8"
            )
        assert waiting.result(LIMIT) >= float(str(released))


def test_an_estimate_that_is_ahead_ends_no_lease_and_no_reading(
    on_postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = on_postgresql.open(real=True)
    with state.tree("v").acquire([ONE], [Touch(A, links=False)], wait=0) as lease:
        monkeypatch.setattr(ServerClock, "now", lambda _: time.time() + 1000)
        assert state.tree("v").read([A])[0].changing
        assert lease.finish()
    assert not state.tree("v").read([A])[0].changing


def test_the_distance_of_the_clocks_is_learned_from_quick_answers_only() -> None:
    clock = ServerClock()
    assert clock.now() is None
    now = time.monotonic()
    clock.learn(5000.0, now - 3, now)
    assert clock.now() is None
    clock.learn(5000.0, now - 3, now, sure=True)
    clock.learn(9000.0, now - 3, now)
    known = clock.now()
    assert known is not None
    assert 5000 <= known < 5000 + LIMIT
    clock.learn(9000.0, now - 0.01, now)
    known = clock.now()
    assert known is not None
    assert known >= 9000
    clock.learn(9000.0, now - 60, now - 60, sure=True)
    assert clock.now() is None


def test_time_is_asked_for_anew_where_nothing_was_written_for_long(
    on_postgresql: Database,
) -> None:
    state = on_postgresql.open(real=True)
    backend = state._backend
    assert isinstance(backend, PostgresBackend)
    long_ago = time.monotonic() - HOUR
    backend._server_clock.learn(0.0, long_ago, long_ago, sure=True)
    rows, now = state._readers.ask(state._statements.get_meta, ("epoch",))
    assert rows
    assert abs(now - time.time()) < LIMIT


def test_connections_are_few_and_all_closed_at_the_end(on_postgresql: Database) -> None:
    def connections() -> int:
        ((count,),) = on_postgresql.run(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'counted'"
        )
        assert isinstance(count, int)
        return count

    with open_state(f"{on_postgresql.url}&application_name=counted") as state:
        with ThreadPoolExecutor(40) as pool:
            assert len(set(pool.map(lambda _: generation(state), range(400)))) == 1
        assert 1 < connections() <= MOST_READERS + 1
    until(lambda: connections() == 0)


def test_two_schemas_of_one_database_are_two_states(postgresql: PostgreSQL) -> None:
    with open_state(new_schema(postgresql)) as one, open_state(new_schema(postgresql)) as two:
        with one.tree("v").acquire([ONE], [], wait=0):
            two.tree("v").acquire([ONE], [], wait=0).release()
        assert one.epoch != two.epoch


# URLs and what is said of them


def settings_with(**state: object) -> Settings:
    fixed: dict[str, Any] = {"store": {"kind": "memory"}, "state": state}
    return load(None, fixed)


def test_settings_name_it_by_a_url_or_by_a_file_that_holds_one(
    on_postgresql: Database, tmp_path: Path
) -> None:
    file = tmp_path / "url"
    file.write_text(on_postgresql.url + "\n")
    with open_database(settings_with(url=SecretStr(on_postgresql.url))) as state:
        epoch = state.epoch
    with open_database(settings_with(url_file=file)) as state:
        assert state.epoch == epoch
    for text in ("dbname=x password=hush", "mysql://u:hush@h/d", "/some/path/hush"):
        file.write_text(text)
        for settings in (settings_with(url_file=file), settings_with(url=SecretStr(text))):
            with pytest.raises(CannotOpen, match="begins with postgresql://") as caught:
                open_database(settings)
            assert "hush" not in str(caught.value)
    with pytest.raises(CannotOpen, match="missing"):
        open_database(settings_with(url_file=tmp_path / "missing"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hu@sh-hush@127.0.0.1:1/name",
        "postgresql://user:hush/hush@127.0.0.1:1/name",
        "postgresql://user:12/hush@127.0.0.1:1/name",
        "postgresql://user:hush#hush@127.0.0.1:1/name",
        "postgresql://user:hush?hush@127.0.0.1:1/name",
        "postgresql://user:hush%zz@127.0.0.1:1/name",
        "postgresql://user:hush@127.0.0.1:1/name",
        "postgresql://user:hush@127.0.0.1:1/name?nonsense=hush",
        "postgres://user:hush@nowhere.invalid/name",
        "postgresql+psycopg://user:hush@127.0.0.1:1/name",
    ],
)
def test_no_message_shows_a_password(url: str) -> None:
    with pytest.raises(StateError) as caught:
        open_state(url, busy=1.0)
    assert "hush" not in str(caught.value)


def test_who_may_not_make_tables_is_told(on_postgresql: Database) -> None:
    ((schema,),) = on_postgresql.run("SELECT current_schema()")
    on_postgresql.run(
        "CREATE ROLE nobody_much LOGIN", f"GRANT USAGE ON SCHEMA {schema} TO nobody_much"
    )
    url = on_postgresql.url.replace("//postgres@", "//nobody_much@")
    with pytest.raises(StateError, match="permission denied"):
        open_state(url)
    on_postgresql.run("DROP OWNED BY nobody_much", "DROP ROLE nobody_much")


def test_a_database_that_does_not_exist_is_told_at_once(postgresql: PostgreSQL) -> None:
    with pytest.raises(StateUnavailable, match="does not exist"):
        open_state(postgresql.url.replace("/postgres?", "/missing?"), busy=LIMIT)


def test_a_database_of_another_encoding_is_refused(postgresql: PostgreSQL) -> None:
    with psycopg.connect(postgresql.url, autocommit=True) as operator:
        operator.execute(b"CREATE DATABASE old ENCODING 'SQL_ASCII' TEMPLATE template0")
    with pytest.raises(StateError, match="UTF8"):
        open_state(postgresql.url.replace("/postgres?", "/old?"))
