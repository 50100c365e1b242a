"""A store that fails at any call: what was acknowledged stays, what was not is there or is not.

A call fails before its effect, after it (its answer is lost), or the process dies, so that no
later call has any effect; or it hangs until its time is up.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bridge.files.errors import FileError, StorageUnavailable
from bridge.files.path import Path
from bridge.files.reaper import Reaper
from bridge.store import deadline
from bridge.store.api import StoreError, Unavailable
from tests.files.machines import (
    EITHER,
    Choice,
    Seen,
    choices,
    contents,
    mtimes,
    picture,
    property_sets,
    removals,
    run_machine,
)
from tests.files.model_tree import ModelTree
from tests.files.script import drain, path, read, run, snapshot, write
from tests.files.scripted_store import CHANGES, Call, ScriptedStore, fail
from tests.files.vault import LAYOUT, OpenNew, Vault, check_clean

BIG = {"{x}p": "v" * 4_000}


class Fault(NamedTuple):
    """At which call it fails, counted from 0; after its effect or before; for good or once."""

    call: int
    after: bool
    dies: bool


faults = st.one_of(
    st.none(), st.builds(Fault, st.integers(0, 24), after=st.booleans(), dies=st.booleans())
)


@contextlib.contextmanager
def failing(store: ScriptedStore, fault: Fault | None) -> Any:
    """Let the store fail so inside."""
    seen = -1

    def each(call: Call) -> None:
        nonlocal seen
        seen += 1
        assert fault is not None
        if (seen == fault.call and not fault.after) or (seen > fault.call and fault.dies):
            fail(call)

    def each_after(call: Call) -> None:
        assert fault is not None
        if seen == fault.call and fault.after:
            fail(call)

    if fault is not None:
        store.each, store.each_after = each, each_after
    try:
        yield
    finally:
        store.each = store.each_after = None


class FaultMachine(RuleBasedStateMachine):
    """A tree on a failing store beside a model of what was acknowledged."""

    def __init__(self, open_new: OpenNew) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        folder = FilePath(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.vault: Vault = self.stack.enter_context(open_new(folder))
        self.store = ScriptedStore(self.vault.store)
        self.tree = self.vault.tree(self.store)
        self.model = ModelTree()
        self.digests: dict[str, str] = {}

    def teardown(self) -> None:
        try:
            wanted = picture(self.model, exact_names=False)
            assert picture(self.vault.tree(), exact_names=False) == wanted
            self.vault.reap()
            self.vault.fsck(repair=True)
            self.vault.reap()
            assert self.vault.fsck() == []
            check_clean(self.vault)
            assert picture(self.vault.tree(), exact_names=False) == wanted
        finally:
            self.stack.close()

    def seen(self, tree: Any) -> dict[tuple[str, ...], Seen]:
        return picture(tree, exact_names=False, digests=self.digests)

    def do(
        self,
        fault: Fault | None,
        operation: Callable[[Any], Any],
        half: Callable[[ModelTree], object] | None = None,
    ) -> None:
        """Do it to the tree, and settle what the model says of it.

        ``half``: what a change of two steps may leave when it fails between them.
        """
        try:
            with failing(self.store, fault):
                operation(self.tree)
        except FileError as error:
            failure = error
        else:
            operation(self.model)
            return
        after = self.model.clone()
        wanted: FileError | None = None
        try:
            operation(after)
        except FileError as error:
            wanted, after = error, self.model
        either = isinstance(failure, EITHER) and isinstance(wanted, EITHER)
        assert fault is not None or either or type(failure) is type(wanted), failure
        now = self.seen(self.vault.tree())
        assert self.seen(self.tree) == now
        if now == self.seen(self.model):
            return
        if now != self.seen(after) and half is not None:
            after = self.model.clone()
            half(after)
        assert now == self.seen(after), f"neither there nor absent after {failure!r}"
        self.model = after

    @rule(fault=faults, where=choices, content=contents, mtime=st.integers(0, 10**9))
    def write(self, fault: Fault | None, where: Choice, content: bytes, mtime: int) -> None:
        at = where.of(self.model)
        self.do(fault, lambda tree: write(tree, at, content, mtime=float(mtime)))

    @rule(fault=faults, where=choices)
    def mkdir(self, fault: Fault | None, where: Choice) -> None:
        at = where.of(self.model)
        self.do(fault, lambda tree: tree.mkdir(at))

    @rule(fault=faults, where=choices)
    def delete(self, fault: Fault | None, where: Choice) -> None:
        at = where.of(self.model)
        self.do(fault, lambda tree: tree.delete(at))

    @rule(fault=faults, src=choices, dst=choices, overwrite=st.booleans())
    def move(self, fault: Fault | None, src: Choice, dst: Choice, overwrite: bool) -> None:
        here, there = src.of(self.model), dst.of(self.model)
        self.do(
            fault,
            lambda tree: tree.move(here, there, overwrite=overwrite),
            self.way_made(there, overwrite=overwrite),
        )

    @rule(fault=faults, src=choices, dst=choices, overwrite=st.booleans(), recursive=st.booleans())
    def copy(
        self, fault: Fault | None, src: Choice, dst: Choice, overwrite: bool, recursive: bool
    ) -> None:
        here, there = src.of(self.model), dst.of(self.model)
        if len(self.seen(self.model)) > 30:
            return
        self.do(
            fault,
            lambda tree: tree.copy(here, there, overwrite=overwrite, recursive=recursive),
            self.way_made(there, overwrite=overwrite),
        )

    def way_made(self, there: Path, *, overwrite: bool) -> Callable[[ModelTree], object] | None:
        """A folder in the way goes first, on its own: no store replaces a tree in one step."""
        with contextlib.suppress(FileError):
            if overwrite and self.model.stat(there).is_directory:
                return lambda model: model.delete(there)
        return None

    @rule(fault=faults, where=choices, properties=property_sets, remove=removals, mtime=mtimes)
    def set_properties(
        self,
        fault: Fault | None,
        where: Choice,
        properties: dict[str, str],
        remove: frozenset[str],
        mtime: float | None,
    ) -> None:
        at = where.of(self.model)
        self.do(
            fault,
            lambda tree: tree.set_properties(at, set=properties, remove=remove, mtime=mtime),
        )

    @rule(fault=faults, where=choices)
    def read(self, fault: Fault | None, where: Choice) -> None:
        at = where.of(self.model)
        try:
            with failing(self.store, fault):
                content = drain(self.tree.open(at))
        except FileError as error:
            if fault is None:
                with pytest.raises(type(error)):
                    self.model.open(at)
        else:
            assert content == drain(self.model.open(at))

    @rule()
    def reopen(self) -> None:
        self.tree = self.vault.tree(self.store)

    @rule(fault=faults)
    def reap(self, fault: Fault | None) -> None:
        with contextlib.suppress(StoreError), failing(self.store, fault):
            Reaper(self.tree.vault, grace=0).reap()

    @rule()
    def repair(self) -> None:
        self.vault.fsck(repair=True)

    @invariant()
    def the_tree_shows_what_was_acknowledged(self) -> None:
        assert self.seen(self.tree) == self.seen(self.model)


def test_nothing_acknowledged_is_lost(open_new: OpenNew) -> None:
    run_machine(lambda: FaultMachine(open_new), examples=25, steps=20)


@pytest.mark.timeout(7200)
@pytest.mark.long
def test_nothing_acknowledged_is_lost_over_many_runs(open_new: OpenNew) -> None:
    run_machine(lambda: FaultMachine(open_new), examples=2_000, steps=20)


SCRIPTS = [
    "write /new x",
    "write /f x",
    "mkdir /new",
    "delete /f",
    "delete /d",
    "move /f /new",
    "move! /f /d/g",
    "move! /s /f",
    "move /d /new",
    "copy /f /new",
    "copy! /f /d/g",
    "copy /s /new",
    "copy! /s /f",
    "copy! /f /s",
    "copy /d /new",
    "copy! /d /f",
    "copy! /d /s",
    "set /f {x}q v",
    "set /s {x}q v",
    "set /d {x}q v",
]


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("dies", [False, True], ids=["once", "dies"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_failure_at_any_call_leaves_a_change_whole_or_absent(
    vault: Vault, script: str, after: bool, dies: bool
) -> None:
    """Each call in turn fails, until one round needs no more calls than that."""
    store = ScriptedStore(vault.store)
    for number in range(60):
        base = f"/r{number}"
        before, done = ModelTree(), ModelTree()
        for tree in (vault.tree(), before, done):
            run(tree, f"mkdir {base}, mkdir {base}/d, write {base}/d/g g, mkdir {base}/d/h")
            run(tree, f"write {base}/d/h/i i, write {base}/f f, write {base}/s s")
            tree.set_properties(path(f"{base}/s"), set=BIG)
            tree.set_properties(path(f"{base}/d/g"), set=BIG)
        here = script.replace(" /", f" {base}/")
        run(done, here)
        tree, failed = vault.tree(store), False
        run(tree, f"list {base} d f s")
        store.calls.clear()
        try:
            with failing(store, Fault(number, after, dies)):
                run(tree, here)
        except StorageUnavailable:
            failed = True
        calls = len(store.calls)
        allowed = [snapshot(done, path(base))]
        if failed:
            allowed.append(snapshot(before, path(base)))
        found = snapshot(vault.tree(), path(base))
        assert found in allowed, (number, store.calls[-1])
        assert snapshot(tree, path(base)) == found
        vault.reap()
        vault.fsck(repair=True)
        check_clean(vault)
        assert snapshot(vault.tree(), path(base)) == found
        for where in ("s", "d/g"):
            with contextlib.suppress(FileError):
                if read(vault.tree(), f"{base}/{where}") in (b"s", b"g"):
                    kept = vault.tree().properties(path(f"{base}/{where}"))
                    assert kept.items() >= BIG.items()
        if calls <= number:
            assert not failed
            return
        run(vault.tree(), f"delete {base}")
        vault.reap()
    raise AssertionError("it never ran to its end")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_store_that_hangs_is_given_up_in_time_and_harms_nothing(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    run(vault.tree(), "mkdir /d, write /d/g g, write /f f, write /s s")
    vault.tree().set_properties(path("/s"), set=BIG)
    before = snapshot(vault.tree())
    store = ScriptedStore(vault.store)
    tree = vault.tree(store)
    never = threading.Event()

    def hang(call: Call) -> None:
        if call.name in CHANGES:
            left = deadline.remaining()
            guarded = not call.key.startswith(LAYOUT.intents)  # what no lease is held for
            assert left is not None or not guarded, f"{call.name} could outlast its lease"
            never.wait(left or 0)
            raise Unavailable("the time allowed for this call is over", key=call.key)

    for module in ("change", "copies"):
        monkeypatch.setattr(f"bridge.files.{module}.CALL_LIMIT", 0.05)
    store.each = hang
    with pytest.raises(StorageUnavailable):
        run(tree, script)
    store.each = None
    monkeypatch.undo()
    assert snapshot(tree) == before
    run(tree, "write /f works, is /f works, write /new x, delete /new")
