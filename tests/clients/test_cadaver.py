"""cadaver: one scripted session, with properties, locks and names in quotes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.dav import Dav
from tests.clients.names import ODD_NAMES, content, odd_files, write_tree
from tests.clients.programs import run
from tests.processes import Demo
from tests.tools import require_tool


class Cadaver:
    """The cadaver program, signed in to the demo by a ``.netrc`` of its own."""

    def __init__(self, demo: Demo, dav: Dav, home: Path) -> None:
        self._program = require_tool("cadaver")
        self._dav = dav
        self._home = home
        netrc = home / ".netrc"
        netrc.write_text(f"machine 127.0.0.1 login {demo.username} password {demo.password}\n")
        netrc.chmod(0o600)

    def __call__(self, folder: str, *commands: str) -> str:
        """Run ``commands`` in ``folder``, none of which may fail; returns what cadaver said."""
        script = "".join(f"{command}\n" for command in (*commands, "quit"))
        done = run(
            [self._program, self._dav.href(folder)],
            text=script,
            env={"HOME": str(self._home), "LC_ALL": "C.UTF-8"},
            cwd=self._home,
        )
        for complaint in ("failed", "Could not", "command takes", "Unrecognised"):
            assert complaint not in done.stdout, done.stdout
        return done.stdout


@pytest.fixture
def cadaver(demo: Demo, dav: Dav, tmp_path: Path) -> Cadaver:
    return Cadaver(demo, dav, tmp_path)


def test_cadaver_puts_gets_copies_moves_and_deletes(
    cadaver: Cadaver, dav: Dav, folder: str, tmp_path: Path
) -> None:
    data = content("cadaver", 300_000)
    (tmp_path / "local").write_bytes(data)
    cadaver(
        folder,
        "mkcol one",
        "put local one/file",
        "copy one two",
        "move one/file one/renamed",
        "get two/file fetched",
        "cat one/renamed",
        "mkcol empty",
        "rmcol empty",
        "delete two/file",
        "ls one",
    )
    assert (tmp_path / "fetched").read_bytes() == data
    assert dav.tree(folder) == {"one": None, "one/renamed": data, "two": None}


def test_cadaver_keeps_properties_through_a_move(cadaver: Cadaver, dav: Dav, folder: str) -> None:
    dav.put(f"{folder}/file", b"content")
    said = cadaver(
        folder,
        "set namespace http://example.org/ns/",
        "propset file colour 'dark blue'",
        "move file renamed",
        "propget renamed colour",
        "propset renamed gone soon",
        "propdel renamed gone",
        "propnames renamed",
    )
    assert "Value of colour is: dark blue" in said
    names = said.split("propnames renamed")[-1]
    assert "colour" in names
    assert "gone" not in names
    assert dav.get(f"{folder}/renamed") == b"content"


def test_cadaver_locks_keep_others_out_until_unlocked(
    cadaver: Cadaver, dav: Dav, folder: str, tmp_path: Path
) -> None:
    dav.put(f"{folder}/file", b"old")
    (tmp_path / "new").write_bytes(b"new")
    said = cadaver(folder, "lock file", "discover file", "showlocks")
    assert "Lock token" in said
    assert dav.request("PUT", f"{folder}/file", b"intruder").status == 423
    assert dav.request("DELETE", folder).status in (207, 423, 424)
    assert dav.get(f"{folder}/file") == b"old"
    cadaver(folder, "steal file", "put new file", "unlock file")
    assert dav.get(f"{folder}/file") == b"new"
    assert dav.request("PUT", f"{folder}/file", b"welcome").status == 204


def test_cadaver_keeps_odd_names(cadaver: Cadaver, dav: Dav, folder: str, tmp_path: Path) -> None:
    files = odd_files()
    write_tree(tmp_path / "up", files)
    (tmp_path / "down").mkdir()
    dav.mkcol(f"{folder}/moved")
    commands = ["lcd up"]
    for name in ODD_NAMES:
        quoted = quote(name)
        commands += [f"put {quoted} {quoted}", f"move {quoted} {quote('moved/' + name)}"]
    commands.append("lcd ../down")
    commands += [f"get {quote('moved/' + name)} {quote(name)}" for name in ODD_NAMES]
    cadaver(folder, *commands)
    assert dav.names(f"{folder}/moved") == sorted(files)
    for name, data in files.items():
        assert (tmp_path / "down" / name).read_bytes() == data


def quote(name: str) -> str:
    """A name as cadaver's command line takes it whole."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
