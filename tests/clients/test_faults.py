"""Bodies cut short, full disks, and a store that fails or hangs for ten seconds.

Each against the real process: the client gets a clear status, the old content stays whole, and the
process is healthy afterwards.
"""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.clients.dav import Answer, Dav
from tests.clients.disks import freezable_disk, frozen, remount, small_disk
from tests.clients.failing_calls import STORE_COMMITS, failing
from tests.clients.names import content
from tests.clients.waiting import wait_until
from tests.processes import Demo

OUTAGE = 10.0
"""Seconds for which a store fails or hangs."""

PATIENCE = 30.0
"""Seconds after the last byte of a request within which there is an answer (Nextcloud's limit)."""

MEBIBYTE = 1 << 20


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("there", [False, True], ids=["new", "overwrite"])
def test_a_body_cut_short_changes_nothing(
    dav: Dav, folder: str, *, chunked: bool, there: bool
) -> None:
    old = content("old", 200_000)
    if there:
        dav.put(f"{folder}/file", old)
    body = content("cut", 3 * MEBIBYTE)
    with socket.create_connection(address(dav)) as connection:
        connection.sendall(upload_header(dav, f"{folder}/file", 0 if chunked else 2 * len(body)))
        connection.sendall(b"%x\r\n" % (2 * len(body)) + body if chunked else body)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(PATIENCE)
        said = connection.recv(100)
    assert not said or said.split()[1] == b"400", said
    assert dav.names(folder) == (["file"] if there else [])
    if there:
        assert dav.get(f"{folder}/file") == old
    dav.put(f"{folder}/file", b"and on it goes")
    assert healthy(dav)


def test_fifty_cut_uploads_leave_nothing_on_the_disk(demo: Demo, dav: Dav, folder: str) -> None:
    dav.put(f"{folder}/file", b"old")
    before = used(demo.data)
    for number in range(50):
        with socket.create_connection(address(dav)) as connection:
            connection.sendall(upload_header(dav, f"{folder}/{number % 2}", 10 * MEBIBYTE))
            connection.sendall(bytes(300_000))
    wait_until(lambda: used(demo.data) < before + MEBIBYTE, "partial bodies to go", limit=PATIENCE)
    assert dav.names(folder) == ["file"]
    assert healthy(dav)


@pytest.fixture
def full(tmp_path: Path) -> Iterator[tuple[Demo, Dav, Path]]:
    """A demo on a tmpfs of 48 MiB, 30 of which a ballast file takes; and that file."""
    with small_disk(tmp_path / "disk", 48 * MEBIBYTE) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(30 * MEBIBYTE))
        with Demo(disk / "data", log=tmp_path / "log") as demo:
            yield demo, Dav(demo.url, demo.username, demo.password), ballast


def test_a_full_disk_is_told_by_507_and_the_old_content_stays(
    full: tuple[Demo, Dav, Path],
) -> None:
    demo, dav, ballast = full
    old = content("old", 4 * MEBIBYTE)
    dav.put("file", old)
    answer = dav.request("PUT", "file", content("new", 20 * MEBIBYTE))
    assert answer.status == 507
    streamed = dav.request("PUT", "streamed", iter([bytes(MEBIBYTE)] * 20))
    assert streamed.status == 507
    assert dav.get("file") == old
    assert dav.names("") == ["file"]
    assert healthy(dav)
    ballast.unlink()
    dav.put("file", content("new", 20 * MEBIBYTE))
    assert dav.get("file") == content("new", 20 * MEBIBYTE)
    demo.restart()
    assert dav.get("file") == content("new", 20 * MEBIBYTE)


def test_a_disk_full_to_the_last_byte_is_freed_by_deleting(
    full: tuple[Demo, Dav, Path],
) -> None:
    _, dav, ballast = full
    old = content("old", 4 * MEBIBYTE)
    dav.put("keep", old)
    dav.put("delete", old)
    fill_up(ballast)
    small = dav.request("PUT", "small", bytes(100_000))
    assert small.status == 507
    assert dav.request("MKCOL", "folder").status == 507
    assert dav.get("keep") == old
    removed = dav.request("DELETE", "delete")
    assert removed.status in (204, 507)
    if removed.status == 507:
        ballast.unlink()
        assert dav.request("DELETE", "delete").status == 204
    dav.put("small", bytes(100_000))
    assert dav.get("small") == bytes(100_000)
    assert healthy(dav)


def test_a_store_that_hangs_for_ten_seconds_costs_waiting_and_no_data(tmp_path: Path) -> None:
    with (
        freezable_disk(tmp_path / "disk", 64 * MEBIBYTE) as disk,
        Demo(disk / "data", log=tmp_path / "log") as demo,
    ):
        dav = Dav(demo.url, demo.username, demo.password)
        dav.put("file", b"old")
        dav.put("other", b"other")
        with ThreadPoolExecutor(8) as pool:
            began = time.monotonic()
            with frozen(disk, OUTAGE):
                writes = [pool.submit(dav.request, "PUT", f"new {n}", b"new") for n in range(6)]
                overwrite = pool.submit(dav.request, "PUT", "file", b"new")
                assert process_answers(dav)
                assert time.monotonic() - began < OUTAGE / 2
            answers = [write.result(PATIENCE) for write in [*writes, overwrite]]
        all_acknowledged_and_there(dav, answers)
        assert dav.get("other") == b"other"
        dav.put("file", b"afterwards")
        assert dav.get("file") == b"afterwards"
        assert healthy(dav)


