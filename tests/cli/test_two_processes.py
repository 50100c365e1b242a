"""Two processes serve the same files over one PostgreSQL: what one does, the other goes by."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.service import Configured, ask, authorization
from tests.postgres import PostgreSQL, new_schema, running_postgresql
from tests.processes import BridgeProcess

ROUNDS = 30

LOCK = b"""<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>
<D:locktype><D:write/></D:locktype></D:lockinfo>"""


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    with running_postgresql() as server:
        yield server


@pytest.fixture
def configured(tmp_path: Path, postgresql: PostgreSQL) -> Configured:
    """A service with its state in an empty schema on PostgreSQL."""
    made = Configured(tmp_path / "bridge")
    made.file.write_text(made.file.read_text().replace('path = "state.db"', 'url_file = "url"'))
    url = made.folder / "url"
    url.touch(mode=0o600)
    url.write_text(new_schema(postgresql))
    return made


class Pair:
    """Both processes, and a credential for them."""

    def __init__(self, processes: list[BridgeProcess], headers: dict[str, str]) -> None:
        self._urls = [process.ready["webdav_url"] for process in processes]
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


@pytest.fixture
def pair(configured: Configured) -> Iterator[Pair]:
    with configured.service() as one, configured.service() as other:
        yield Pair([one, other], authorization("main", configured.secret))


def test_what_one_writes_the_other_reads_at_once(pair: Pair) -> None:
    for number in range(ROUNDS):
        writer, reader = number % 2, (number + 1) % 2
        content = str(number).encode()
        assert pair.ask(writer, "PUT", "file", content)[0] in {201, 204}
        assert pair.ask(reader, "GET", "file")[2] == content
        assert pair.ask(writer, "MKCOL", f"d{number}")[0] == 201
        assert len(pair.names(reader)) == number + 2
        assert (
            pair.ask(reader, "MOVE", f"d{number}", headers={"Destination": f"/dav/e{number}"})[0]
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
