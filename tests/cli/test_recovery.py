"""What the recovery identity is for: files without this program."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.cli.service import Configured, ask, authorization
from tests.tools import require_tool

SECURITY = Path(__file__).resolve().parents[2] / "docs" / "security.md"


def test_the_documented_command_opens_a_file_of_the_local_store(tmp_path: Path) -> None:
    require_tool("age")
    configured = Configured(tmp_path / "bridge")
    with configured.service() as process:
        headers = authorization("main", configured.secret)
        assert ask(f"{process.ready['webdav_url']}plan", "PUT", headers, b"at dawn")[0] == 201
    (body,) = (configured.folder / "store" / "objects").glob("main.d/d.d/**/*.o")
    (tmp_path / "identity.txt").write_text(configured.identity)
    pattern = re.compile(r"^(tail .*\| age -d -i identity\.txt) > FILE$", re.MULTILINE)
    told = pattern.search(SECURITY.read_text())
    assert told is not None
    command = told[1].replace("OBJECT.o", f'"{body}"')
    opened = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, check=True)
    assert opened.stdout == b"at dawn"
