"""``storj-bridge export`` as a process."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.cli import main
from tests.cli.service import Configured, ask, authorization, wait_until
from tests.processes import bridge_command, clean_environment, run_bridge

command_module = sys.modules["bridge.cli.export"]


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    return Configured(tmp_path / "bridge")


def fill(configured: Configured, files: dict[str, bytes]) -> None:
    """Write files by the service; in folders named before a slash."""
    headers = authorization("main", configured.secret)
    with configured.service() as process:
        url = process.ready["webdav_url"]
        for folder in {name.partition("/")[0] for name in files if "/" in name}:
            assert ask(f"{url}{folder}", "MKCOL", headers)[0] == 201
        for name, content in files.items():
            assert ask(f"{url}{name}", "PUT", headers, content)[0] == 201


def command(configured: Configured, target: Path, *more: str) -> list[str]:
    return ["export", "--config", str(configured.file), str(target), *more]


def test_it_writes_everything_and_says_so(configured: Configured, tmp_path: Path) -> None:
    fill(configured, {"a.txt": b"one", "folder/b.txt": b"two"})
    target = tmp_path / "made" / "target"
    ended = run_bridge(*command(configured, target))
    assert ended.returncode == 0, ended.stderr
    told, mark = ended.stdout.splitlines()
    assert told.startswith("2 files in 1 folders, 6 bytes written, 0 files were there")
    assert ended.stderr == ""
    assert (target / "folder" / "b.txt").read_bytes() == b"two"
    assert target.stat().st_mode & 0o077 == 0
    again = json.loads(run_bridge(*command(configured, target, "--json")).stdout)
    assert again == {"complete": True, "files": 2, "skipped": 2, "folders": 1, "bytes": 0} | {
        "troubles": [],
        "fingerprint": configured.fingerprint,
    }
    assert mark == f"Vault fingerprint  {configured.fingerprint}"


def test_it_runs_beside_the_service(configured: Configured, tmp_path: Path) -> None:
    headers = authorization("main", configured.secret)
    with configured.service() as process:
        url = process.ready["webdav_url"]
        assert ask(f"{url}a.txt", "PUT", headers, b"one")[0] == 201
        assert run_bridge(*command(configured, tmp_path / "target")).returncode == 0
    assert (tmp_path / "target" / "a.txt").read_bytes() == b"one"


def test_damage_is_listed_and_the_exit_code_tells(configured: Configured, tmp_path: Path) -> None:
    fill(configured, {"whole": b"one", "folder%1b%5b31m/damaged": b"other"})
    stored = (configured.folder / "store").glob("objects/main.d/d.d/**/*.o")
    (file,) = (path for path in stored if path.stat().st_size == 8192 + 528 + 5 + 16)
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    ended = run_bridge(*command(configured, tmp_path / "target"))
    assert ended.returncode == 1
    assert "damaged': left out: what is stored here does not open" in ended.stdout
    assert "\x1b" not in ended.stdout
    told = json.loads(run_bridge(*command(configured, tmp_path / "target", "--json")).stdout)
    assert not told["complete"]
    assert [trouble["path"] for trouble in told["troubles"]] == ["/folder\x1b[31m/damaged"]


@pytest.mark.parametrize("what", ["store", "target", "tenant"])
def test_what_cannot_be_used_is_told(configured: Configured, tmp_path: Path, what: str) -> None:
    target, more = tmp_path / "target", ["--json"]
    if what == "store":
        (configured.folder / "store").rename(tmp_path / "elsewhere")
    elif what == "target":
        (tmp_path / "file").touch()
        target = tmp_path / "file" / "below"
    else:
        more += ["--tenant", "nobody"]
    ended = run_bridge(*command(configured, target, *more))
    assert ended.returncode == (6 if what == "tenant" else 5)
    words = json.loads(ended.stdout)["error"]["message"]
    assert {"store": "does not exist", "target": "target: ", "tenant": "nobody"}[what] in words
    assert not (tmp_path / "target").exists()


def test_a_killed_export_leaves_whole_files_and_goes_on(
    configured: Configured, tmp_path: Path
) -> None:
    content = {f"{number:03}": os.urandom(400_000 + number) for number in range(60)}
    fill(configured, content)
    target = tmp_path / "target"
    process = subprocess.Popen(
        bridge_command(*command(configured, target)), env=clean_environment()
    )
    wait_until(lambda: target.exists() and len(list(target.iterdir())) > 5, limit=60)
    process.kill()
    process.wait(30)
    written = [path for path in target.iterdir() if path.is_file()]
    assert written
    for path in written:
        assert path.read_bytes() == content[path.name]
    ended = run_bridge(*command(configured, target, "--json"))
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["skipped"] >= len(written)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == content


def test_elsewhere_it_says_how_far_it_is_by_lines_of_json(
    configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(configured, {"a.txt": b"one", "b.txt": b"two"})
    monkeypatch.setattr(command_module, "_EVERY", 0.0)
    ended = CliRunner().invoke(main, command(configured, tmp_path / "target"))
    assert ended.exit_code == 0
    assert [json.loads(line) for line in ended.stderr.splitlines()] == [
        {"event": "exporting", "files": files, "skipped": 0, "folders": 0, "bytes": 3 * files}
        for files in (1, 2)
    ]


def test_on_a_terminal_it_shows_how_far_it_is(configured: Configured, tmp_path: Path) -> None:
    fill(configured, {"a.txt": b"one"})
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        bridge_command(*command(configured, tmp_path / "target")),
        env=clean_environment() | {"TERM": "xterm"},
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        try:
            seen += os.read(ours, 65_536)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert process.wait(30) == 0
    assert b"exporting" in seen
