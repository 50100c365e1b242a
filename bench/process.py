"""A server process under measurement: its start, end, processor time and peak memory."""

from __future__ import annotations

import os
import re
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

STOP_LIMIT = 15.0
"""Seconds a server is given to end by SIGTERM before it is killed."""

_TICK = os.sysconf("SC_CLK_TCK")


class ServerFailed(Exception):
    """A server did not start, died, or answered a request with an error."""


def stop_by_sigterm() -> None:
    """Let SIGTERM unwind this program as Ctrl-C does, so that it ends the servers it started."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)


class Process:
    """One child process with its own children, in a session of its own. A context manager."""

    def __init__(
        self, command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._log_path = log
        with log.open("wb") as sink:
            self._child: subprocess.Popen[bytes] = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=sink,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def first_line(self, limit: float) -> str:
        """The first line of standard output, within ``limit`` seconds."""
        out = self._stdout
        end = time.monotonic() + limit
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, end - time.monotonic())):
                    raise ServerFailed(f"no first line within {limit:.0f} s: {self.log_tail()}")
                got = os.read(out.fileno(), 1)
                if not got:
                    raise ServerFailed(f"ended before its first line: {self.log_tail()}")
                line += got
        return line.decode()

    def find_in_log(self, pattern: str, limit: float) -> re.Match[str]:
        """Wait up to ``limit`` seconds for ``pattern`` in standard error."""
        end = time.monotonic() + limit
        while time.monotonic() < end and self.alive:
            if found := re.search(pattern, self._log_path.read_text(errors="replace")):
                return found
            time.sleep(0.02)
        raise ServerFailed(f"did not start within {limit:.0f} s: {self.log_tail()}")

    def accepts(self, host: str, port: int, limit: float) -> bool:
        """Whether it takes connections there within ``limit`` seconds."""
        end = time.monotonic() + limit
        while time.monotonic() < end and self.alive:
            with suppress(OSError), socket.create_connection((host, port), 1.0):
                return True
            time.sleep(0.02)
        return False

    def log_tail(self) -> str:
        """The end of standard error, for a message."""
        return self._log_path.read_text(errors="replace")[-800:].strip() or "(no output)"

    def reset_peak(self) -> None:
        """Forget the peak of resident memory so far (Linux: proc(5), clear_refs, 5)."""
        for pid in self._pids():
            with suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text("5", "ascii")

    def peak_bytes(self) -> int:
        """VmHWM since ``reset_peak``, summed over the process and its children."""
        total = 0
        for pid in self._pids():
            with suppress(OSError):
                found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
                total += int(found[1]) * 1024 if found else 0
        return total

    def resident_bytes(self) -> int:
        """VmRSS now, summed over the process and its children."""
        total = 0
        for pid in self._pids():
            with suppress(OSError):
                found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
                total += int(found[1]) * 1024 if found else 0
        return total

    def cpu_seconds(self) -> float:
        """Processor time used so far by the process and its living children."""
        total = 0
        for pid in self._pids():
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total / _TICK

    def stop(self) -> None:
        """End it, politely first; returns when it is gone."""
        if self.alive:
            self._child.terminate()
            try:
                self._child.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                # Its own session, so the group holds only what this server started.
                os.killpg(self._child.pid, signal.SIGKILL)
                self._child.wait()
        self._stdout.close()

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._child.stdout is not None
        return self._child.stdout

    def _pids(self) -> list[int]:
        """The process and all its descendants; most servers here have none."""
        found = [self._child.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                with suppress(OSError):
                    found += [int(child) for child in task.read_text().split()]
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
