"""Any sequence of operations leaves a vault's tree as it leaves the model.

Two instances work on one store and one state in turn, as two workers do, so that whatever a
cache forgets to look at shows.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path as FilePath
from typing import Any, get_args

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
)

from bridge.files.api import Entry, Reader, Writer
from bridge.files.errors import FileError, IsDirectory, NoSuchFile, NoSuchParent
from bridge.files.path import Path
from bridge.files.reaper import Reaper
from bridge.files.vault_tree import VaultTree
from bridge.store.retrying import RetryingStore
from bridge.store.wrapping import Operation
from tests.files.machines import (
    EITHER,
    Choice,
    choices,
    contents,
    mtimes,
    picture,
    property_sets,
    removals,
    run_machine,
    walk,
)
from tests.files.model_tree import ModelTree
from tests.files.script import drain
from tests.files.vault import OpenNew, Vault, check_clean
from tests.store.faulty import FaultyStore, RandomFaults


class Refused(Exception):
    """Raised by a guard that keeps a change from being made."""


def refuse(_entry: Entry | None) -> None:
    raise Refused


class TreeMachine(RuleBasedStateMachine):
    """A vault's tree beside the model."""

    writers = Bundle("writers")
    readers = Bundle("readers")

    def __init__(self, open_new: OpenNew) -> None:
        super().__init__()
        self.open_new = open_new
        self.stack = contextlib.ExitStack()
        folder = FilePath(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.vault: Vault = self.stack.enter_context(self.make_vault(folder))
        self.trees: list[VaultTree] = [self.opened(), self.opened()]
        # Each moment is new, so that a folder's creation time tells it from all others.
        moments = count(1_600_000_000)
        self.model = ModelTree(clock=lambda: float(next(moments)))
        self.etags: dict[str, str] = {}
        self.times: dict[float, tuple[float, float]] = {}
        self.digests: dict[str, str] = {}

    def opened(self) -> VaultTree:
        """A tree with cold caches."""
        return self.vault.tree()

    def make_vault(self, folder: FilePath) -> AbstractContextManager[Vault]:
        """An empty vault."""
        return self.open_new(folder)

    def teardown(self) -> None:
        try:
            check_clean(self.vault)
            assert picture(self.vault.tree()) == picture(self.model)
        finally:
            self.stack.close()

    def both(self, which: int, operation: Callable[[Any], Any]) -> tuple[Any, Any]:
        """Do it to tree and model; either both succeed or both raise the same error."""
        real, model = (self.outcome(operation, on) for on in (self.trees[which], self.model))
        if isinstance(model, EITHER) and isinstance(real, EITHER):
            return None, None
        if isinstance(real, FileError) or isinstance(model, FileError):
            assert type(real) is type(model), f"the tree: {real!r}, the model: {model!r}"
            return None, None
        return real, model

    @staticmethod
    def outcome(operation: Callable[[Any], Any], tree: Any) -> Any:
        try:
            return operation(tree)
        except FileError as error:
            return error

    @rule(which=st.integers(0, 1), where=choices, content=contents, mtime=st.integers(0, 10**9))
    def write(self, which: int, where: Choice, content: bytes, mtime: int) -> None:
        path = where.of(self.model)

        def operation(tree: Any) -> tuple[bool, str]:
            writer = tree.create(path, size=len(content), content_type="a/b", mtime=float(mtime))
            writer.write(content)
            entry, new = writer.commit()
            return new, entry.name

        real, model = self.both(which, operation)
        assert real == model

    @rule(
        target=writers,
        which=st.integers(0, 1),
        where=choices,
        content=contents,
        mtime=st.integers(0, 10**9),
    )
    def begin(self, which: int, where: Choice, content: bytes, mtime: int) -> Any:
        path = where.of(self.model)
        real, model = (
            self.outcome(lambda tree: tree.create(path, size=len(content), mtime=float(mtime)), on)
            for on in (self.trees[which], self.model)
        )
        if isinstance(model, FileError):
            if isinstance(model, IsDirectory) and not isinstance(real, FileError):
                real = self.outcome(lambda writer: writer.commit(), real)
            assert type(real) is type(model), f"the tree: {real!r}, the model: {model!r}"
            return multiple()
        assert not isinstance(real, FileError), real
        real.write(content)
        model.write(content)
        return path, real, model, self.model.stat(path.parent).created

    @rule(begun=consumes(writers), commit=st.booleans())
    def end(self, begun: tuple[Path, Writer, Writer, float], commit: bool) -> None:
        path, real, model, folder = begun
        if not commit:
            real.abort()
            model.abort()
            return
        try:
            entry, new = real.commit()
        except NoSuchParent:
            try:
                model.commit(refuse)
            except NoSuchParent:
                return
            except Refused:
                # It would have been possible, so the folder must be elsewhere by now.
                with contextlib.suppress(NoSuchFile):
                    assert self.model.stat(path.parent).created != folder
            return
        except FileError as error:
            wanted_error = self.outcome(lambda writer: writer.commit(), model)
            assert type(wanted_error) is type(error), error  # noqa: PT017 - compared with another
            return
        wanted, wanted_new = model.commit()
        assert (entry.name, entry.size, new) == (wanted.name, wanted.size, wanted_new)

    @rule(target=readers, which=st.integers(0, 1), where=choices)
    def open(self, which: int, where: Choice) -> Any:
        path = where.of(self.model)
        real, model = self.both(which, lambda tree: tree.open(path))
        return multiple() if real is None else (real, model)

    @rule(opened=consumes(readers))
    def read(self, opened: tuple[Reader, Reader]) -> None:
        real, model = opened
        assert drain(real, 65_536) == drain(model, 65_536)

    @rule(
        which=st.integers(0, 1),
        where=choices,
        start=st.integers(0, 140_000),
        size=st.integers(0, 70_000),
    )
    def read_range(self, which: int, where: Choice, start: int, size: int) -> None:
        path = where.of(self.model)
        real, model = self.both(which, lambda tree: drain(tree.open(path, start, size)))
        assert real == model

    @rule(which=st.integers(0, 1), where=choices)
    def mkdir(self, which: int, where: Choice) -> None:
        path = where.of(self.model)
        real, model = self.both(which, lambda tree: tree.mkdir(path).name)
        assert real == model

    @rule(which=st.integers(0, 1), where=choices)
    def delete(self, which: int, where: Choice) -> None:
        path = where.of(self.model)
        self.both(which, lambda tree: tree.delete(path))

    @rule(which=st.integers(0, 1), src=choices, dst=choices, overwrite=st.booleans())
    def move(self, which: int, src: Choice, dst: Choice, overwrite: bool) -> None:
        here, there = src.of(self.model), dst.of(self.model)
        real, model = self.both(which, lambda tree: tree.move(here, there, overwrite=overwrite))
        assert real == model

    @rule(which=st.integers(0, 1), where=choices)
    def rename_to_the_other_form(self, which: int, where: Choice) -> None:
        here = where.of(self.model)
        there = Choice(None, here.names or ("a",), below=False, other=True).of(self.model)
        real, model = self.both(which, lambda tree: tree.move(here, there, overwrite=False))
        assert real == model

    @rule(
        which=st.integers(0, 1),
        src=choices,
        dst=choices,
        overwrite=st.booleans(),
        recursive=st.booleans(),
    )
    def copy(self, which: int, src: Choice, dst: Choice, overwrite: bool, recursive: bool) -> None:
        here, there = src.of(self.model), dst.of(self.model)
        if not here.is_root and len(list(walk(self.model))) > 40:
            return  # keeps copies of copies from growing without end
        real, model = self.both(
            which,
            lambda tree: tree.copy(here, there, overwrite=overwrite, recursive=recursive),
        )
        assert real == model

    @rule(
        which=st.integers(0, 1),
        where=choices,
        properties=property_sets,
        remove=removals,
        mtime=mtimes,
    )
    def set_properties(
        self,
        which: int,
        where: Choice,
        properties: dict[str, str],
        remove: frozenset[str],
        mtime: float | None,
    ) -> None:
        path = where.of(self.model)
        real, model = self.both(
            which,
            lambda tree: tree.set_properties(path, set=properties, remove=remove, mtime=mtime).name,
        )
        assert real == model

    @rule(which=st.integers(0, 1), where=choices)
    def look(self, which: int, where: Choice) -> None:
        path = where.of(self.model)
        real, model = self.both(which, lambda tree: tree.stat(path))
        if real is not None:
            assert (real.name, real.is_directory, real.size) == (
                model.name,
                model.is_directory,
                model.size,
            )
        names, wanted = self.both(
            which, lambda tree: sorted(entry.name for entry in tree.list(path))
        )
        assert names == wanted

    @rule(which=st.integers(0, 1))
    def reopen(self, which: int) -> None:
        self.trees[which] = self.opened()

    @rule(which=st.integers(0, 1))
    def reap(self, which: int) -> None:
        Reaper(self.trees[which].vault, grace=0).reap()

    @rule(which=st.integers(0, 1))
    def usage(self, which: int) -> None:
        assert self.trees[which].usage() == self.model.usage()

    @invariant()
    def both_instances_show_what_the_model_shows(self) -> None:
        wanted = picture(self.model, digests=self.digests)
        for tree in self.trees:
            assert picture(tree, digests=self.digests) == wanted

    @invariant()
    def etags_change_with_content_and_only_then(self) -> None:
        for path, model in walk(self.model):
            for tree in self.trees:
                real = tree.stat(path)
                if not model.is_directory:
                    assert self.etags.setdefault(model.etag, real.etag) == real.etag, path
        assert len(set(self.etags.values())) == len(self.etags)

    @invariant()
    def a_folders_time_never_misses_a_change(self) -> None:
        for path, model in [(Path(), self.model.stat(Path())), *walk(self.model)]:
            if model.is_directory:
                real = self.trees[0].stat(path)
                assert real.mtime == self.trees[1].stat(path).mtime
                was, was_real = self.times.get(model.created, (model.mtime, real.mtime))
                assert real.mtime > was_real or (model.mtime == was and real.mtime == was_real)
                self.times[model.created] = (model.mtime, real.mtime)


class LostAnswersMachine(TreeMachine):
    """The same over a store of which one call in five fails, half of them after their effect.

    The wrapper that tries again makes all of it good, if the tree knows its own work again.
    """

    def __init__(self, open_new: OpenNew) -> None:
        retried = frozenset(get_args(Operation)) - {"write", "write_part"}
        self.faults = RandomFaults(random.Random(1), 0.2, retried)
        super().__init__(open_new)

    def opened(self) -> VaultTree:
        faulty = FaultyStore(self.vault.store, self.faults)
        return self.vault.tree(RetryingStore(faulty, limit=1e9, sleep=lambda _seconds: None))

    def teardown(self) -> None:
        self.vault.reap()
        self.vault.fsck(repair=True)  # what could not be tidied up at once
        super().teardown()


class BodiesApartMachine(LostAnswersMachine):
    """The same with large files' bodies apart from their entries."""

    def make_vault(self, folder: FilePath) -> AbstractContextManager[Vault]:
        return self.open_new(folder, standalone=65_000)


@pytest.mark.parametrize(
    ("machine", "examples"), [(TreeMachine, 30), (LostAnswersMachine, 30), (BodiesApartMachine, 15)]
)
def test_the_tree_behaves_as_the_model(
    open_new: OpenNew, machine: type[TreeMachine], examples: int
) -> None:
    run_machine(lambda: machine(open_new), examples=examples, steps=30)


@pytest.mark.timeout(7200)
@pytest.mark.long
@pytest.mark.parametrize("machine", [TreeMachine, LostAnswersMachine, BodiesApartMachine])
def test_the_tree_behaves_as_the_model_over_many_runs(
    open_new: OpenNew, machine: type[TreeMachine]
) -> None:
    run_machine(lambda: machine(open_new), examples=2_000, steps=30)
