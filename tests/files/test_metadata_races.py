"""Properties are set while the same file is moved, copied and overwritten, on a real network.

There a move and a copy take two requests each, and metadata that is set between them nobody can
decrypt (``tests/store/storj/test_metadata_races.py``). In the tree, leases keep them apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath

import pytest

from bridge.files.api import FileTree
from bridge.files.content import STANDALONE
from bridge.files.errors import FileError, NoSuchFile
from bridge.files.path import Path
from bridge.state.database import open_state
from tests.files.racing import race
from tests.files.script import path, read, run, write
from tests.files.vault import OpenNew, Vault, check_clean
from tests.network.client import Network

OLD, NEW = b"old" * 2_000, b"new"
"""On the nodes; and so small that the satellite keeps it."""

SPILLING = "v" * 4_000
"""Too much for a record."""


@dataclass
class Workers:
    """Who changes at once: ``first`` and ``second`` are one tree, or know nothing of each other."""

    vault: Vault
    first: FileTree
    second: FileTree


@pytest.fixture(params=["one tree", "two workers"])
def two(request: pytest.FixtureRequest) -> bool:
    return str(request.param) == "two workers"


@pytest.fixture(params=["whole", "apart"])
def workers(
    request: pytest.FixtureRequest, storj_vaults: OpenNew, tmp_path: FilePath, two: bool
) -> Iterator[Workers]:
    """Two workers have caches and connections to the state's database of their own."""
    standalone = 1 if request.param == "apart" else STANDALONE
    with storj_vaults(tmp_path, standalone=standalone) as vault, ExitStack() as stack:
        first = second = vault.tree()
        if two:
            other = stack.enter_context(open_state(tmp_path / "state.db")).tree("vault")
            second = vault.tree(state=other)
        yield Workers(vault, first, second)


def at_once(**jobs: Callable[[], object]) -> dict[str, object]:
    """What each job returned, or the FileError that it ended with."""
    return dict(zip(jobs, race(*jobs.values()), strict=True))


def looks(tree: FileTree, times: int) -> list[dict[str, bool]]:
    """Listings of the root, one after the other: each name, and whether it is damaged."""
    return [{entry.name: entry.damaged for entry in tree.list(Path())} for _ in range(times)]


def contents(tree: FileTree) -> dict[str, tuple[bytes, str]]:
    """Every file in the root: its content, and the property that the race sets."""
    found = {}
    for entry in tree.list(Path()):
        where = path(f"/{entry.name}")
        assert tree.stat(where).size == entry.size
        found[entry.name] = read(tree, where), tree.properties(where).get("{x}p", "")
    return found


def check(answers: dict[str, object], found: dict[str, tuple[bytes, str]], value: str) -> None:
    """What is there is what some order of the changes leaves that were acknowledged.

    ``/a`` was old and without the property; it was moved to ``/b``, copied to ``/c``, written anew,
    and its property set.
    """
    done = {name for name, answer in answers.items() if not isinstance(answer, NoSuchFile)}
    assert {"move", "write"} <= done, answers
    assert not any(
        isinstance(answer, FileError) for name, answer in answers.items() if name in done
    )
    content, its = found.pop("b")
    assert content in (OLD, NEW)
    expected = {"stays"}
    if content == OLD:  # written after it was moved
        expected.add("a")
        assert found["a"][0] == NEW
    if "copy" in done:
        expected.add("c")
        assert found["c"][0] in (OLD, NEW)
        assert found["c"][1] in ("", value)
    assert set(found) == expected
    held = [its, *(found[name][1] for name in found if name == "a")]
    assert sorted(held) == sorted(["" for _ in held[1:]] + [value if "set" in done else ""])


def rounds_of(workers: Workers, rounds: int) -> Counter[str]:
    """Race so often; how the changes ended."""
    first, second = workers.first, workers.second
    told = Counter[str]()
    write(first, "/stays", b"x")
    for number in range(rounds):
        write(first, "/a", OLD)
        value = f"<p>{number}</p>" + (SPILLING if number % 4 == 3 else "")
        answers = at_once(
            set=partial(first.set_properties, path("/a"), set={"{x}p": value}),
            move=lambda: second.move(path("/a"), path("/b"), overwrite=True),
            copy=lambda: second.copy(path("/a"), path("/c"), overwrite=True),
            write=lambda: write(first, "/a", NEW),
            look=lambda: looks(second, 4),
        )
        seen = answers.pop("look")
        assert isinstance(seen, list), seen
        for names in seen:
            assert "stays" in names
            assert names.keys() & {"a", "b"}
            assert not any(names.values()), names
        for tree in (workers.vault.tree(), first, second):
            check(answers, contents(tree), value)
        told.update(
            f"{name}: {'no file' if isinstance(answer, NoSuchFile) else 'done'}"
            for name, answer in answers.items()
        )
        run(second, "delete /b")
        for name in contents(second).keys() & {"a", "c"}:
            run(second, f"delete /{name}")
    return told


@pytest.mark.parametrize(
    "rounds", [10, pytest.param(1_000, marks=[pytest.mark.long, pytest.mark.timeout(7200)])]
)
def test_no_file_is_unreadable_or_missing_after_its_properties_were_set_amid_changes(
    workers: Workers, rounds: int
) -> None:
    told = rounds_of(workers, rounds)
    print(f"\n{rounds} rounds: {dict(sorted(told.items()))}")
    check_clean(workers.vault)


def test_what_is_damaged_where_leases_fail_is_seen_and_rebuilt(
    network: Network, storj_vaults: OpenNew, tmp_path: FilePath
) -> None:
    """A worker that sees nobody's leases; the delay lets its requests and the other's alternate.

    Both begin with cold caches: the third request of one sets metadata, of the other begins a move.
    """
    with storj_vaults(tmp_path) as vault:
        network.delay(5, "satellite")
        try:
            for _ in range(100):
                tree, blind = vault.tree(), vault.blind_tree()
                write(vault.tree(), "/a", OLD)
                at_once(
                    set=partial(blind.set_properties, path("/a"), set={"{x}p": "v"}),
                    move=partial(tree.move, path("/a"), path("/b"), overwrite=True),
                )
                if vault.tree().stat(path("/b")).damaged:
                    break
            else:
                pytest.fail("nothing was damaged: does the satellite keep them apart by now?")
        finally:
            network.restore()
        assert looks(vault.tree(), 1) == [{"b": True}]
        assert vault.fsck(repair=True) == ["DAMAGED_RECORD"]
        assert read(vault.tree(), "/b") == OLD
        check_clean(vault)
