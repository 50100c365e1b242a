"""Log lines on their way out, so that nobody waits for whoever reads them.

A log collector that hangs, or a pipe that nobody reads, would stop the event loop at the first
line it does not take, and every client with it. Lines wait here, up to a bound; beyond it they
are dropped and counted.
"""

from __future__ import annotations

import json
import os
import threading
from queue import SimpleQueue

MOST_LINES = 10_000
"""Lines that may wait."""


class Drain:
    """A text stream onto the file descriptor ``fd``, written by a thread of its own."""

    def __init__(self, fd: int, most: int = MOST_LINES) -> None:
        self._fd = fd
        self._most = most
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._dropped = 0
        # A daemon: where nobody reads, the process must still be able to end.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Queue a line; never waits."""
        if self._lines.qsize() < self._most:
            self._lines.put(text)
        else:
            self._dropped += 1
        return len(text)

    def flush(self) -> None:
        """Nothing to do: the thread writes as soon as it can."""

    def isatty(self) -> bool:
        """Whether a person reads along."""
        return os.isatty(self._fd)

    def close(self, limit: float = 1.0) -> None:
        """Write what waits, for ``limit`` seconds at most."""
        self._lines.put(None)
        self._thread.join(limit)

    def _run(self) -> None:
        while (text := self._lines.get()) is not None:
            parts = [text]
            over = False
            while not self._lines.empty() and len(parts) < 100:
                more = self._lines.get()
                if more is None:
                    over = True
                    break
                parts.append(more)
            dropped, self._dropped = self._dropped, 0
            if dropped:
                lost = {"event": "log lines dropped", "level": "warning", "lines": dropped}
                parts.append(json.dumps(lost) + "\n")
            self._write("".join(parts).encode("utf-8", "backslashreplace"))
            if over:
                return

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            return  # nobody will ever read it: the pipe is closed or the disk full
