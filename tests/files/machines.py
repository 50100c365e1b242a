"""What the state machines share: choosing paths, and comparing two trees."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from bridge.files.api import Entry, FileTree
from bridge.files.errors import IntoItself, NoSuchParent
from bridge.files.path import Path
from tests.files.model_tree import ModelTree, normalized
from tests.files.script import read

EITHER = (IntoItself, NoSuchParent)
"""Both are true of a move into a folder that is not there, below the one that is moved."""

NAMES = ["a", "b", "Caf\u00e9", "Cafe\u0301"]
SIZES = [0, 1, 65_535, 65_536, 65_537, 131_075]
PROPERTIES = {
    "{x}small": ["1", "<x:two xmlns:x='x'/>"],
    "{x}big": ["v" * 4_000, "w" * 4_000],
    "{}bare": [""],
}


@dataclass(frozen=True)
class Choice:
    """A path to act on: the ``index``-th of those that exist, or ``names`` as they are.

    With ``below``, a name put under the existing path; ``other`` writes its last name in the
    other Unicode form.
    """

    index: int | None
    names: tuple[str, ...]
    below: bool
    other: bool

    def of(self, tree: ModelTree, *, folders: bool = False) -> Path:
        """The path it means in ``tree`` as it is now."""
        where = Path(self.names)
        if self.index is not None:
            found = [path for path, entry in walk(tree) if entry.is_directory or not folders]
            if found:
                where = found[self.index % len(found)]
                if self.below:
                    where = where.child(self.names[0])
        if self.other and not where.is_root:
            forms = {NAMES[2]: NAMES[3], NAMES[3]: NAMES[2]}
            where = where.parent.child(forms.get(where.name, where.name))
        return where


choices = st.builds(
    Choice,
    index=st.one_of(st.integers(0, 12), st.none()),
    names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(tuple),
    below=st.booleans(),
    other=st.booleans(),
)
contents = st.builds(
    lambda size, seed: hashlib.shake_128(bytes([seed])).digest(size),
    st.sampled_from(SIZES),
    st.integers(0, 255),
)
property_sets = st.dictionaries(st.sampled_from(sorted(PROPERTIES)), st.integers(0, 1)).map(
    lambda chosen: {
        name: PROPERTIES[name][which % len(PROPERTIES[name])] for name, which in chosen.items()
    }
)
removals = st.frozensets(st.sampled_from(sorted(PROPERTIES)))
mtimes = st.one_of(st.none(), st.integers(0, 2_000_000_000).map(float))


def run_machine(make: Callable[[], RuleBasedStateMachine], *, examples: int, steps: int) -> None:
    """Run the machines that ``make`` makes; no example has a time limit."""
    run_state_machine_as_test(
        make,  # type: ignore[arg-type] # it says so: any factory will do
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def walk(tree: FileTree, where: Path | None = None) -> Iterator[tuple[Path, Entry]]:
    """Every path below a folder with its entry, folders before what is in them, in one order."""
    where = where or Path()
    for entry in sorted(tree.list(where), key=lambda entry: normalized(entry.name)):
        below = where.child(entry.name)
        yield below, entry
        if entry.is_directory:
            yield from walk(tree, below)


@dataclass(frozen=True)
class Seen:
    """What two trees must agree on of one entry."""

    is_directory: bool
    size: int
    digest: str
    mtime: float | None
    content_type: str
    properties: tuple[tuple[str, str], ...]


def picture(
    tree: FileTree, *, exact_names: bool = True, digests: dict[str, str] | None = None
) -> dict[tuple[str, ...], Seen]:
    """Everything in a tree that can be compared with another tree.

    ``exact_names``: names as shown; else in their normalized form. ``digests``: those of contents
    read before, by etag, which are not read again.
    """
    digests = {} if digests is None else digests
    seen = {}
    for path, entry in walk(tree):
        assert not entry.damaged, path
        names = path.names if exact_names else tuple(map(normalized, path.names))
        file = not entry.is_directory
        if file and entry.etag not in digests:
            digests[entry.etag] = hashlib.sha256(read(tree, path)).hexdigest()
        seen[names] = Seen(
            is_directory=entry.is_directory,
            size=entry.size,
            digest=digests[entry.etag] if file else "",
            mtime=entry.mtime if file else None,
            content_type=entry.content_type,
            properties=tuple(sorted(tree.properties(path).items())),
        )
        if entry.properties is not None:
            assert tuple(sorted(entry.properties.items())) == seen[names].properties
    return seen
