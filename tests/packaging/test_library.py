"""The library of this installation: built from these sources, loaded once, of no use after fork."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from uplink_python.uplink import Uplink

from bridge.store.storj import library
from bridge.store.storj.native import build
from bridge.store.storj.native.toolchain import find_go
from tests.tools import missing

AGAIN = "the library is of other sources: python -m bridge.store.storj.native.build"


def run(program: str) -> str:
    """What a Python program prints, in a process of its own that has 60 seconds."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_library_is_built_from_the_sources_that_are_here() -> None:
    stamp = json.loads(build.STAMP.read_text())
    assert stamp["sources"] == build.sources_hash(), AGAIN
    assert stamp["library"] == build.file_hash(library.LIBRARY), AGAIN


def test_it_loads_and_answers() -> None:
    assert library.load().bridge_handles() >= 0


def test_it_is_loaded_once_however_many_threads_ask_first() -> None:
    program = """
import threading
from bridge.store.storj.library import load
together, loaded = threading.Barrier(16), []
def ask():
    together.wait()
    loaded.append(id(load()))
threads = [threading.Thread(target=ask) for _ in range(16)]
for each in threads: each.start()
for each in threads: each.join()
print(len(loaded), len(set(loaded)))
"""
    assert run(program).split() == ["16", "1"]


def test_uplink_python_takes_the_same_library() -> None:
    assert Uplink().m_libuplink is library.load()


def test_an_uplink_python_that_keeps_its_library_elsewhere_is_an_error() -> None:
    program = """
from uplink_python.uplink import Uplink
from bridge.store.storj.library import LibraryError, load
del Uplink._Uplink__instance
try: load()
except LibraryError as problem: print(problem)
"""
    assert "uplink-python is not the version that the bridge asks for" in run(program)


def test_an_uplink_python_that_does_not_take_the_library_is_an_error() -> None:
    program = """
from uplink_python.uplink import Uplink
from bridge.store.storj.library import LibraryError, load
Uplink.__init__ = lambda self: setattr(self, "m_libuplink", object())
try: load()
except LibraryError as problem: print(problem)
"""
    assert "uplink-python is not the version that the bridge asks for" in run(program)


def test_without_the_library_loading_says_how_to_install_it() -> None:
    program = """
from pathlib import Path
from bridge.store.storj import library
library.LIBRARY = Path("/nowhere/libuplinkc.so")
try: library.load()
except library.NotInstalled as problem: print(problem)
"""
    assert "install it again, without STORJ_BRIDGE_WITHOUT_STORJ" in run(program)


def test_a_library_that_does_not_load_is_an_error_with_the_loaders_reason(
    tmp_path: Path,
) -> None:
    program = f"""
from pathlib import Path
from bridge.store.storj import library
library.LIBRARY = Path({str(tmp_path)!r}) / "libuplinkc.so"
library.LIBRARY.write_bytes(b"no ELF")
try: library.load()
except library.LibraryError as problem: print(type(problem).__name__, problem)
"""
    assert re.match(r"LibraryError the Storj library does not load: .*libuplinkc\.so", run(program))


FORK = """
import os
from bridge.store.storj.library import Forked, load
{before}
child = os.fork()
if child == 0:
    try:
        {use}
        print("worked", flush=True)
    except Forked as problem:
        print(problem, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(load().bridge_handles())
"""


@pytest.mark.parametrize(
    ("before", "use"),
    [
        ("load()", "load()"),
        ("load()", "load().bridge_handles()"),
        ("call = load().bridge_handles", "call()"),
        ("whole = load()", "whole.bridge_handles()"),
        (
            "from uplink_python.uplink import Uplink; load(); u = Uplink()",
            "u.parse_access('some grant')",
        ),
    ],
)
def test_a_forked_child_is_told_so_and_its_parent_goes_on(before: str, use: str) -> None:
    told, handles = run(FORK.format(before=before, use=use)).splitlines()
    assert "forked after the Storj library was loaded" in told
    assert handles == "0"


def test_a_child_forked_before_loads_the_library_itself() -> None:
    told, handles = run(FORK.format(before="", use="load().bridge_handles()")).splitlines()
    assert (told, handles) == ("worked", "0")


def test_a_fork_while_another_thread_loads_is_a_fork_after_loading() -> None:
    # The loading is held in its middle: after Go runs, before anybody was told.
    program = """
import os, threading
from bridge.store.storj import library
loading, go_on = threading.Event(), threading.Event()
give = library._give_to_uplink_python
def held(loaded):
    loading.set()
    go_on.wait()
    give(loaded)
library._give_to_uplink_python = held
loader = threading.Thread(target=library.load)
loader.start()
loading.wait()
child = os.fork()
if child == 0:
    try: library.load()
    except library.Forked: print("told", flush=True)
    os._exit(0)
go_on.set()
os.waitpid(child, 0)
loader.join()
"""
    assert run(program).split() == ["told"]


def test_calls_from_many_threads_pass_the_guard() -> None:
    loaded = library.load()
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda: results.append(loaded.bridge_handles())) for _ in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(results) == 8


def test_the_licences_name_each_module_that_is_linked_in_with_its_text() -> None:
    go = find_go() or missing("Go")
    told = subprocess.run(
        [go, "version", "-m", str(library.LIBRARY)], capture_output=True, text=True, check=True
    ).stdout
    linked = {" ".join(line.split()[1:3]) for line in told.splitlines() if line.split()[0] == "dep"}
    assert "storj.io/uplink" in {name.split()[0] for name in linked}

    text = build.LICENCES.read_text()
    named = set(re.findall(r"^module (?!std )(.+)$", text, re.MULTILINE))
    assert named == linked

    rule = "=" * 78
    sections = re.split(rf"^{rule}\n(.+)\n{rule}\n", text, flags=re.MULTILINE)
    licences = dict(zip(sections[1::2], sections[2::2], strict=True))
    go_release = re.search(r": (go\S+)", told)
    assert go_release is not None
    assert set(licences) == linked | {f"Go {go_release[1]}"}
    for name, licence in licences.items():
        assert re.search("copyright|licen[cs]e", licence, re.IGNORECASE), name
        # Apache-2.0 is what we promise for the whole; a copyleft module could not be in it.
        assert not re.search("GNU (AFFERO |LESSER )?GENERAL PUBLIC", licence, re.IGNORECASE), name
