"""Keeps the event loop and its quick workers on one processor.

They take turns at the interpreter's lock, so one of them runs at a time however many processors
there are; but spread over several, each turn wakes another processor, and that costs as much as
a small request itself (docs/adr/0010-one-core.md). What does run in parallel is left alone:
encryption of large bodies, disks, other programs.

The processor is the one with the most room, and is chosen anew every few seconds. Linux only:
elsewhere nothing is held.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog

_log = structlog.get_logger()

LOOK_SECONDS = 2.0
"""How often the choice is looked at again."""

MARGIN = 0.25
"""How much more room, as a share of a processor, another one must have to be moved to."""

_TICK = 1 / os.sysconf("SC_CLK_TCK")


class Sample(NamedTuple):
    """Seconds since some beginning: by the clock, idle on each processor, run by held threads."""

    clock: float
    idle: Mapping[int, float]
    ours: float


def usable() -> Collection[int]:
    """The processors that the calling thread may use; none where the system does not tell."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()


class Core:
    """The threads that called ``hold``, together on one of the processors ``allowed``.

    With fewer than two of them nothing is held. A thread that a held one starts is bound to the
    same processor by the system, until it calls ``free`` or the next look frees it.
    """

    def __init__(
        self,
        allowed: Collection[int],
        *,
        proc: Path = Path("/proc"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowed = frozenset(allowed)
        self._proc = proc
        self._clock = clock
        self._held: set[int] = set()
        self._mutex = threading.Lock()
        self._current = min(self._allowed, default=0)
        self._last: Sample | None = None
        self._stopped = threading.Event()

    @property
    def possible(self) -> bool:
        """Whether there is anything to choose from."""
        return len(self._allowed) > 1

    def hold(self) -> None:
        """Hold the calling thread from now on."""
        thread = threading.get_native_id()
        with self._mutex:
            if self.possible and self._place(thread):
                self._held.add(thread)

    def free(self) -> None:
        """Let the calling thread run on all of the processors."""
        if self.possible:
            with suppress(OSError):  # one was taken away; where it is then, it can stay
                os.sched_setaffinity(0, self._allowed)

    def start(self) -> None:
        """Look for the best processor now and every few seconds, until ``close``."""
        if self.possible:
            threading.Thread(target=self._keep_looking, name="core", daemon=True).start()

    def close(self) -> None:
        """Look no more."""
        self._stopped.set()

    def look(self) -> None:
        """Move to the processor that had the most room since the last look, if that is worth it."""
        self._free_strays()
        sample, last = self._sample(), self._last
        self._last = sample
        if last is None or sample.clock <= last.clock:
            return
        seconds = sample.clock - last.clock
        room = {
            number: (sample.idle[number] - last.idle[number]) / seconds
            for number in self._allowed & sample.idle.keys() & last.idle.keys()
        }
        best = max(room, key=lambda number: room[number], default=self._current)
        # What the held threads use themselves is room to them.
        here = room.get(self._current, 0.0) + (sample.ours - last.ours) / seconds
        if room.get(best, 0.0) > here + MARGIN:
            self._move(best)

    def _move(self, number: int) -> None:
        with self._mutex:
            _log.debug("moving to another processor", old=self._current, new=number)
            self._current = number
            self._held = {thread for thread in self._held if self._place(thread)}

    def _free_strays(self) -> None:
        """Free the threads that held ones have started: Go starts its own when it likes."""
        for entry in os.scandir(self._proc / "self/task"):
            thread = int(entry.name)
            with self._mutex, suppress(OSError):  # it may have ended
                if thread not in self._held and os.sched_getaffinity(thread) != self._allowed:
                    os.sched_setaffinity(thread, self._allowed)

    def _place(self, thread: int) -> bool:
        """Hold one thread; False if it has ended, or the processor is no longer ours to use."""
        try:
            os.sched_setaffinity(thread, {self._current})
        except OSError:
            return False
        return True

    def _keep_looking(self) -> None:
        self.free()
        try:
            while not self._stopped.wait(LOOK_SECONDS if self._last else 0):
                self.look()
        except OSError as error:
            _log.warning("the processor is no longer chosen anew: /proc fails", exc_info=error)

    def _sample(self) -> Sample:
        return Sample(self._clock(), self._idle(), sum(map(self._run, list(self._held))))

    def _idle(self) -> dict[int, float]:
        """Seconds idle or waiting for disks (``man 5 proc_stat``: the 4th and 5th figure)."""
        found = {}
        for line in (self._proc / "stat").read_text().splitlines():
            name, *ticks = line.split()
            if name.startswith("cpu") and name != "cpu":
                found[int(name[3:])] = (int(ticks[3]) + int(ticks[4])) * _TICK
        return found

    def _run(self, thread: int) -> float:
        """Seconds a thread has run (``man 5 proc_pid_schedstat``: nanoseconds); 0 if it ended."""
        try:
            text = (self._proc / f"self/task/{thread}/schedstat").read_text()
        except FileNotFoundError:
            return 0.0
        return int(text.split()[0]) * 1e-9
