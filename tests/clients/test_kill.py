"""``kill -9`` of the server during random writes, again and again on the same data.

Every acknowledged write must read back whole, and of one under way either nothing or all.
"""

from __future__ import annotations

import hashlib
import os
import random
import secrets
import threading
import time
from http.client import HTTPException
from pathlib import Path

import pytest

from bridge.settings.loading import load
from bridge.stores import late_seconds
from tests.clients.configuration import configuration
from tests.clients.dav import Dav
from tests.clients.demos import NewDemo, StorjDemo
from tests.clients.writers import Writer
from tests.processes import Demo, run_bridge

MORE_STORES = ("storj",)

WRITERS = 4

LONGEST_LIFE = {"local": 0.8, "storj": 2.0}
"""Seconds a server lives under the writers at most: as long as some large uploads take."""

ROUNDS = {"short": {"local": 5, "storj": 2}, "long": {"local": 200, "storj": 100}}
"""On Storj fewer, since after each every file is fetched from the network again."""


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("short", marks=[pytest.mark.timeout(600)]),
        pytest.param("long", marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
    ],
)
def test_no_acknowledged_write_is_lost_and_none_is_half_there(
    form: str, store_kind: str, new_demo: NewDemo, tmp_path: Path
) -> None:
    seed = os.environ.get("KILL_SEED") or secrets.token_hex(4)
    print(f"KILL_SEED={seed}")
    rounds = ROUNDS[form][store_kind]
    with new_demo(tmp_path) as demo:
        dav = Dav(demo.url, demo.username, demo.password)
        writers = [Writer(dav, f"writer {number}") for number in range(WRITERS)]
        shared = Shared(dav)
        for folder in (*(writer.folder for writer in writers), shared.folder):
            dav.mkcol(folder)
        for turn in range(rounds):
            chance = random.Random(f"{seed}/{turn}")
            life = chance.uniform(0.02, LONGEST_LIFE[store_kind])
            kill_under_writers(demo, writers, shared, life, chance)
            demo.start()
            for writer in writers:
                assert writer.refused == []
                writer.settle()
            shared.check()
            assert dav.names("") == sorted([*(each.folder for each in writers), shared.folder])
        demo.stop()
        repair(demo)
        demo.start()
        for writer in writers:
            writer.settle()
        acknowledged = sum(writer.acknowledged for writer in writers)
        print(f"{rounds} rounds, {acknowledged} acknowledged changes")
        assert acknowledged > rounds


def repair(demo: Demo) -> None:
    """Remove what interrupted changes have left behind; afterwards nothing must be found."""
    file = configuration(demo)
    # Until then the leases of the last crash are no finding: what it began may still happen.
    time.sleep(late_seconds(load(file).store))
    arguments = ("fsck", "--config", str(file), "--min-age", "0")
    repaired = run_bridge(*arguments, "--repair")
    print(repaired.stdout.splitlines()[-1])
    checked = run_bridge(*arguments)
    assert checked.returncode == 0, repaired.stdout + checked.stdout + checked.stderr
    if isinstance(demo, StorjDemo):
        assert demo.bucket_state().pending == 0


def kill_under_writers(
    demo: Demo, writers: list[Writer], shared: Shared, life: float, chance: random.Random
) -> None:
    """Let all write what ``chance`` chooses at once, and kill the server after ``life`` seconds."""
    stop = threading.Event()
    work = [writer.run for writer in writers] + [shared.run, shared.run]
    threads = [
        threading.Thread(target=each, args=(random.Random(chance.getrandbits(64)), stop))
        for each in work
    ]
    for thread in threads:
        thread.start()
    stop.wait(life)
    demo.kill()
    stop.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a writer still waits for a server that is dead"


class Shared:
    """One file that several write at once, whose content proves itself: its own digest first."""

    folder = "shared"

    def __init__(self, dav: Dav) -> None:
        self._dav = dav
        self._acknowledged = False

    def run(self, chance: random.Random, stop: threading.Event) -> None:
        """Overwrite the file until ``stop`` or a broken connection."""
        while not stop.is_set():
            body = chance.randbytes(chance.choice((0, 5_000, 200_000, 2_500_000)))
            try:
                self._dav.put(f"{self.folder}/file", hashlib.sha256(body).digest() + body)
            except (OSError, HTTPException):
                return
            self._acknowledged = True

    def check(self) -> None:
        """Fail unless one whole version is there, if one was ever acknowledged."""
        names = self._dav.names(self.folder)
        assert names in ([], ["file"])
        assert names or not self._acknowledged
        if names:
            content = self._dav.get(f"{self.folder}/file")
            assert hashlib.sha256(content[32:]).digest() == content[:32]
