"""Storj's own ``uplink`` program, built once and kept, as ``tests/network`` keeps its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.network import building
from tests.network.errors import NetworkError

VERSION = "v1.162.3"
"""The version that docs/recovery.md has people install."""


def folder_of_uplink(say: Callable[[str], None]) -> Path:
    """The folder with the program; built where it is not there yet (``say`` then tells the user).

    Of the sources and with the versions that ``go install storj.io/storj/cmd/uplink@...`` takes.
    That itself asks for a list of all versions too, which a proxy may not have. Raises GoMissing,
    NetworkError.
    """
    go = building._go()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "storj-bridge"
    cache.mkdir(parents=True, exist_ok=True)
    go_version = ".".join(map(str, building._version(go)))
    built = cache / f"uplink-{VERSION}-go{go_version}-{os.uname().machine}"
    if not built.exists():
        with building._locked(cache / "uplink.lock"):
            if not built.exists():
                say("building Storj's uplink program (1-3 min the first time) ...")
                _build(go, built)
    return built


def _build(go: Path, built: Path) -> None:
    # We have the lock: what others left here, they were killed over.
    for left in built.parent.glob("uplink-building-*"):
        shutil.rmtree(left, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix="uplink-building-", dir=built.parent))
    try:
        said = _run(go, "mod", "download", "-json", f"storj.io/storj@{VERSION}", at=fresh)
        sources = Path(json.loads(said)["Dir"])
        made = fresh / "bin"
        made.mkdir()
        flags = ("-trimpath", "-ldflags=-s -w", "-o", str(made / "uplink"))
        _run(go, "build", *flags, "./cmd/uplink", at=sources)
        made.rename(built)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _run(go: Path, *arguments: str, at: Path) -> str:
    try:
        ran = subprocess.run(
            [go, *arguments],
            cwd=at,
            env=os.environ
            | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
            | {"GOWORK": "off"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=building.BUILD_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise NetworkError(f"building uplink took over {late.timeout} s") from late
    if ran.returncode != 0:
        raise NetworkError(f"building uplink failed:\n{(ran.stdout + ran.stderr)[-4000:]}")
    return ran.stdout
