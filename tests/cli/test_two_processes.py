"""Two processes serve the same files over one PostgreSQL: what one does, the other goes by."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.cli.service import Configured, ask, authorization, wait_until
from tests.postgres import PostgreSQL, new_schema, running_postgresql
from tests.processes import BridgeProcess, run_bridge

ROUNDS = 30

LOCK = b"""<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>
<D:locktype><D:write/></D:locktype></D:lockinfo>"""


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    with running_postgresql() as server:
        yield server


def on_postgresql(folder: Path, postgresql: PostgreSQL) -> Configured:
    """A service with its state in an empty schema on PostgreSQL."""
    made = Configured(folder / "bridge")
    made.file.write_text(made.file.read_text().replace('path = "state.db"', 'url_file = "url"'))
    url = made.folder / "url"
    url.touch(mode=0o600)
    url.write_text(new_schema(postgresql))
    return made


@pytest.fixture
def configured(tmp_path: Path, postgresql: PostgreSQL) -> Configured:
    """A service of a test's own."""
    return on_postgresql(tmp_path, postgresql)


class Pair:
    """Both processes, and a credential for them; paths are below ``folder``."""

    def __init__(
        self, processes: list[BridgeProcess], headers: dict[str, str], folder: str = ""
    ) -> None:
        self._urls = [process.ready["webdav_url"] + folder for process in processes]
        self.folder = folder
        self._headers = headers
        self._threads = ThreadPoolExecutor(2)

    def ask(
        self,
        which: int,
        verb: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """A request to the first or second process."""
        code, found, answer = ask(
            self._urls[which] + path, verb, self._headers | (headers or {}), body
        )
        return code, dict(found), answer

    def at_once(self, call: Callable[[int], int]) -> list[int]:
        """What ``call`` returns for either process, called in the same moment; sorted."""
        return sorted(self._threads.map(call, (0, 1)))

    def names(self, which: int, path: str = "") -> list[str]:
        """The hrefs of a folder's children."""
        _, _, answer = self.ask(which, "PROPFIND", path, headers={"Depth": "1"})
        return sorted(re.findall(r"<D:href>([^<]+)</D:href>", answer.decode()))[1:]


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, postgresql: PostgreSQL
) -> Iterator[tuple[list[BridgeProcess], dict[str, str]]]:
    """Both processes and the header that signs in, for all tests that do them no harm."""
    configured = on_postgresql(tmp_path_factory.mktemp("both"), postgresql)
    with configured.service() as one, configured.service() as other:
        yield [one, other], authorization("main", configured.secret)


@pytest.fixture
def pair(both: tuple[list[BridgeProcess], dict[str, str]], request: pytest.FixtureRequest) -> Pair:
    """Both processes, and an empty folder there."""
    made = Pair(*both, folder=f"{request.node.name}/")
    assert made.ask(0, "MKCOL", "")[0] == 201
    return made


def test_what_one_writes_the_other_reads_at_once(pair: Pair) -> None:
    for number in range(ROUNDS):
        writer, reader = number % 2, (number + 1) % 2
        content = str(number).encode()
        assert pair.ask(writer, "PUT", "file", content)[0] in {201, 204}
        assert pair.ask(reader, "GET", "file")[2] == content
        assert pair.ask(writer, "MKCOL", f"d{number}")[0] == 201
        assert len(pair.names(reader)) == number + 2
        assert (
            pair.ask(
                reader,
                "MOVE",
                f"d{number}",
                headers={"Destination": f"/dav/{pair.folder}e{number}"},
            )[0]
            == 201
        )
        assert pair.ask(writer, "PROPFIND", f"d{number}", headers={"Depth": "0"})[0] == 404


def test_a_lock_taken_in_one_is_held_in_the_other(pair: Pair) -> None:
    pair.ask(0, "PUT", "file", b"old")
    code, found, _ = pair.ask(0, "LOCK", "file", LOCK, {"Content-Type": "application/xml"})
    assert code == 200
    token = found["lock-token"]
    assert pair.ask(1, "PUT", "file", b"new")[0] == 423
    assert pair.ask(1, "LOCK", "file", LOCK, {"Content-Type": "application/xml"})[0] == 423
    assert pair.ask(1, "PUT", "file", b"new", {"If": f"({token})"})[0] == 204
    assert pair.ask(1, "UNLOCK", "file", headers={"Lock-Token": token})[0] == 204
    assert pair.ask(0, "PUT", "file", b"newer")[0] == 204


