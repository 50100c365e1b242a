"""What a tree's changes and transfers leave in the ledger, and what they may not pass."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path as FilePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.files.api import Entry, FileTree, Guard, no_guard
from bridge.files.errors import FileError, NoSuchFile, StorageFull, StorageUnavailable
from bridge.files.path import Path
from bridge.tenants.api import ALL_RIGHTS, Right
from bridge.tenants.confined import ConfinedTree
from bridge.tenants.metered import MeteredTree
from bridge.tenants.usage import Ledger, Traffic
from tests.files.model_tree import ModelTree
from tests.files.script import path, read, run, snapshot, write
from tests.files.vault import Clock, Vault, check_clean, memory_vault
from tests.tenants.ledger import SharedUsage

DAY = 20_000


class Kept:
    """A tree, its ledger, and what the ledger has told."""

    def __init__(self, inner: FileTree, quota: int | None = None) -> None:
        self.inner = inner
        self.clock = Clock(DAY * 86_400.0)
        self.shared = SharedUsage(self.clock)
        self.ledger = Ledger(self.shared, quota=quota, clock=self.clock)
        self.tree = MeteredTree(inner, self.ledger)
        self.ledger.count(self.tree.usage)

    def agrees(self) -> bool:
        """Whether the deltas alone tell what is there."""
        used, usage = self.ledger.used, self.inner.usage()
        return (used.bytes, used.stored, used.files) == (usage.bytes, usage.stored, usage.files)

    def nothing_reserved(self) -> bool:
        quota = self.ledger.quota
        return quota is None or self.ledger.available == max(0, quota - self.ledger.used.bytes)


@pytest.fixture
def vault(tmp_path: FilePath) -> Iterator[Vault]:
    with memory_vault(tmp_path) as vault:
        yield vault


@pytest.mark.parametrize("quota", [None, 1 << 40])
def test_every_change_of_a_file_is_known_at_once(quota: int | None) -> None:
    kept = Kept(ModelTree(), quota)
    for step in (
        "write /a 12345",
        "write /a 1",
        "write /a",
        "write /b 123",
        "mkdir /d",
        "copy /b /d/c",
        "copy! /b /a",
        "move /b /e",
        "move! /e /a",
        "set /a {x:}p <p/>",
        "delete /d/c",
        "delete /a",
        "delete /a want no-such-file",
        "write /f/g x want no-such-parent",
        "write /d x want is-directory",
        "copy /nothing /f want no-such-file",
    ):
        run(kept.tree, step)
        assert kept.agrees(), step
        assert kept.nothing_reserved(), step
        assert not kept.ledger.to_be_counted, step


@pytest.mark.parametrize(
    "step", ["delete /d", "move! /f /d", "copy! /f /d", "move! /e /d", "copy! /e /d", "copy /d /g"]
)
def test_a_folder_that_went_or_was_copied_is_to_be_counted(step: str) -> None:
    kept = Kept(ModelTree(), 1 << 40)
    run(kept.tree, "mkdir /d, write /d/f 123, mkdir /e, write /e/g 1, write /f 12")
    run(kept.tree, step)
    assert kept.agrees()  # until somebody changes it in the same moment
    assert kept.ledger.to_be_counted
    assert kept.nothing_reserved()
    kept.ledger.count(kept.tree.usage)
    assert kept.agrees()


@pytest.mark.parametrize("large", ["files", "folders", "not to be listed"])
def test_a_large_folder_makes_room_when_it_is_counted(large: str) -> None:
    inner = ModelTree()
    inner.mkdir(path("/d"))
    for number in range(2_001 if large == "files" else 1):
        write(inner, Path(("d", f"{number}")), b"123")
    for number in range(20 if large == "folders" else 0):
        inner.mkdir(Path(("d", f"folder-{number}")))
    rights = ALL_RIGHTS if large != "not to be listed" else Right.DELETE
    kept = Kept(inner, 10_000)
    before = kept.ledger.used
    MeteredTree(ConfinedTree(inner, rights), kept.ledger).delete(path("/d"))
    assert kept.ledger.used == before
    assert kept.ledger.to_be_counted
    kept.ledger.count(kept.tree.usage)
    assert kept.agrees()


def test_a_folders_copy_is_known_at_once_and_counted_to_be_sure() -> None:
    kept = Kept(ModelTree())
    run(kept.tree, "mkdir /d, mkdir /d/e, write /d/e/f 123, write /d/g 1, copy /d /c")
    assert kept.agrees()
    run(kept.tree, "copy0 /d /alone")
    assert kept.agrees()


_NAMES = st.sampled_from(["/a", "/b", "/d", "/d/a", "/d/e", "/d/e/a"])
_STEPS = st.one_of(
    st.tuples(st.just("write"), _NAMES, st.text("x", max_size=40)).map(" ".join),
    st.tuples(st.just("mkdir"), _NAMES).map(" ".join),
    st.tuples(st.just("delete"), _NAMES).map(" ".join),
    st.tuples(st.sampled_from(["move", "move!", "copy", "copy!"]), _NAMES, _NAMES).map(" ".join),
)


@given(st.lists(_STEPS, max_size=30), st.integers(0, 150))
def test_whatever_is_done_deltas_and_counts_agree_with_what_is_there(
    steps: list[str], quota: int
) -> None:
    kept = Kept(ModelTree(), quota)
    for step in steps:
        with suppress(FileError):
            run(kept.tree, step)
        assert kept.inner.usage().bytes <= quota
        assert kept.nothing_reserved()
        if kept.ledger.to_be_counted:
            kept.ledger.count(kept.tree.usage)
        assert kept.agrees()


class TestTheQuota:
    def test_is_asked_before_a_body_comes_whose_length_is_known(self) -> None:
        kept = Kept(ModelTree(), 10)
        with pytest.raises(StorageFull):
            kept.tree.create(path("/a"), size=11)
        assert kept.nothing_reserved()
        writer = kept.tree.create(path("/a"), size=10)
        with pytest.raises(StorageFull):
            kept.tree.create(path("/b"), size=1)
        writer.write(b"1")  # the rest stays reserved
        with pytest.raises(StorageFull):
            kept.tree.create(path("/b"), size=1)
        writer.abort()
        write(kept.tree, "/b", b"x" * 10)

    def test_stops_a_body_of_unknown_length_on_its_way(self) -> None:
        kept = Kept(ModelTree(), 10)
        writer = kept.tree.create(path("/a"))
        writer.write(b"x" * 10)
        with pytest.raises(StorageFull):
            writer.write(b"x")
        writer.abort()
        assert kept.nothing_reserved()
        run(kept.tree, "none /a")

    def test_counts_what_is_replaced_as_free(self) -> None:
        kept = Kept(ModelTree(), 10)
        write(kept.tree, "/a", b"x" * 8)
        write(kept.tree, "/a", b"y" * 10)
        writer = kept.tree.create(path("/a"))
        writer.write(b"z" * 10)
        writer.commit()
        write(kept.tree, "/b", b"")
        with pytest.raises(StorageFull):
            write(kept.tree, "/a", b"x" * 11)
        assert read(kept.tree, "/a") == b"z" * 10
        assert kept.agrees()
        assert kept.nothing_reserved()

    def test_is_asked_again_when_what_was_to_be_replaced_is_gone(self) -> None:
        kept = Kept(ModelTree(), 10)
        write(kept.tree, "/a", b"x" * 8)
        writer = kept.tree.create(path("/a"), size=10)
        writer.write(b"y" * 10)
        run(kept.tree, "move /a /kept")
        with pytest.raises(StorageFull):
            writer.commit()
        run(kept.tree, "none /a, is /kept xxxxxxxx")
        assert kept.nothing_reserved()

    def test_lets_who_is_over_it_make_less_of_it(self) -> None:
        kept = Kept(ModelTree())
        write(kept.tree, "/a", b"x" * 20)
        kept.ledger.quota = 10
        write(kept.tree, "/a", b"x" * 19)
        run(kept.tree, "mkdir /d, move /a /d/a, delete /d/a")
        assert kept.agrees()

    def test_is_for_copies_too(self) -> None:
        kept = Kept(ModelTree(), 10)
        run(kept.tree, "write /a 1234, mkdir /d, write /d/f 123")
        with pytest.raises(StorageFull):
            run(kept.tree, "copy /a /b")
        run(kept.tree, "copy! /a /d/f")  # what it replaces goes
        before = snapshot(kept.tree)
        with pytest.raises(StorageFull):
            run(kept.tree, "copy /d /e")
        assert snapshot(kept.tree) == before
        assert kept.nothing_reserved()

    def test_of_a_copy_is_for_what_is_copied_in_the_end(self) -> None:
        """Somebody makes the source larger after it was looked at."""

        class Growing(ModelTree):
            def copy(
                self,
                src: Path,
                dst: Path,
                *,
                overwrite: bool,
                recursive: bool = True,
                guard: Guard = no_guard,
            ) -> bool:
                write(self, src, b"x" * 100)
                return super().copy(src, dst, overwrite=overwrite, recursive=recursive, guard=guard)

        kept = Kept(Growing(), 150)
        write(kept.tree, "/a", b"1")
        with pytest.raises(StorageFull):
            run(kept.tree, "copy /a /b, copy /a /c")
        assert kept.inner.usage().bytes <= 200

    def test_is_not_passed_by_many_bodies_of_unknown_length(self, vault: Vault) -> None:
        quota = 8 * 100_000
        kept = Kept(vault.tree(), quota)
        gate = threading.Barrier(8)

        def upload(number: int) -> int:
            size = 0
            for turn in range(4):
                gate.wait()
                writer = kept.tree.create(Path((f"{number}-{turn}",)))
                try:
                    for _ in range(7):
                        writer.write(b"x" * 10_000)
                    writer.commit()
                    size += 70_000
                except StorageFull:
                    pass
                finally:
                    writer.abort()
                assert kept.inner.usage().bytes <= quota
            return size

        with ThreadPoolExecutor(8) as pool:
            done = sum(pool.map(upload, range(8)))
        # The first eight fit, and of the others those that were not in each other's way.
        assert 8 * 70_000 <= kept.inner.usage().bytes == done <= quota
        assert kept.agrees()
        assert kept.nothing_reserved()
        check_clean(vault)

    def test_a_copy_of_a_folder_that_passes_it_leaves_nothing(self, vault: Vault) -> None:
        kept = Kept(vault.tree(), 100)
        run(kept.tree, "mkdir /d, mkdir /d/e")
        write(kept.tree, "/d/e/f", b"x" * 60)
        before = vault.keys_under()
        with pytest.raises(StorageFull):
            run(kept.tree, "copy /d /c")
        assert vault.keys_under() == before


def test_what_is_sent_and_received_is_noted_by_day() -> None:
    kept = Kept(ModelTree())
    write(kept.tree, "/a", b"x" * 300_000)
    assert len(read(kept.tree, "/a", 100_000)) == 200_000
    kept.ledger.flush()
    assert kept.shared.days == {DAY: Traffic(300_000, 200_000, 0)}


class _Losing(ModelTree):
    """Does what it is asked, and its answer is lost."""

    def delete(self, path: Path, guard: Guard = no_guard) -> None:
        super().delete(path, guard)
        raise StorageUnavailable("no answer")


def test_a_change_of_which_nobody_knows_is_to_be_counted() -> None:
    kept = Kept(_Losing())
    run(kept.tree, "write /a 123")
    with pytest.raises(StorageUnavailable):
        kept.tree.delete(path("/a"))
    assert kept.ledger.to_be_counted
    kept.ledger.count(kept.tree.usage)
    assert kept.agrees()
    with pytest.raises(NoSuchFile):
        kept.tree.delete(path("/a"))
    assert not kept.ledger.to_be_counted


def test_a_guard_that_refuses_leaves_all_as_it_was() -> None:
    class Mine(Exception):
        """The guard's own."""

    def guard(_entry: Entry | None) -> None:
        raise Mine

    kept = Kept(ModelTree(), 100)
    run(kept.tree, "write /a 123, write /b 1")
    writer = kept.tree.create(path("/a"), size=5)
    writer.write(b"12345")
    for act in (
        lambda: writer.commit(guard),
        lambda: kept.tree.delete(path("/a"), guard),
        lambda: kept.tree.move(path("/a"), path("/b"), overwrite=True, guard=guard),
        lambda: kept.tree.copy(path("/a"), path("/b"), overwrite=True, guard=guard),
    ):
        with pytest.raises(Mine):
            act()
        assert kept.nothing_reserved()
    assert kept.agrees()
    assert not kept.ledger.to_be_counted
