"""Source distribution and wheels, made and installed as users do it.

They fetch hatchling, and Go's modules where they are not cached, so they are long tests.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from bridge.store.storj.native import build
from bridge.store.storj.native.toolchain import FOLDER, requirements

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
NATIVE = "bridge/store/storj/native"
BUILT = {f"{NATIVE}/built/libuplinkc.so", f"{NATIVE}/built/LICENCES.txt"}


def clean_environment() -> dict[str, str]:
    """Ours, without what would decide for the builds below."""
    decides = {"CC", "PYTHONPATH", "STORJ_BRIDGE_WITHOUT_STORJ"}
    return {name: text for name, text in os.environ.items() if name not in decides}


class Python:
    """A fresh virtual environment with pip, and with these packages."""

    def __init__(self, folder: Path, *packages: str) -> None:
        venv.create(folder, with_pip=True)
        self.folder = folder
        if packages:
            self.pip("install", *packages)

    def run(
        self, *command: str, env: Mapping[str, str] | None = None, cwd: Path = Path("/")
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.folder / "bin" / command[0]), *command[1:]],
            cwd=cwd,
            env=clean_environment() | dict(env or {}),
            capture_output=True,
            text=True,
            check=False,
        )

    def pip(self, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        done = self.run("pip", *arguments, env=env)
        assert done.returncode == 0, done.stdout + done.stderr

    def program(self, text: str) -> str:
        done = self.run("python", "-c", text)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Python:
    """A Python that has what builds, and neither Go nor a compiler among its packages."""
    return Python(tmp_path_factory.mktemp("tools") / "venv", "hatchling>=1.27", "editables")


@pytest.fixture(scope="module")
def sdist(tools: Python, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    done = tools.run("hatchling", "build", "-t", "sdist", "-d", str(folder), cwd=ROOT)
    assert done.returncode == 0, done.stderr
    [path] = folder.glob("*.tar.gz")
    return path


@pytest.fixture
def source(sdist: Path, tmp_path: Path) -> Path:
    """The source distribution, unpacked."""
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    [folder] = (tmp_path / "unpacked").iterdir()
    return folder


@pytest.fixture(scope="module")
def wheel(tools: Python, sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    tools.pip("wheel", "--no-deps", "-w", str(folder), str(sdist))
    [path] = folder.glob("*.whl")
    return path


def test_the_source_distribution_has_all_sources_and_nothing_built(source: Path) -> None:
    native = source / NATIVE
    there = {path.name for path in native.iterdir()}
    here = {path.name for path in FOLDER.iterdir() if path.suffix in build.SOURCE_SUFFIXES}
    assert there == here


def test_a_wheel_is_for_this_platform_with_the_library_its_licences_and_no_sources(
    wheel: Path,
) -> None:
    assert re.fullmatch(r"storj_bridge-[\d.]+-py3-none-(?!any)\w+\.whl", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [name for name in names if name.endswith(".dist-info/WHEEL")]
        assert "Root-Is-Purelib: false" in archive.read(metadata).decode()
        licences = archive.read(f"{NATIVE}/built/LICENCES.txt").decode()
    assert {name for name in names if name.startswith(NATIVE)} == BUILT
    assert "module storj.io/uplink " in licences


def test_an_installed_wheel_loads_its_library(wheel: Path, tmp_path: Path) -> None:
    python = Python(tmp_path / "venv", str(wheel))
    told = python.program(
        "from bridge.store.storj.library import LIBRARY, load; load().bridge_handles();"
        "print(LIBRARY)"
    )
    assert Path(told).is_relative_to(tmp_path)


def test_an_editable_install_is_built_once_and_again_when_a_source_changes(
    source: Path, tmp_path: Path
) -> None:
    python = Python(tmp_path / "venv")
    stamp = source / NATIVE / "built" / "stamp.json"

    python.pip("install", "--no-deps", "-e", str(source))
    first = stamp.stat()
    python.pip("install", "--no-deps", "-e", str(source))
    assert stamp.stat().st_mtime_ns == first.st_mtime_ns

    append(source / NATIVE / "main.go", "// changed")
    python.pip("install", "--no-deps", "-e", str(source))
    assert stamp.stat().st_mtime_ns > first.st_mtime_ns
    assert {path.name for path in stamp.parent.iterdir()} == {
        "stamp.json",
        "libuplinkc.so",
        "LICENCES.txt",
    }

    # A library that was cut short is not taken for a whole one.
    library = stamp.parent / "libuplinkc.so"
    os.truncate(library, library.stat().st_size // 2)
    python.pip("install", "--no-deps", "-e", str(source))
    python.pip("install", "uplink-python")
    assert (
        python.program(
            "import ctypes; from bridge.store.storj.library import LIBRARY;"
            "print(ctypes.CDLL(str(LIBRARY)).bridge_handles())"
        )
        == "0"
    )


def test_without_storj_nothing_is_built_and_the_bridge_runs(source: Path, tmp_path: Path) -> None:
    python = Python(tmp_path / "venv")
    without = {"STORJ_BRIDGE_WITHOUT_STORJ": "1", "PATH": "/nonexistent"}
    python.pip("wheel", "--no-deps", "-w", str(tmp_path), str(source), env=without)
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if name.startswith(NATIVE)]

    python.pip("install", str(wheel))
    assert python.run("storj-bridge", "--version").returncode == 0
    told = python.program(
        "from bridge.store.storj.library import NotInstalled, load\n"
        "try: load()\n"
        "except NotInstalled as problem: print(problem)"
    )
    assert "installed without its Storj library" in told


def test_without_storj_an_editable_install_has_no_library_of_before(
    source: Path, tmp_path: Path
) -> None:
    built = source / NATIVE / "built"
    shutil.copytree(build.BUILT, built)
    python = Python(tmp_path / "venv")
    python.pip("install", "--no-deps", "-e", str(source), env={"STORJ_BRIDGE_WITHOUT_STORJ": "1"})
    assert not built.exists()


def append(path: Path, line: str) -> None:
    path.write_text(f"{path.read_text()}\n{line}\n")


def refusal(tools: Python, source: Path, **environment: str) -> str:
    """What pip shows of an installation that has to fail."""
    done = tools.run(
        *("pip", "install", "--no-build-isolation", "--no-deps", "-e", str(source)),
        env=environment,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def test_where_nothing_can_build_it_installing_fails_with_the_reason(
    tools: Python, source: Path
) -> None:
    told = refusal(tools, source, PATH="/nonexistent")
    assert "storj-bridge: its Storj library cannot be built here" in told
    assert "STORJ_BRIDGE_WITHOUT_STORJ=1" in told


def test_a_value_that_means_nothing_is_refused(tools: Python, source: Path) -> None:
    told = refusal(tools, source, STORJ_BRIDGE_WITHOUT_STORJ="yes")
    assert "STORJ_BRIDGE_WITHOUT_STORJ is 'yes'" in told


@pytest.mark.skipif(bool(requirements()), reason="needs Go and a C compiler on PATH")
def test_what_go_says_is_told_when_the_build_fails(tools: Python, source: Path) -> None:
    append(source / NATIVE / "main.go", "func broken() { return 1 }")
    told = refusal(tools, source)
    assert "storj-bridge: its Storj library did not build" in told
    assert "too many return values" in told
    assert not (source / NATIVE / "built" / "libuplinkc.so").exists()


@pytest.mark.parametrize("stripped", ["go", "gcc", "both"])
def test_what_path_lacks_is_fetched_from_pypi(sdist: Path, tmp_path: Path, stripped: str) -> None:
    lacking = {"go": {"go"}, "gcc": {"gcc", "cc"}, "both": {"go", "gcc", "cc"}}[stripped]
    path = tmp_path / "bin"
    path.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for program in Path(folder).iterdir() if Path(folder).is_dir() else ():
            link = path / program.name
            if program.name not in lacking and not link.is_symlink():
                link.symlink_to(program)
    python = Python(tmp_path / "venv")
    python.pip("wheel", "--no-deps", "-w", str(tmp_path), str(sdist), env={"PATH": str(path)})
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        library = archive.extract(f"{NATIVE}/built/libuplinkc.so", tmp_path)
    python.pip("install", str(wheel))
    assert (
        python.program(
            "from bridge.store.storj.library import load; print(load().bridge_handles())"
        )
        == "0"
    )
    assert not re.findall(rb"/[\w./-]+/site-packages/", Path(library).read_bytes())
    if "gcc" in lacking:  # zig builds for systems older than this one
        needed = re.findall(rb"GLIBC_2\.(\d+)", Path(library).read_bytes())
        assert needed
        assert max(map(int, needed)) <= 31