def test_of_two_mkcols_of_one_name_one_makes_a_folder(pair: Pair) -> None:
    for number in range(ROUNDS):
        name = f"folder{number}"

        def make(which: int, name: str = name) -> int:
            return pair.ask(which, "MKCOL", name)[0]

        assert pair.at_once(make) == [201, 405]
        assert pair.ask(0, "PUT", f"{name}/file", b"x")[0] == 201
        assert pair.ask(1, "GET", f"{name}/file")[0] == 200
    assert len(pair.names(0)) == len(pair.names(1)) == ROUNDS


def test_of_two_puts_with_if_match_one_wins(pair: Pair) -> None:
    pair.ask(0, "PUT", "file", b"first")
    for number in range(ROUNDS):
        etag = pair.ask(0, "HEAD", "file")[1]["etag"]

        def put(which: int, number: int = number, etag: str = etag) -> int:
            content = f"{number} by {which}".encode()
            return pair.ask(which, "PUT", "file", content, {"If-Match": etag})[0]

        assert pair.at_once(put) == [204, 412]
        contents = {pair.ask(which, "GET", "file")[2] for which in (0, 1)}
        assert len(contents) == 1
        assert contents.pop().startswith(f"{number} by ".encode())


def test_of_two_puts_where_nothing_is_one_wins(pair: Pair) -> None:
    for number in range(ROUNDS):

        def put(which: int, name: str = f"file{number}") -> int:
            body = str(which).encode()
            return pair.ask(which, "PUT", name, body, {"If-None-Match": "*"})[0]

        assert pair.at_once(put) == [201, 412]


def test_a_killed_process_stops_nobody(configured: Configured) -> None:
    headers = authorization("main", configured.secret)
    with configured.service() as one, configured.service() as other:
        assert ask(one.ready["webdav_url"] + "file", "PUT", headers, b"x")[0] == 201
        one.kill()
        assert ask(other.ready["webdav_url"] + "file", "GET", headers)[2] == b"x"
        assert ask(other.ready["webdav_url"] + "other", "PUT", headers, b"y")[0] == 201


def wrote(pair: Pair, which: int, name: str, stop: threading.Event) -> list[tuple[bytes, int]]:
    """Write ``name`` again and again by one process: the contents and their answers."""
    answers: list[tuple[bytes, int]] = []
    while not stop.is_set():
        content = f"{len(answers)} by {which}".encode()
        answers.append((content, pair.ask(which, "PUT", name, content)[0]))
    return answers


def test_a_database_that_goes_away_for_a_while_harms_nothing_and_needs_no_restart(
    configured: Configured, postgresql: PostgreSQL
) -> None:
    with configured.service() as one, configured.service() as other:
        pair = Pair([one, other], authorization("main", configured.secret))
        stop = threading.Event()
        names = [(0, "mine"), (1, "theirs"), (0, "shared"), (1, "shared")]
        with ThreadPoolExecutor(len(names)) as threads:
            runs = [threads.submit(wrote, pair, which, name, stop) for which, name in names]
            try:
                for _ in range(5):  # connections break under whatever goes on
                    cut_connections(postgresql)
                    assert pair.ask(0, "PUT", "between", b"x")[0] in {201, 204, 503}
                postgresql.stop()
                postgresql.start_again()
                healed = [
                    wait_until(lambda: pair.ask(0, "PUT", "between", b"x")[0] == 204),
                    wait_until(lambda: pair.ask(1, "PUT", "between", b"x")[0] == 204),
                ]
            finally:
                stop.set()
            answers = [run.result() for run in runs]
        assert healed == [True, True]
        codes = {code for answered in answers for _, code in answered}
        assert codes <= {201, 204, 503}
        assert {201, 204} <= codes
        assert all(answered[-1][1] == 204 for answered in answers)
        for (_, name), answered in zip(names[:2], answers[:2], strict=True):
            assert {pair.ask(which, "GET", name)[2] for which in (0, 1)} == {answered[-1][0]}
        last = {answered[-1][0] for answered in answers[2:]}
        (shared,) = {pair.ask(which, "GET", "shared")[2] for which in (0, 1)}
        assert shared in last
        assert pair.names(0) == pair.names(1)
        assert [pair.ask(which, "PROPFIND", "")[0] for which in (0, 1)] == [207, 207]
    checked = run_bridge("fsck", "--config", str(configured.file), "--min-age", "0", "--json")
    assert json.loads(checked.stdout)["problems"] == []


def cut_connections(server: PostgreSQL) -> None:
    """End all connections to the database but this one."""
    with psycopg.connect(server.url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND application_name = 'storj-bridge'"
        )
