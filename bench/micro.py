"""``python -m bench.micro``: what single operations inside the bridge take, in microseconds.

For developers: the parts of a request, each alone. Medians of several rounds.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import click

from bridge.crypto.age import generate_identity
from bridge.crypto.body import CHUNK, SEALED_CHUNK
from bridge.crypto.keyring import Keyring
from bridge.crypto.record import Kind, Record
from bridge.crypto.vault import VaultKeys
from bridge.http.pool import Pool
from bridge.state.api import LeaseName, Touch
from bridge.state.database import open_state
from bridge.store.local.store import LocalStore

BLOCK = 16 * CHUNK
MANY = 10_000
SMALL = os.urandom(4096)


class Operation(NamedTuple):
    """``run`` does the operation ``times`` times; bytes moved by one of them, or 0."""

    name: str
    times: int
    run: Callable[[], None]
    size: int = 0


@click.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option("--only", default="", help="Only operations whose name contains this.")
@click.option(
    "--disk",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Keep files below this folder instead of in memory (/dev/shm).",
)
def main(rounds: int, only: str, disk: Path | None) -> None:
    """Print the median of each operation's time."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=disk or "/dev/shm") as place:
        print(f"{'operation':<44} {'us/op':>10} {'MB/s':>8}")
        parts = _bodies(), _entries(), _store(Path(place)), _state(Path(place)), _hops()
        for operations in parts:
            for operation in operations:
                if only in operation.name:
                    _measure(operation, rounds)


def _measure(operation: Operation, rounds: int) -> None:
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        operation.run()
        took.append((time.perf_counter() - start) / operation.times)
    median = statistics.median(took)
    rate = f"{operation.size / median / 1e6:8.0f}" if operation.size else ""
    print(f"{operation.name:<44} {median * 1e6:>10.1f} {rate}", flush=True)


def _keys() -> VaultKeys:
    _, recipient = generate_identity()
    return VaultKeys(Keyring.generate("bench", recipient))


def _bodies() -> Iterator[Operation]:
    keys = _keys()
    block = os.urandom(BLOCK)

    def new_bodies() -> None:
        for _ in range(200):
            keys.new_body()

    yield Operation("crypto: new body (keys and header)", 200, new_bodies)
    sealer = keys.new_body()
    sealer.update(block)

    def seal() -> None:
        for _ in range(200):
            sealer.update(block)

    yield Operation("crypto: seal 1 MiB", 200, seal, BLOCK)
    whole = keys.new_body()
    sealed = bytes(whole.update(block + b"-"))[: 16 * SEALED_CHUNK]
    opener = keys.body_opener(whole.file_key, whole.payload_nonce, 64 * BLOCK)

    def open_blocks() -> None:
        for _ in range(200):
            opener.open(sealed, 0)

    yield Operation("crypto: open 1 MiB", 200, open_blocks, BLOCK)


def _entries() -> Iterator[Operation]:
    keys = _keys()
    parent = keys.root_directory_id
    names = [f"{number:05d}.bin" for number in range(MANY)]
    record = Record(
        kind=Kind.FILE,
        object_id=os.urandom(16),
        size=4096,
        mtime=1.7e9,
        created=1.7e9,
        etag=f"{os.urandom(16).hex()}-1",
        content_type="application/octet-stream",
        file_key=os.urandom(16),
        payload_nonce=os.urandom(16),
    )
    sealed_names = [keys.names.seal(parent, name) for name in names]
    sealed_records = [keys.seal_record(record) for _ in names]

    def seal_names() -> None:
        for name in names:
            keys.names.seal(parent, name)

    def open_names() -> None:
        for name in sealed_names:
            keys.names.open(parent, name)

    def seal_records() -> None:
        for _ in names:
            keys.seal_record(record)

    def open_records() -> None:
        for text in sealed_records:
            keys.open_record(text)

    yield Operation("crypto: seal a name (of 10,000)", MANY, seal_names)
    yield Operation("crypto: open a name (of 10,000)", MANY, open_names)
    yield Operation("crypto: seal a record (of 10,000)", MANY, seal_records)
    yield Operation("crypto: open a record (of 10,000)", MANY, open_records)


def _store(place: Path) -> Iterator[Operation]:
    store = LocalStore(place / "store")
    metadata = {"record": "r" * 390}
    keys = [f"v/d/folder/{number:05d}{'n' * 30}" for number in range(MANY)]
    fresh = iter(range(10**9))

    def put_all(names: list[str]) -> None:
        for name in names:
            upload = store.put(name)
            upload.write(SMALL)
            upload.commit(metadata)

    def put_new() -> None:
        put_all([f"v/d/new/{next(fresh)}" for _ in range(500)])

    def stat() -> None:
        for name in keys[:2000]:
            store.stat(name)

    def get() -> None:
        buffer = memoryview(bytearray(len(SMALL)))
        for name in keys[:2000]:
            with store.get(name) as download:
                download.readinto(buffer)

    def move() -> None:
        for name in keys[:500]:
            store.move(name, f"{name}-moved")
            store.move(f"{name}-moved", name)

    def list_all() -> None:
        assert sum(1 for _ in store.list("v/d/folder/")) == MANY

    def delete() -> None:
        for name in keys[:500]:
            store.delete(name)
        put_all(keys[:500])

    try:
        put_all(keys)
        yield Operation("store: put a new object of 4 KiB", 500, put_new)
        yield Operation("store: stat", 2000, stat)
        yield Operation("store: get 4 KiB", 2000, get)
        yield Operation("store: move", 1000, move)
        yield Operation("store: list one of 10,000", MANY, list_all)
        yield Operation("store: delete and put 4 KiB", 500, delete)
    finally:
        store.close()


def _state(place: Path) -> Iterator[Operation]:
    state = open_state(place / "state.db")
    tree = state.tree("bench")
    folders = [os.urandom(16) for _ in range(4)]

    def lease() -> None:
        for number in range(300):
            name = LeaseName(folders[0], number.to_bytes(4, "big"))
            with tree.acquire([name], [Touch(folders[0], links=False)], wait=1.0) as held:
                held.finish()

    def read() -> None:
        for _ in range(1000):
            tree.read(folders)

    def any_lock() -> None:
        locks = state.locks("bench")
        for _ in range(1000):
            locks.any()

    try:
        yield Operation("state: acquire and finish a lease", 300, lease)
        yield Operation("state: read 4 directories", 1000, read)
        yield Operation("state: whether there is any lock", 1000, any_lock)
    finally:
        state.close()


def _hops() -> Iterator[Operation]:
    """To a worker thread and back, for a call that does nothing; by asyncio's own loop."""

    def hops(at_once: int, each: int) -> None:
        async def client(pool: Pool, tenant: str) -> None:
            for _ in range(each):
                await pool.run(_nothing, line=tenant)

        async def clients() -> None:
            pool = Pool("bench", 32)
            await asyncio.gather(*(client(pool, f"tenant {n % 4}") for n in range(at_once)))
            pool.close()

        asyncio.run(clients())

    yield Operation("pool: a hop", 2000, lambda: hops(1, 2000))
    yield Operation("pool: a hop of 200 at once, 4 tenants", 10_000, lambda: hops(200, 50))


def _nothing() -> None:
    pass


if __name__ == "__main__":
    main()
