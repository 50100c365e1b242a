"""Two hundred slow uploads at once: memory stays under a limit, and short requests are served."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.dav import Dav
from tests.clients.demos import NewDemo
from tests.clients.names import content
from tests.clients.resident import peak_memory
from tests.clients.slow import Crowd, Upload

MORE_STORES = ("storj",)

CLIENTS = 200

ROUNDS = 10
"""Of short requests, one after another, while all slow uploads stand still."""

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Load:
    """Uploads of ``size`` bytes, which together may hold ``upload_bytes`` of memory.

    ``resident``: by store, what the server may ever have taken in all; on Storj what
    ``docs/configuration.md`` promises.
    """

    size: int
    upload_bytes: int
    resident: Mapping[str, int]


SHORT = Load(8 * MEBIBYTE, 256 * MEBIBYTE, {"local": 384 * MEBIBYTE, "storj": 606 * MEBIBYTE})
MANY = Load(5 * MEBIBYTE // 4, SHORT.upload_bytes, SHORT.resident)
"""Just too long to be short: of these the most fit, and each has its buffers beside its content."""

LONG = Load(63 * MEBIBYTE, 1024 * MEBIBYTE, {"local": 700 * MEBIBYTE, "storj": 1374 * MEBIBYTE})
"""Just too short for a whole segment: all of it is held until its end has come."""


@pytest.mark.parametrize(
    "load",
    [
        pytest.param(SHORT, id="short", marks=[pytest.mark.timeout(900)]),
        pytest.param(MANY, id="many", marks=[pytest.mark.timeout(900)]),
        pytest.param(LONG, id="long", marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
    ],
)
def test_two_hundred_slow_uploads_take_bounded_memory_and_make_nobody_wait(
    load: Load, store_kind: str, new_demo: NewDemo, tmp_path: Path
) -> None:
    env = {"STORJ_BRIDGE_LIMITS__UPLOAD_BYTES": str(load.upload_bytes)}
    with new_demo(tmp_path, env=env) as demo:
        dav = Dav(demo.url, demo.username, demo.password)
        uploads = [Upload(f"slow {number}", load.size, number) for number in range(CLIENTS)]
        asyncio.run(with_short_requests(dav, uploads))
        peak = peak_memory(demo.pid)
        written = [upload for upload in uploads if upload.status == 201]
        print(f"{len(written)} written, peak of resident memory: {peak // MEBIBYTE} MiB")
        assert peak < load.resident[store_kind]
        for upload in uploads:
            # Who was told to send is not sent away afterwards; who was sent away may come again.
            assert upload.status == (201 if upload.told_to_send else 503), upload
            assert bool(upload.retry_after) == (upload.status == 503), upload
        assert len(written) > 1
        for upload in written:
            assert dav.sha256(upload.path) == upload.sha256
        for upload in [upload for upload in uploads if upload.status == 503][:3]:
            dav.put(upload.path, b"in the end")
            written.append(upload)
        assert dav.names("") == sorted(["short", *(upload.path for upload in written)])
        assert peak_memory(demo.pid) < load.resident[store_kind]


async def with_short_requests(dav: Dav, uploads: list[Upload]) -> None:
    """Let ``uploads`` run; whoever comes meanwhile with something short is served."""
    dav.mkcol("short")
    crowd = Crowd(dav, uploads)
    async with crowd.held():
        settled = asyncio.create_task(crowd.settled())
        turn = 0
        while not settled.done():
            await asyncio.to_thread(short_requests, dav, turn)
            turn += 1
        await settled
        for _ in range(ROUNDS):
            await asyncio.to_thread(short_requests, dav, turn)
            turn += 1


def short_requests(dav: Dav, turn: int) -> None:
    """Write, list, read and remove small files, and one too large to be kept within its entry."""
    small, larger = content(f"small {turn}", 500), content(f"larger {turn}", 700_000)
    dav.put("short/small", small)
    dav.put("short/larger", larger)
    assert dav.names("short") == ["larger", "small"]
    assert dav.get("short/small") == small
    assert dav.get("short/larger") == larger
    dav.delete("short/larger")
