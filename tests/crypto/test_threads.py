"""One vault's keys serve every thread of the process at once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from bridge.crypto.body import HEADER_SIZE, BodyOpener
from tests.crypto.sample import a_file, content, new_vault, seal

THREADS = 16
ROUNDS = 60
MANY = 10_000


def at_once(work: Callable[[int], None]) -> None:
    """``work`` in THREADS threads, begun together; raises what any of them does."""
    start = threading.Barrier(THREADS)

    def begin(number: int) -> None:
        start.wait(30)
        work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(begin, number) for number in range(THREADS)]:
            done.result(60)


def test_sixteen_threads_seal_and_open_names_and_records_of_one_vault() -> None:
    keys = new_vault()
    names: dict[tuple[int, int], str] = {}

    def work(number: int) -> None:
        for turn in range(ROUNDS):
            name = f"{number} G\u00e4rten {turn}"
            parent = bytes((number,)) * 16
            names[number, turn] = sealed = keys.names.seal(parent, name)
            assert keys.names.open(parent, sealed) == name
            record = a_file(size=turn, shown_name=name, object_id=bytes((number,)) * 16)
            assert keys.open_record(keys.seal_record(record)) == record
            assert keys.open_spill(keys.seal_spill({"a": name})) == {"a": name}

    at_once(work)
    assert len(set(names.values())) == THREADS * ROUNDS


def test_sixteen_threads_seal_bodies_of_one_vault_and_open_ranges_of_one_body() -> None:
    keys = new_vault()
    plain = content(300_000)
    sealer, shared = seal(keys, plain)
    opener = BodyOpener(sealer.file_key, sealer.payload_nonce, len(plain))
    key_uses = []

    def work(number: int) -> None:
        for turn in range(8):
            first = (number + turn) % 4
            part = shared[HEADER_SIZE + first * 65_552 : HEADER_SIZE + (first + 2) * 65_552]
            assert opener.open(part, first) == plain[first * 65_536 : (first + 2) * 65_536]
            own, stored = seal(keys, plain[: 70_000 + number])
            assert keys.open_header(stored[:HEADER_SIZE]) == (own.file_key, own.payload_nonce)
            again = keys.body_opener(own.file_key, own.payload_nonce, own.size)
            assert again.open(stored[HEADER_SIZE:], 0) == plain[: 70_000 + number]
            key_uses.append(own.file_key)

    at_once(work)
    assert len(set(key_uses)) == THREADS * 8


def test_a_listing_of_10_000_is_opened_in_a_fraction_of_a_second() -> None:
    """On an idle core it takes about 120 ms; the limit leaves room for a slow machine."""
    keys, parent = new_vault(), os.urandom(16)
    listed = [
        (keys.names.seal(parent, f"file {number:05}.txt"), keys.seal_record(a_file(size=number)))
        for number in range(MANY)
    ]
    took = []
    for _ in range(3):
        begun = time.thread_time()  # of this thread alone: others share the machine
        for name, record in listed:
            keys.names.open(parent, name)
            keys.open_record(record)
        took.append(time.thread_time() - begun)
    print(f"{MANY} names and records opened: {median(took) * 1000:.0f} ms of one core")
    assert min(took) < 1
