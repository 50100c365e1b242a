"""Bodies cut short, and a state database that nobody answers for: the old content stays whole."""

from __future__ import annotations

import socket
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients.dav import Dav
from tests.clients.demos import NewDemo, StorjDemo
from tests.clients.health import (
    OUTAGE,
    PATIENCE,
    all_acknowledged_and_there,
    healthy,
    process_answers,
)
from tests.clients.names import content
from tests.clients.waiting import wait_until
from tests.processes import Demo

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
    with socket.create_connection(dav.address) as connection:
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


def test_fifty_cut_uploads_leave_nothing_in_the_store(demo: Demo, dav: Dav, folder: str) -> None:
    dav.put(f"{folder}/file", b"old")
    before = unfinished(demo)
    for number in range(50):
        with socket.create_connection(dav.address) as connection:
            connection.sendall(upload_header(dav, f"{folder}/{number % 2}", 10 * MEBIBYTE))
            connection.sendall(bytes(2_000_000))
    wait_until(lambda: unfinished(demo) < before + 1, "partial bodies to go", limit=PATIENCE)
    assert dav.names(folder) == ["file"]
    assert healthy(dav)


def test_a_state_database_that_is_locked_for_ten_seconds_is_ridden_out(
    new_demo: NewDemo, tmp_path: Path
) -> None:
    with new_demo(tmp_path) as demo:
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


def upload_header(dav: Dav, path: str, length: int) -> bytes:
    """The head of a PUT with a body of ``length`` bytes, or chunked when that is 0."""
    framing = f"Content-Length: {length}" if length else "Transfer-Encoding: chunked"
    return (
        f"PUT {dav.target(path)} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: {dav.authorization}\r\n{framing}\r\n\r\n"
    ).encode()


def unfinished(demo: Demo) -> float:
    """What uploads under way take: how many Storj knows of, or MiB of the disk with all else."""
    if isinstance(demo, StorjDemo):
        return demo.bucket_state().pending
    return used(demo.data) / MEBIBYTE


def used(folder: Path) -> int:
    """Bytes of all files below ``folder``; files that go while it counts are left out."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size
        except FileNotFoundError:
            continue
    return total
