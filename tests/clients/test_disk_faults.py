"""Full disks, and a disk that fails or hangs for ten seconds.

Each against the real process: the client gets a clear status, the old content stays whole, and the
process is healthy afterwards.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients.dav import Dav
from tests.clients.disks import freezable_disk, frozen, remount, small_disk
from tests.clients.failing_calls import STORE_COMMITS, failing
from tests.clients.health import (
    OUTAGE,
    PATIENCE,
    all_acknowledged_and_there,
    healthy,
    process_answers,
)
from tests.clients.names import content
from tests.processes import Demo

pytestmark = pytest.mark.usefixtures("disk_only")

MEBIBYTE = 1 << 20


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


def fill_up(ballast: Path) -> None:
    """Let ``ballast`` grow until its disk has no byte left."""
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            continue
