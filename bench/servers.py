"""The servers measured: how each is found, started on a folder of its own, and reached."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit

from bench import apache
from bench.process import Process, ServerFailed

USER = "bench"
PASSWORD = "throw-away-secret"
START_LIMIT = 30.0

OURS = "pip install -e '.[dev]'"
RCLONE = "go install github.com/rclone/rclone@v1.75.1"
"""How to install what is measured."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a client sends its requests.

    ``base``: what every path follows, ``""`` or ``/...`` without a trailing slash.
    ``authorization``: the whole value of that header.
    """

    host: str
    port: int
    base: str
    authorization: str

    @classmethod
    def from_url(cls, url: str, user: str = USER, password: str = PASSWORD) -> Target:
        parts = urlsplit(url)
        assert parts.hostname is not None
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        return cls(parts.hostname, parts.port or 80, parts.path.rstrip("/"), f"Basic {token}")


@dataclass(frozen=True, slots=True)
class Running:
    """A started server; stop its process at the end."""

    process: Process
    target: Target


@dataclass(frozen=True, slots=True)
class Server:
    """One server to measure.

    ``version`` is None where this machine lacks it; ``needs`` says what to install. ``start`` gets
    a folder it may fill, the same one when it is started again on the same files. ``lists``:
    whether it answers PROPFIND.
    """

    name: str
    version: str | None
    needs: str
    start: Callable[[Path], Running]
    lists: bool = True


def _run(
    command: Sequence[str | Path],
    folder: Path,
    find: Callable[[Process], Target],
    environment: Mapping[str, str] | None = None,
) -> Running:
    """Start ``command`` and ask ``find`` where it listens; a server that fails here is stopped."""
    (folder / "data").mkdir(exist_ok=True)
    process = Process(command, folder / "log", environment)
    try:
        return Running(process, find(process))
    except BaseException:
        process.stop()
        raise


def packages(*names: str) -> str | None:
    """The versions of these Python packages, or None where one is missing."""
    try:
        return ", ".join(f"{name} {version(name)}" for name in names)
    except PackageNotFoundError:
        return None


def _said(command: Sequence[str], prefix: str = "") -> str | None:
    """The first line a program says of its version, or None when it does not run."""
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.partition("\n")[0].removeprefix(prefix).strip() or None


def start_bridge(folder: Path, *options: str | Path) -> Running:
    """Start ``storj-bridge demo`` with these further options."""

    def find(process: Process) -> Target:
        said = json.loads(process.first_line(START_LIMIT))
        return Target.from_url(said["webdav_url"], said["username"], said["password"])

    command = [sys.executable, "-m", "bridge", "demo", "--json", "--listen", "127.0.0.1:0"]
    return _run([*command, "--data", folder / "data", *options], folder, find)


def _start_python(module: str, folder: Path) -> Running:
    def find(process: Process) -> Target:
        return Target.from_url(f"http://127.0.0.1:{int(process.first_line(START_LIMIT))}/")

    return _run([sys.executable, "-m", module, folder / "data", USER, PASSWORD], folder, find)


def start_rclone(
    binary: str, folder: Path, remote: str, configuration: Mapping[str, str]
) -> Running:
    """Start ``rclone serve webdav`` on ``remote``, configured by environment variables alone."""

    def find(process: Process) -> Target:
        return Target.from_url(process.find_in_log(r"started on \[(http:\S+)\]", START_LIMIT)[1])

    command = [binary, "serve", "webdav", "--addr", "127.0.0.1:0", "--vfs-cache-mode", "off"]
    # With --user and --pass it hashes the password 1,000 times for each request.
    apache.write_password_file(folder / "passwd", USER, PASSWORD)
    command += ["--htpasswd", str(folder / "passwd"), remote]
    return _run(command, folder, find, {"RCLONE_CONFIG": os.devnull, **configuration})


def _start_plain_rclone(binary: str, folder: Path) -> Running:
    return start_rclone(binary, folder, str(folder / "data"), {})


def _start_crypt_rclone(binary: str, folder: Path) -> Running:
    sealed = {
        "RCLONE_CONFIG_SEALED_TYPE": "crypt",
        "RCLONE_CONFIG_SEALED_REMOTE": str(folder / "data"),
        "RCLONE_CONFIG_SEALED_PASSWORD": _said([binary, "obscure", PASSWORD]) or "",
    }
    return start_rclone(binary, folder, "sealed:", sealed)


def _start_apache(binary: str, folder: Path) -> Running:
    failure = ServerFailed("no free port")
    for _ in range(5):  # a port found free may be taken before Apache binds it
        port = apache.write_configuration(folder, USER, PASSWORD)

        def find(process: Process, port: int = port) -> Target:
            if not process.accepts("127.0.0.1", port, START_LIMIT):
                raise ServerFailed(process.log_tail())
            return Target.from_url(f"http://127.0.0.1:{port}/")

        try:
            return _run([binary, "-f", folder / "conf", "-D", "FOREGROUND"], folder, find)
        except ServerFailed as error:
            failure = error
    raise failure


def find_rclone() -> tuple[str, str | None]:
    """The program, and its version where this machine has it."""
    rclone = os.environ.get("RCLONE") or shutil.which("rclone") or ""
    return rclone, _said([rclone, "version"], "rclone ") if rclone else None


def known_servers() -> list[Server]:
    """Every server, in the order of the runs; those that this machine lacks have no version."""
    rclone, rclone_version = find_rclone()
    httpd = apache.find_binary()
    bare = partial(_start_python, "bench.bare")
    hops = partial(_start_python, "bench.bare_hops")
    wsgidav = partial(_start_python, "bench.wsgidav_peer")
    return [
        Server("bridge", packages("storj-bridge"), OURS, start_bridge),
        Server("aiohttp", packages("aiohttp", "uvloop"), OURS, bare, lists=False),
        Server("aiohttp-hops", packages("aiohttp", "uvloop"), OURS, hops, lists=False),
        Server("wsgidav", packages("wsgidav", "cheroot"), OURS, wsgidav),
        Server("rclone", rclone_version, RCLONE, partial(_start_plain_rclone, rclone)),
        Server("rclone-crypt", rclone_version, RCLONE, partial(_start_crypt_rclone, rclone)),
        Server(
            "apache",
            _said([httpd, "-v"], "Server version: ") if httpd else None,
            "Debian package apache2-bin",
            partial(_start_apache, httpd),
        ),
    ]