def test_a_store_that_fails_for_ten_seconds_costs_writes_a_503_and_no_data(tmp_path: Path) -> None:
    with Demo(tmp_path / "data") as demo:
        dav = Dav(demo.url, demo.username, demo.password)
        dav.put("file", b"old")
        with ThreadPoolExecutor(8) as pool:
            with failing(demo.pid, STORE_COMMITS, tmp_path):
                writes = [pool.submit(dav.request, "PUT", f"new {n}", b"new") for n in range(4)]
                overwrite = pool.submit(dav.request, "PUT", "file", b"new")
                assert process_answers(dav)
                assert dav.get("file") == b"old"
                threading.Event().wait(OUTAGE)
            answers = [write.result(PATIENCE) for write in [*writes, overwrite]]
        # What a disk has refused once is not trusted to it again, so the body must come again.
        for number, answer in enumerate(answers[:-1]):
            assert answer.status in (201, 503)
            assert ("retry-after" in answer.headers) == (answer.status == 503)
            assert dav.exists(f"new {number}") == (answer.status == 201)
        assert answers[-1].status in (204, 503)
        assert dav.get("file") == (b"new" if answers[-1].status == 204 else b"old")
        dav.put("file", b"afterwards")
        assert dav.get("file") == b"afterwards"
        assert healthy(dav)


@pytest.mark.timeout(1800)
@pytest.mark.long
def test_a_store_that_goes_on_failing_is_told_by_503_within_nextclouds_patience(
    tmp_path: Path,
) -> None:
    with Demo(tmp_path / "data") as demo:
        dav = Dav(demo.url, demo.username, demo.password, timeout=PATIENCE)
        dav.put("file", b"old")
        with (
            failing(demo.pid, STORE_COMMITS, tmp_path),
            ThreadPoolExecutor(8) as pool,
        ):
            asked = [
                pool.submit(dav.request, "PUT", "new", b"new"),
                pool.submit(dav.request, "PUT", "file", b"new"),
                pool.submit(dav.request, "MKCOL", "folder"),
            ]
            answers = [each.result() for each in asked]
            assert process_answers(dav)
        assert [answer.status for answer in answers] == [503] * 3
        assert all("retry-after" in answer.headers for answer in answers)
        assert dav.get("file") == b"old"
        assert dav.names("") == ["file"]
        dav.put("file", b"afterwards")
        assert dav.get("file") == b"afterwards"
        assert healthy(dav)


def test_a_store_that_turns_read_only_refuses_writes_and_still_reads(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with (
        small_disk(tmp_path / "data" / "store", 32 * MEBIBYTE) as disk,
        Demo(tmp_path / "data") as demo,
    ):
        dav = Dav(demo.url, demo.username, demo.password)
        dav.put("file", b"old")
        remount(disk, "ro")
        asked = [dav.request("PUT", "file", b"new"), dav.request("PUT", "new", b"new")]
        asked += [dav.request("MKCOL", "folder"), dav.request("DELETE", "file")]
        assert [answer.status for answer in asked] == [403] * 4
        assert dav.get("file") == b"old"
        assert dav.names("") == ["file"]
        assert process_answers(dav)
        remount(disk, "rw")
        dav.put("file", b"afterwards")
        assert dav.get("file") == b"afterwards"
        assert healthy(dav)


def test_a_state_database_that_is_locked_for_ten_seconds_is_ridden_out(tmp_path: Path) -> None:
    with Demo(tmp_path / "data") as demo:
        dav = Dav(demo.url, demo.username, demo.password)
        dav.put("file", b"old")
        holder = sqlite3.connect(demo.data / "state.db", isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        try:
            with ThreadPoolExecutor(8) as pool:
                writes = [pool.submit(dav.request, "PUT", f"new {n}", b"new") for n in range(4)]
                overwrite = pool.submit(dav.request, "PUT", "file", b"new")
                assert process_answers(dav)
                unlock = threading.Event()
                unlock.wait(OUTAGE)
                holder.execute("ROLLBACK")
                answers = [write.result(PATIENCE) for write in [*writes, overwrite]]
        finally:
            holder.close()
        all_acknowledged_and_there(dav, answers)
        assert healthy(dav)


def fill_up(ballast: Path) -> None:
    """Let ``ballast`` grow until its disk has no byte left."""
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            continue


def all_acknowledged_and_there(dav: Dav, answers: list[Answer]) -> None:
    """An outage this short is ridden out: ``new 0``, ``new 1``, … and ``file`` are written."""
    assert [answer.status for answer in answers] == [201] * (len(answers) - 1) + [204]
    for number in range(len(answers) - 1):
        assert dav.get(f"new {number}") == b"new"
    assert dav.get("file") == b"new"


def process_answers(dav: Dav) -> bool:
    """Whether the process itself answers, whatever its store does."""
    return plain_get(dav, "/healthz") == 200


def healthy(dav: Dav) -> bool:
    """Whether process, store, database and keys are all well."""
    wait_until(lambda: plain_get(dav, "/readyz") == 200, "readiness", limit=PATIENCE)
    return plain_get(dav, "/healthz") == 200


def plain_get(dav: Dav, path: str) -> int:
    connection = HTTPConnection(*address(dav), timeout=PATIENCE)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def address(dav: Dav) -> tuple[str, int]:
    parts = urlsplit(dav.url)
    return parts.hostname or "", parts.port or 80


def upload_header(dav: Dav, path: str, length: int) -> bytes:
    """The head of a PUT with a body of ``length`` bytes, or chunked when that is 0."""
    framing = f"Content-Length: {length}" if length else "Transfer-Encoding: chunked"
    return (
        f"PUT {dav.target(path)} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: {dav.authorization}\r\n{framing}\r\n\r\n"
    ).encode()


def used(folder: Path) -> int:
    """Bytes of all files below ``folder``; files that go while it counts are left out."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size
        except FileNotFoundError:
            continue
    return total
