"""``kill -9`` of ``storj-bridge keys`` while clients write to the service: no file may be lost.

``tests/tenants/test_rotation_crash.py`` is the short form, with leases that run out sooner. Here
everything is as operators have it, so that one rotation takes some two minutes.
"""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.app import Services
from bridge.settings import load
from bridge.tenants.keks import new_kek
from tests.clients.configuration import configuration
from tests.clients.dav import Dav
from tests.clients.demos import NewDemo
from tests.clients.writers import Writer
from tests.processes import Demo, bridge_command, clean_environment, run_bridge

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

MORE_STORES = ("storj",)

WRITERS = 3

KILLED = 4
"""Times that each rotation is killed before it may come to its end."""

PATIENCE = 600.0
"""Seconds until a rotation must have come to its end, others' leases being waited for too."""


@pytest.fixture
def chance() -> random.Random:
    seed = os.environ.get("KILL_SEED") or secrets.token_hex(4)
    print(f"KILL_SEED={seed}")
    return random.Random(seed)


def test_no_file_is_lost_to_a_tenant_s_rotation_that_is_killed(
    new_demo: NewDemo, tmp_path: Path, chance: random.Random
) -> None:
    with new_demo(tmp_path) as demo:
        file = configuration(demo)
        before = root_keys(file)
        with written(demo, chance) as writers:
            for _ in range(KILLED):
                killed("rotate-tenant", "demo", file=file, after=chance.uniform(1, 40))
                going_on(writers)
            ended("rotate-tenant", "demo", file=file)
        now = root_keys(file)
        assert len(now) == 1
        assert not now & before
        settled(demo, file, writers)


def test_no_file_is_lost_to_a_rotation_of_the_operator_s_key_that_is_killed(
    new_demo: NewDemo, tmp_path: Path, chance: random.Random
) -> None:
    with new_demo(tmp_path) as demo:
        file = configuration(demo)
        for number in range(20):
            made = run_bridge("credential", "create", "demo", f"c{number}", "--config", str(file))
            assert made.returncode == 0, made.stderr
        keys = demo.data / "kek"
        old, new = keys.read_text(), new_kek() + "\n"
        demo.stop()
        keys.write_text(new + old)
        demo.start()
        with written(demo, chance) as writers:
            for _ in range(KILLED):
                killed("rotate-kek", file=file, after=chance.uniform(1, 5))
                going_on(writers)
            ended("rotate-kek", file=file)
        demo.stop()
        keys.write_text(new)
        demo.start()
        settled(demo, file, writers)


def killed(*command: str, file: Path, after: float) -> None:
    """Begin it, and kill it ``after`` seconds unless it has ended by itself."""
    with subprocess.Popen(
        bridge_command("keys", *command, "--config", str(file)),
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as program:
        try:
            said, _ = program.communicate(timeout=after)
            print(f"{command[0]} ended before it was killed: {said.splitlines()[-1]}")
        except subprocess.TimeoutExpired:
            program.kill()


def ended(*command: str, file: Path) -> None:
    """Do it to its end, once the lease of whoever was killed has run out."""
    ends = time.monotonic() + PATIENCE
    said = ""
    while time.monotonic() < ends:
        done = subprocess.run(
            bridge_command("keys", *command, "--config", str(file)),
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode == 0:
            return
        said = done.stdout + done.stderr
        time.sleep(5)
    pytest.fail(f"{command[0]} does not come to its end: {said}")


def root_keys(file: Path) -> set[bytes]:
    """The ids of the root keys in the demo's keyring."""
    with Services.open(load(file), configured=False) as services:
        return set(services.tenant("demo").keyrings.newest()[0].trks)


@contextmanager
def written(demo: Demo, chance: random.Random) -> Iterator[list[Writer]]:
    """Writers at work until the block ends."""
    dav = Dav(demo.url, demo.username, demo.password)
    writers = [Writer(dav, f"writer {number}") for number in range(WRITERS)]
    for writer in writers:
        dav.mkcol(writer.folder)
    stop = threading.Event()
    threads = [
        threading.Thread(target=writer.run, args=(random.Random(chance.getrandbits(64)), stop))
        for writer in writers
    ]
    for thread in threads:
        thread.start()
    try:
        yield writers
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def going_on(writers: list[Writer]) -> None:
    """Nobody was refused anything, and all have gone on."""
    before = [writer.acknowledged for writer in writers]
    time.sleep(1)
    assert [writer.refused for writer in writers] == [[] for _ in writers]
    assert all(now.acknowledged > then for now, then in zip(writers, before, strict=True))


def settled(demo: Demo, file: Path, writers: list[Writer]) -> None:
    """All that was acknowledged reads back, also after a restart, and fsck finds nothing lost."""
    for writer in writers:
        assert writer.refused == []
        writer.settle()
    demo.restart(kill=True)
    for writer in writers:
        writer.settle()
    print(f"{sum(writer.acknowledged for writer in writers)} acknowledged changes")
    checked = run_bridge("fsck", "--config", str(file))
    assert checked.returncode == 0, checked.stdout + checked.stderr
