"""litmus, the WebDAV test suite, against the door on a real socket."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.tools import require_tool
from tests.webdav.server import Running

MORE_TREES = ["storj", "memory confined", "model by rights"]
SUITES = {"basic": 16, "copymove": 13, "props": 30, "locks": 41, "http": 4}


@pytest.mark.parametrize("suite", SUITES)
def test_litmus_passes_every_test_without_a_warning(
    server: Running, suite: str, tmp_path: Path
) -> None:
    litmus = require_tool("litmus")
    done = subprocess.run(
        [litmus, f"http://127.0.0.1:{server.port}{server.root}", "alice", "ecila"],
        env={"TESTS": suite, "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )
    summary = re.search(r"of (\d+) tests run: (\d+) passed, (\d+) failed", done.stdout)
    assert summary is not None, done.stdout + done.stderr
    assert summary.groups() == (str(SUITES[suite]), str(SUITES[suite]), "0"), done.stdout
    assert "WARNING" not in done.stdout, done.stdout
