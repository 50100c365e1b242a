"""Builds the library into ``built/`` beside this file, when something has changed.

The build hook calls it. By hand, after a change of the Go sources, at the top of a checkout:
``python -m bridge.store.storj.native.build``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from .licences import licences
from .toolchain import FOLDER, WITHOUT, CannotBuild, find_toolchain

BUILT = FOLDER / "built"
LIBRARY = BUILT / "libuplinkc.so"
LICENCES = BUILT / "LICENCES.txt"
STAMP = BUILT / "stamp.json"
"""What the library was made of; it is there only when the other two are, whole."""

SOURCE_SUFFIXES = {".go", ".h", ".c", ".mod", ".sum", ".py"}
SETTINGS = ("CC", "CGO_CFLAGS", "CGO_LDFLAGS", "GOAMD64", "GOARM64", "GOEXPERIMENT", "GOFLAGS")
"""Variables of the environment that change what Go makes."""


def sources_hash() -> str:
    """SHA-256, in hex, of the names and contents of everything the library is made of."""
    digest = hashlib.sha256()
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix not in SOURCE_SUFFIXES or path.name.endswith("_test.go"):
            continue
        if BUILT not in path.parents:
            content = path.read_bytes()
            name = path.relative_to(FOLDER).as_posix()
            digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def stamp() -> dict[str, str]:
    """What a library built now would be made of, and for."""
    settings = {name: os.environ[name] for name in SETTINGS if os.environ.get(name)}
    return {"sources": sources_hash(), "platform": sysconfig.get_platform()} | settings


def is_fresh() -> bool:
    """Whether the library is there, whole, and made of just these sources and settings."""
    try:
        found = json.loads(STAMP.read_text())
        return bool(found == stamp() | {"library": file_hash(LIBRARY)} and LICENCES.is_file())
    except (OSError, ValueError):
        return False


def build() -> None:
    """Build library and licences, unless they are fresh. Raises CannotBuild.

    What is in the way is replaced by renaming, so that a process that has the library loaded
    goes on with the old one, and the stamp comes last: a build that was cut is done again.
    """
    if is_fresh():
        return
    made_of = stamp()
    toolchain = find_toolchain()
    BUILT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILT, prefix="building-") as folder:
        made = Path(folder) / LIBRARY.name
        toolchain.run(
            "build",
            "-buildmode=c-shared",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags=-s -w -extldflags=-s",  # zig's own objects would tell folders of the build
            f"-o={made}",
            ".",
        )
        check_loads(made, toolchain.cc)
        text = Path(folder) / LICENCES.name
        text.write_text(licences(toolchain))
        STAMP.unlink(missing_ok=True)
        made_of["library"] = file_hash(made)
        made.replace(LIBRARY)
        text.replace(LICENCES)
        fresh = Path(folder) / STAMP.name
        fresh.write_text(json.dumps(made_of, indent=1) + "\n")
        fresh.replace(STAMP)


def check_loads(library: Path, cc: str) -> None:
    """Raise CannotBuild unless this Python can load the library.

    In a process of its own: one that has loaded a Go runtime keeps it.
    """
    done = subprocess.run(  # noqa: S603 - this very Python
        [sys.executable, "-I", "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])", str(library)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        told = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise CannotBuild(
            f"storj-bridge: its Storj library was built (CC={cc}), but this Python "
            f"({sysconfig.get_platform()}) cannot load it: {told}. {WITHOUT}"
        )


def remove() -> None:
    """Remove what was built."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(BUILT)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    try:
        build()
    except CannotBuild as problem:
        sys.exit(str(problem))
