"""gio and gvfs, GNOME's file access: mount ``dav://``, copy, list, read, move and remove."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from tests.clients.dav import Dav
from tests.clients.names import content, odd_files, read_tree, write_tree
from tests.clients.programs import run
from tests.processes import Demo
from tests.tools import missing, require_tool

GVFS_DAV = ("/usr/libexec/gvfsd-dav", "/usr/lib/gvfs/gvfsd-dav")
"""Where distributions keep gvfs's WebDAV part, which is no program of its own on the path."""


def gio_session(demo: Demo, home: Path, *commands: str) -> str:
    """Run ``commands`` in a session bus of their own with the demo mounted; what they wrote.

    In a command ``$DAV`` is the ``dav://`` address of the demo's root, without a slash at its end.
    """
    session = require_tool("dbus-run-session")
    require_tool("gio")
    if not any(Path(place).exists() for place in GVFS_DAV):
        missing("gvfsd-dav (gvfs-backends)")
    runtime = home / "runtime"
    runtime.mkdir(mode=0o700)
    address = demo.url.replace("http://", f"dav://{demo.username}@").rstrip("/")
    script = "\n".join([
        "set -eu",
        f"DAV={shlex.quote(address)}",
        'gio mount "$DAV/" >mount.txt',
        *commands,
        'gio mount --unmount "$DAV/"',
    ])  # fmt: skip
    done = run(
        [session, "--", "sh", "-c", script],
        text=f"{demo.password}\n",
        env={
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(runtime),
            "XDG_CACHE_HOME": str(home / "cache"),
            "LC_ALL": "C.UTF-8",
            "GVFS_DISABLE_FUSE": "1",
            "PATH": os.environ["PATH"],
        },
        cwd=home,
    )
    return done.stdout


def test_gio_copies_lists_reads_moves_and_removes(
    demo: Demo, dav: Dav, folder: str, tmp_path: Path
) -> None:
    data = content("gio", 3 << 20)
    (tmp_path / "local").write_bytes(data)
    said = gio_session(
        demo, tmp_path,
        f'HERE="$DAV/{folder}"',
        'gio mkdir "$HERE/one"',
        'gio copy local "$HERE/one/file"',
        'gio list --long "$HERE/one"',
        'gio info -a standard::size,etag::value "$HERE/one/file"',
        'gio copy "$HERE/one/file" fetched',
        'gio cat "$HERE/one/file" >read',
        'printf overwritten | gio save "$HERE/one/file"',
        'gio move "$HERE/one/file" "$HERE/one/renamed"',
        'gio rename "$HERE/one" two',
        'gio copy local "$HERE/gone"',
        'gio remove "$HERE/gone"',
        'gio list "$HERE"',
    )  # fmt: skip
    assert f"file\t{len(data)}\t(regular)" in said
    assert f"standard::size: {len(data)}" in said
    assert said.splitlines()[-1] == "two"
    assert (tmp_path / "fetched").read_bytes() == data
    assert (tmp_path / "read").read_bytes() == data
    assert dav.tree(folder) == {"two": None, "two/renamed": b"overwritten"}


def test_gio_keeps_odd_names(demo: Demo, dav: Dav, folder: str, tmp_path: Path) -> None:
    files = odd_files()
    write_tree(tmp_path / "up", files)
    (tmp_path / "down").mkdir()
    commands = []
    for name in files:
        there = shlex.quote(dav.target(f"{folder}/{name}").removeprefix(dav.root.rstrip("/")))
        here = shlex.quote(f"./up/{name}")
        back = shlex.quote(f"./down/{name}")
        commands += [f'gio copy {here} "$DAV"{there}', f'gio copy "$DAV"{there} {back}']
    gio_session(demo, tmp_path, *commands)
    assert dav.tree(folder) == files
    assert read_tree(tmp_path / "down") == read_tree(tmp_path / "up")
