"""Resident memory does not grow with the size of what streams through."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients.dav import Dav
from tests.clients.resident import peak_memory
from tests.processes import Demo

STREAMS = 8
LIMIT = 200 << 20
"""Bytes of resident memory that the server may ever have taken."""

BLOCK = 1 << 20


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(64 << 20, id="64MiB"),
        pytest.param(1 << 30, id="1GiB", marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
def test_eight_streams_up_and_eight_down_at_once_stay_under_200_mib(
    size: int, tmp_path: Path
) -> None:
    with Demo(tmp_path / "data") as demo:
        dav = Dav(demo.url, demo.username, demo.password, timeout=600)
        expected = upload(dav, "source", size, seed=0)
        with ThreadPoolExecutor(2 * STREAMS) as pool:
            ups = [pool.submit(upload, dav, f"up {n}", size, seed=n + 1) for n in range(STREAMS)]
            downs = [pool.submit(dav.sha256, "source") for _ in range(STREAMS)]
            assert [down.result() for down in downs] == [expected] * STREAMS
            sent = [up.result() for up in ups]
        peak = peak_memory(demo.pid)
        print(f"peak of resident memory: {peak / (1 << 20):.0f} MiB")
        assert peak < LIMIT
        assert [dav.sha256(f"up {number}") for number in range(STREAMS)] == sent
        assert peak_memory(demo.pid) < LIMIT


def upload(dav: Dav, path: str, size: int, *, seed: int) -> str:
    """Stream a file of ``size`` bytes; returns its SHA-256."""
    digest = hashlib.sha256()

    def blocks() -> Iterator[bytes]:
        block = bytearray(random.Random(seed).randbytes(BLOCK))
        for number in range(size // BLOCK):
            block[:8] = number.to_bytes(8, "big")
            digest.update(block)
            yield bytes(block)

    dav.put(path, blocks(), {"Content-Length": str(size)})
    return digest.hexdigest()
