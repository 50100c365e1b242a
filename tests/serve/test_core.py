"""Threads held on one processor: held and freed for real, the choice from figures made up."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.http.limits import Limits
from bridge.http.pool import Workers
from bridge.serve.core import Core, usable

if len(usable()) < 2:
    pytest.skip("needs two processors to choose from", allow_module_level=True)

FIRST, SECOND = sorted(usable())[:2]
HERTZ = os.sysconf("SC_CLK_TCK")


def affinity_after(*calls: Callable[[], None]) -> set[int]:
    """Where a new thread may run when it has made the calls."""
    found: list[set[int]] = []

    def run() -> None:
        for call in calls:
            call()
        found.append(os.sched_getaffinity(0))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


class Proc:
    """A made-up ``/proc`` that says how long each processor was idle, in seconds."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "self/task").mkdir(parents=True)

    def say(self, idle: dict[int, float], waiting: float = 0.0) -> None:
        lines = ["cpu  1 2 3 4 5 6 7 8 9 10"]
        for number, seconds in idle.items():
            ticks = int((seconds - waiting) * HERTZ)
            lines.append(f"cpu{number} 100 0 100 {ticks} {int(waiting * HERTZ)} 0 0 0 0 0")
        lines.append("intr 1 2 3")
        (self.root / "stat").write_text("\n".join(lines) + "\n")

    def say_run(self, thread: int, seconds: float) -> None:
        folder = self.root / "self/task" / str(thread)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "schedstat").write_text(f"{int(seconds * 1e9)} 12345 6\n")


class Clock:
    """Seconds, by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def core(proc: Proc, clock: Clock) -> Core:
    return Core({FIRST, SECOND}, proc=proc.root, clock=clock)


def test_a_held_thread_has_one_processor_and_a_freed_one_all() -> None:
    core = Core(usable())
    assert len(affinity_after(core.hold)) == 1
    assert affinity_after(core.hold, core.free) == usable()
    assert affinity_after() == usable()


def test_all_held_threads_share_the_processor() -> None:
    core = Core(usable())
    assert affinity_after(core.hold) == affinity_after(core.hold)


@pytest.mark.parametrize("allowed", [(), (FIRST,)])
def test_without_a_choice_nothing_is_held(allowed: tuple[int, ...]) -> None:
    core = Core(allowed)
    core.start()
    assert affinity_after(core.hold, core.free) == usable()
    core.close()


def test_a_processor_with_clearly_more_room_is_moved_to(
    core: Core, proc: Proc, clock: Clock
) -> None:
    proc.say({FIRST: 50, SECOND: 50})
    core.look()
    clock.now += 2
    proc.say({FIRST: 50.2, SECOND: 51.9})
    core.look()
    assert affinity_after(core.hold) == {SECOND}


def test_threads_already_held_move_along(core: Core, proc: Proc, clock: Clock) -> None:
    held, moved = threading.Event(), threading.Event()
    found: list[set[int]] = []

    def run() -> None:
        core.hold()
        held.set()
        moved.wait(10)
        found.append(os.sched_getaffinity(0))

    thread = threading.Thread(target=run)
    thread.start()
    held.wait(10)
    proc.say({FIRST: 0, SECOND: 0})
    core.look()
    clock.now += 2
    proc.say({FIRST: 0, SECOND: 2})
    core.look()
    moved.set()
    thread.join()
    assert found == [{SECOND}]


def test_a_little_more_room_is_not_worth_a_move(core: Core, proc: Proc, clock: Clock) -> None:
    proc.say({FIRST: 0, SECOND: 0})
    core.look()
    clock.now += 2
    proc.say({FIRST: 1.5, SECOND: 1.9})
    core.look()
    assert affinity_after(core.hold) == {FIRST}


def test_what_the_held_threads_use_themselves_is_room_to_them(
    core: Core, proc: Proc, clock: Clock
) -> None:
    held, done = threading.Event(), threading.Event()

    def run() -> None:
        core.hold()
        held.set()
        done.wait(10)

    thread = threading.Thread(target=run)
    thread.start()
    held.wait(10)
    assert thread.native_id is not None
    proc.say({FIRST: 0, SECOND: 0})
    proc.say_run(thread.native_id, 10)
    core.look()
    clock.now += 2
    proc.say({FIRST: 0.1, SECOND: 2})
    proc.say_run(thread.native_id, 11.8)
    core.look()
    done.set()
    thread.join()
    assert affinity_after(core.hold) == {FIRST}


def test_waiting_for_disks_is_idle(core: Core, proc: Proc, clock: Clock) -> None:
    proc.say({FIRST: 100, SECOND: 100}, waiting=10)
    core.look()
    clock.now += 2
    proc.say({FIRST: 102, SECOND: 102}, waiting=11.5)
    core.look()
    assert affinity_after(core.hold) == {FIRST}


def test_a_processor_that_is_not_ours_is_left_alone(core: Core, proc: Proc, clock: Clock) -> None:
    other = max(usable()) + 1
    proc.say({FIRST: 0, SECOND: 0, other: 0})
    core.look()
    clock.now += 2
    proc.say({FIRST: 0, SECOND: 0.1, other: 2})
    core.look()
    assert affinity_after(core.hold) == {FIRST}


def test_only_what_is_short_is_held_in_a_server_whose_loop_is() -> None:
    found: dict[str, set[int]] = {}

    async def main() -> None:
        core = Core(usable())
        core.hold()
        workers = Workers.within(Limits(), begin_quick=core.hold, begin_other=core.free)
        for pool in (workers.quick, workers.bulk, workers.patient, workers.sign_in):
            found[pool.name] = await pool.run(lambda: os.sched_getaffinity(0))
        found["loop"] = os.sched_getaffinity(0)
        workers.close()

    affinity_after(lambda: asyncio.run(main()))
    assert len(found["loop"]) == 1
    assert found == {
        "loop": found["loop"],
        "quick": found["loop"],
        "bulk": usable(),
        "patient": usable(),
        "sign-in": found["loop"],
    }


def test_a_thread_that_a_held_one_starts_is_freed_by_the_next_look() -> None:
    core = Core({FIRST, SECOND})
    found: list[set[int]] = []

    def child() -> None:
        found.append(os.sched_getaffinity(0))
        core.look()
        found.append(os.sched_getaffinity(0))

    def parent() -> None:
        core.hold()
        thread = threading.Thread(target=child)
        thread.start()
        thread.join()
        found.append(os.sched_getaffinity(0))

    holder = threading.Thread(target=parent)
    holder.start()
    holder.join()
    assert found == [{FIRST}, {FIRST, SECOND}, {FIRST}]
