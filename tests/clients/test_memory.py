"""Resident memory does not grow with the size of what streams through."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.dav import Dav
from tests.clients.demos import NewDemo
from tests.clients.resident import peak_memory

MEBIBYTE = 1 << 20

BLOCK = MEBIBYTE


@dataclass(frozen=True)
class Load:
    """So many streams at once, and the bytes of memory that the server may ever have taken."""

    ups: int
    downs: int
    resident: int


LOADS = {
    "local": Load(8, 8, 200 * MEBIBYTE),
    # By default four large uploads go on at once, and the process keeps within 1 GiB and 350 MiB.
    "storj": Load(4, 8, 1374 * MEBIBYTE),
}

SIZES = {
    "short": {"local": 64 * MEBIBYTE, "storj": 64 * MEBIBYTE},
    # More segments than are held; every byte is sent to four nodes of this very machine.
    "long": {"local": 1024 * MEBIBYTE, "storj": 320 * MEBIBYTE},
}


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("short", marks=[pytest.mark.timeout(600)]),
        pytest.param("long", marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
def test_streams_up_and_down_at_once_take_bounded_memory(
    form: str, store_kind: str, new_demo: NewDemo, tmp_path: Path
) -> None:
    load, size = LOADS[store_kind], SIZES[form][store_kind]
    with new_demo(tmp_path) as demo:
        dav = Dav(demo.url, demo.username, demo.password, timeout=600)
        expected = upload(dav, "source", size, seed=0)
        with ThreadPoolExecutor(load.ups + load.downs) as pool:
            ups = [pool.submit(upload, dav, f"up {n}", size, seed=n + 1) for n in range(load.ups)]
            downs = [pool.submit(dav.sha256, "source") for _ in range(load.downs)]
            assert [down.result() for down in downs] == [expected] * load.downs
            sent = [up.result() for up in ups]
        peak = peak_memory(demo.pid)
        print(f"peak of resident memory: {peak // MEBIBYTE} MiB")
        assert peak < load.resident
        assert [dav.sha256(f"up {number}") for number in range(load.ups)] == sent
        assert peak_memory(demo.pid) < load.resident


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
