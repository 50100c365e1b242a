"""The npm package ``webdav``, which many web applications use, in a session under node."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.clients.dav import Dav
from tests.clients.names import ODD_NAMES
from tests.clients.programs import run
from tests.processes import Demo
from tests.tools import missing, require_tool

SESSION = Path(__file__).parent / "npm"

LOST_BY_THE_PACKAGE: frozenset[str] = frozenset()


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the session's script, and the package as ``package.json`` pins it."""
    npm = require_tool("npm")
    home = tmp_path_factory.mktemp("npm")
    for name in ("package.json", "session.js"):
        shutil.copy(SESSION / name, home / name)
    installed = run([npm, "install", "--no-audit", "--no-fund"], cwd=home, check=False)
    if installed.returncode != 0:
        missing(f"the npm package webdav ({installed.stderr.strip()[-500:]})")
    return home


def test_the_npm_client_does_all_it_offers(
    session: Path, demo: Demo, dav: Dav, folder: str
) -> None:
    node = require_tool("node", "nodejs")
    names = [name for name in ODD_NAMES if name not in LOST_BY_THE_PACKAGE]
    asked = {
        "url": demo.url,
        "username": demo.username,
        "password": demo.password,
        "folder": folder,
        "names": names,
    }
    said = run([node, "session.js"], text=json.dumps(asked), cwd=session).stdout
    assert said.split() == [
        "writesAndReads", "streams", "keepsNames", "movesAndDeletes", "locks", "announces",
    ]  # fmt: skip
    assert dav.names(f"{folder}/moved") == sorted(names)
    assert dav.get(f"{folder}/locked") == b"new"
