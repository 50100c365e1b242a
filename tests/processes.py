"""The bridge as a real process, as users run it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

from tests import secrecy

START_LIMIT = 60.0
"""Seconds until a started bridge must have said that it accepts requests."""

STOP_LIMIT = 30.0
"""Seconds until a bridge that was told to stop must be gone."""


def bridge_command(*arguments: str) -> list[str]:
    """The command line that runs the bridge under this very Python."""
    return [sys.executable, "-m", "bridge", *arguments]


def run_bridge(
    *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of the bridge to its end; text captured, any exit code."""
    return subprocess.run(
        bridge_command(*arguments),
        env=clean_environment() | dict(env or {}),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=START_LIMIT,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def clean_environment() -> dict[str, str]:
    """This process's environment without settings of the bridge, and with its package."""
    checkout = str(Path(__file__).resolve().parent.parent)
    kept = {name: text for name, text in os.environ.items() if not name.startswith("STORJ_BRIDGE_")}
    return kept | {"PYTHONPATH": checkout, "PYTHONWARNINGS": "default"}


class BridgeProcess:
    """A bridge that serves, started by ``start`` and read up to its first line.

    ``ready`` is that line where it is JSON (``json_first``). Standard error goes to ``log``.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        preexec: Sequence[str] = (),
        json_first: bool = True,
    ) -> None:
        self._command = [*preexec, *bridge_command(*arguments)]
        self._json_first = json_first
        self._output = b""
        self._env = clean_environment() | dict(env or {})
        self.log = log
        self.ready: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running bridge."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it accepts requests."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        line = _read_line(self._process.stdout, START_LIMIT)
        if not line:
            self.kill()
            raise AssertionError(f"the bridge did not start:\n{self.log_text()[-4000:]}")
        self._output = line
        if self._json_first:
            self.ready = json.loads(line.splitlines()[0])
            secrecy.note_told(self.ready)

    def stop(self) -> int:
        """Ask it to end (SIGTERM), wait for it, and return its exit code."""
        assert self._process is not None
        if self.running:
            self._process.send_signal(signal.SIGTERM)
        return self._ended()

    def kill(self) -> int:
        """End it at once (SIGKILL), as a power cut would end it, and return its exit code."""
        assert self._process is not None
        if self.running:
            self._process.kill()
        return self._ended()

    def signal(self, number: int) -> None:
        """Send a signal and go on."""
        os.kill(self.pid, number)

    def wait(self, limit: float = STOP_LIMIT) -> int:
        """Wait for its end, which it was told of; returns the exit code."""
        return self._ended(limit)

    def output(self) -> str:
        """What it has written to standard output so far."""
        assert self._process is not None
        stream = self._process.stdout
        assert stream is not None
        while select.select([stream], [], [], 0)[0] and (block := os.read(stream.fileno(), 65_536)):
            self._output += block
        return self._output.decode()

    def log_text(self) -> str:
        """What it has written to standard error so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _ended(self, limit: float = STOP_LIMIT) -> int:
        assert self._process is not None
        try:
            code = self._process.wait(limit)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(
                f"did not stop in {limit:.0f} s:\n{self.log_text()[-4000:]}"
            ) from None
        finally:
            if self._process.stdout is not None:
                self._process.stdout.close()
        secrecy.look_beside(self.log)
        return code

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.stop()


class Demo(BridgeProcess):
    """``storj-bridge demo --json`` on the data directory ``data``.

    The port is free at the first start and stays the same at every restart.
    """

    def __init__(
        self,
        data: Path,
        *,
        log: Path | None = None,
        env: Mapping[str, str] | None = None,
        preexec: Sequence[str] = (),
    ) -> None:
        self.data = data
        self._preexec = tuple(preexec)
        self._listen = "127.0.0.1:0"
        super().__init__(
            self._arguments(),
            log or data.parent / f"{data.name}.log",
            env=env,
            preexec=preexec,
        )

    def _arguments(self) -> list[str]:
        return ["demo", "--json", "--listen", self._listen, "--data", str(self.data)]

    def start(self) -> None:
        """Start it; afterwards ``url``, ``username`` and ``password`` hold."""
        self._command = [*self._preexec, *bridge_command(*self._arguments())]
        super().start()
        self._listen = self.url.split("/")[2]

    def restart(self, *, kill: bool = False) -> None:
        """Stop it (``kill``: as a power cut would) and start it on the same data and port."""
        if kill:
            self.kill()
        else:
            assert self.stop() == 0, self.log_text()[-4000:]
        self.start()

    @property
    def url(self) -> str:
        """The WebDAV root, with a trailing slash."""
        return str(self.ready["webdav_url"])

    @property
    def username(self) -> str:
        """The demo tenant's user name."""
        return str(self.ready["username"])

    @property
    def password(self) -> str:
        """The demo tenant's secret."""
        return str(self.ready["password"])


def _read_line(stream: IO[bytes], limit: float) -> bytes:
    """A line and what came with it, or ``b""`` at the end or after ``limit`` seconds."""
    ends = time.monotonic() + limit
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([stream], [], [], max(0.0, ends - time.monotonic()))[0]:
            return b""
        block = os.read(stream.fileno(), 65_536)
        if not block:
            return b""
        line += block
    return line
