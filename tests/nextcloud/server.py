"""A Nextcloud of its own for a test: SQLite, PHP's built-in server, stopped by process id.

The tree (a release of Nextcloud, unpacked) is shared and not written to; configuration and
data live in a folder of the test's own. ``NEXTCLOUD_DIR`` names the tree.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import pytest

from tests.clients.dav import Dav
from tests.clients.programs import run
from tests.clients.waiting import wait_until
from tests.processes import Demo
from tests.tools import require_tool

WORKERS = 4
"""Processes of PHP's built-in server, so requests that are answered at once."""

PASSWORD = "a-Password-of-these-tests-1"
ADMIN = "admin"

SETTINGS = """<?php
$CONFIG = [
  'allow_local_remote_servers' => true,
  'skeletondirectory' => '',
  'auth.bruteforce.protection.enabled' => false,
  'ratelimit.protection.enabled' => false,
  'has_internet_connection' => false,
  'updatechecker' => false,
  'log_type' => 'file',
];
"""


def nextcloud_tree() -> Path:
    """Where the unpacked release is; skips the test, saying so, where there is none.

    It is not a package that continuous integration could install, so ``REQUIRE_TOOLS`` does
    not turn this skip into a failure.
    """
    named = os.environ.get("NEXTCLOUD_DIR", "")
    if not named:
        pytest.skip("needs a Nextcloud tree: set NEXTCLOUD_DIR to an unpacked release")
    if not (Path(named) / "occ").is_file():
        pytest.skip(f"needs a Nextcloud tree: NEXTCLOUD_DIR={named} holds no occ")
    return Path(named)


class Nextcloud:
    """A running instance. A context manager: installs and starts, then stops."""

    def __init__(self, tree: Path, home: Path) -> None:
        self._tree = tree
        self._home = home
        self._php = require_tool("php")
        self._environment = {
            "NEXTCLOUD_CONFIG_DIR": str(home / "config"),
            "PHP_CLI_SERVER_WORKERS": str(WORKERS),
        }
        self._server: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        for name in ("config", "data"):
            (self._home / name).mkdir(parents=True)
        (self._home / "config" / "test.config.php").write_text(SETTINGS)
        self.occ(
            "maintenance:install", "--database", "sqlite", "--data-dir", self._home / "data",
            "--admin-user", ADMIN, "--admin-pass", PASSWORD,
        )  # fmt: skip
        self.occ("app:enable", "files_external")
        # Some trees lack its lists of common passwords, without which it refuses every password.
        self.occ("app:disable", "password_policy")
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            # The built-in server's workers are in a group of their own with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGTERM)
            self._server.wait(30)

    def _start(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/"
        with (self._home / "php.log").open("wb") as log:
            self._server = subprocess.Popen(
                [self._php, "-d", "memory_limit=512M", "-d", "output_buffering=0",
                 "-S", f"127.0.0.1:{port}", "-t", str(self._tree)],
                env={**os.environ, **self._environment},
                stdout=log,
                stderr=log,
                cwd=self._tree,
                start_new_session=True,
            )  # fmt: skip
        files = self.files(ADMIN)
        wait_until(lambda: _answers(files), "Nextcloud to answer", limit=60)

    def occ(self, *arguments: str | Path) -> str:
        """Run an ``occ`` command and return what it wrote; fails unless it succeeds."""
        return run(
            [self._php, "-d", "memory_limit=512M", self._tree / "occ", "--no-interaction",
             *arguments],
            env={**self._environment, "OC_PASS": PASSWORD},
            cwd=self._tree,
        ).stdout  # fmt: skip

    def add_user(self, name: str) -> None:
        """Make a user with the password of all users here."""
        self.occ("user:add", "--password-from-env", name)

    def mount(self, demo: Demo, folder: str, name: str) -> int:
        """Mount ``folder`` of the demo as stock WebDAV storage at ``/name`` for all users."""
        url = urlsplit(demo.url)
        said = self.occ(
            "files_external:create", "--output", "json", f"/{name}", "dav", "password::password",
            "--config", f"host={url.netloc}", "--config", f"root={url.path}{folder}",
            "--config", "secure=false", "--config", f"user={demo.username}",
            "--config", f"password={demo.password}",
        )  # fmt: skip
        mount = int(json.loads(said))
        self.occ("files_external:option", str(mount), "filesystem_check_changes", "1")
        self.check(mount)
        return mount

    def check(self, mount: int) -> None:
        """Fail unless Nextcloud can use the mount."""
        said = json.loads(self.occ("files_external:verify", "--output", "json", str(mount)))
        assert said["status"] == "ok", said

    def dav(self, user: str = ADMIN) -> Dav:
        """The whole of a user's WebDAV: files, uploads, versions, trashbin."""
        return Dav(f"{self.url}remote.php/dav/", user, PASSWORD, timeout=120)

    def files(self, user: str = ADMIN) -> Dav:
        """A user's files."""
        return Dav(f"{self.url}remote.php/dav/files/{user}/", user, PASSWORD, timeout=120)

    def log(self) -> str:
        """What Nextcloud has logged."""
        path = self._home / "data" / "nextcloud.log"
        return path.read_text() if path.exists() else ""


def _answers(files: Dav) -> bool:
    try:
        return files.request("PROPFIND", "", headers={"Depth": "0"}).status == 207
    except OSError:
        return False
