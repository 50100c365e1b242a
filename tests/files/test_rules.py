"""The rules that keep a vault from losing data: one scenario each, which fails without its rule.

The rules are numbered in docs/architecture.md. A ``ScriptedStore`` steps in at the exact call
where the danger lies; whatever steps in works on another instance, as another worker would.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

import pytest

from bridge.files.errors import (
    AlreadyExists,
    Busy,
    FileError,
    IntoItself,
    NoSuchFile,
    NoSuchParent,
    StorageUnavailable,
)
from bridge.files.path import Path
from bridge.files.reaper import Reaper
from bridge.store import deadline
from tests.files.script import names, path, read, run, snapshot, write
from tests.files.scripted_store import Call, ScriptedStore, die_at, fail
from tests.files.vault import LAYOUT, Vault, check_clean, end_refused_uploads

DAY = 24 * 3600.0


@pytest.fixture
def store(vault: Vault) -> ScriptedStore:
    return ScriptedStore(vault.store)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for a lease ends at once: Busy then shows that somebody holds it."""
    monkeypatch.setattr("bridge.files.change.LEASE_WAIT", 0.05)


def is_busy(change: Callable[[], object]) -> Callable[[Call], None]:
    """An action: ``change`` is kept out by a lease."""

    def action(_call: Call) -> None:
        with pytest.raises(Busy):
            change()

    return action


CHANGES = {
    "a move": ("move", "move! /f /g"),
    "a move of a folder": ("move", "move /d /g"),
    "a copy": ("copy", "copy! /f /g"),
    "an overwrite": ("commit", "write /f new"),
    "a deletion": ("delete", "delete /f"),
    "an update": ("set_metadata", "set /f {x}p v"),
}


@pytest.mark.usefixtures("impatient")
class TestRule1Leases:
    @pytest.mark.parametrize("what", CHANGES)
    @pytest.mark.parametrize(
        "other", ["set {0} {{x}}q w", "delete {0}", "move! {0} /elsewhere", "move! /e {0}"]
    )
    def test_nobody_else_changes_an_entry_meanwhile(
        self, vault: Vault, store: ScriptedStore, what: str, other: str
    ) -> None:
        run(vault.tree(), "write /f f, write /g g, write /e e, mkdir /d, write /d/f x")
        name, script = CHANGES[what]
        victim = "/d" if " /d " in script else "/f"
        stranger = vault.tree()
        store.on(name, is_busy(lambda: run(stranger, other.format(victim))), part="/d/")
        if what == "a move of a folder":
            run(stranger, "delete /g")
        run(vault.tree(store), script)
        assert store.done

    @pytest.mark.parametrize("what", ["move! /f /g", "copy! /f /g"])
    def test_nobody_else_changes_the_target_meanwhile(
        self, vault: Vault, store: ScriptedStore, what: str
    ) -> None:
        run(vault.tree(), "write /f f, write /g g")
        stranger = vault.tree()
        store.on(what[:4], is_busy(lambda: write(stranger, "/g", b"other")))
        run(vault.tree(store), what)
        assert store.done

    def test_two_moves_at_once_make_no_loop(self, vault: Vault, store: ScriptedStore) -> None:
        run(vault.tree(), "mkdir /a, mkdir /b, write /a/f 1, write /b/f 2")
        stranger = vault.tree()
        names(stranger, "/a")
        store.on("move", is_busy(lambda: run(stranger, "move /b /a/b")))
        run(vault.tree(store), "move /a /b/a")
        assert store.done
        assert snapshot(vault.tree()) == {"b": {"f": b"2", "a": {"f": b"1"}}}

    def test_a_move_finds_a_loop_that_was_made_before_it_had_the_lease(
        self, vault: Vault, store: ScriptedStore
    ) -> None:
        run(vault.tree(), "mkdir /a, mkdir /b, write /a/f 1, write /b/f 2")
        tree = vault.tree(store)
        run(tree, "list /a f, list /b f")
        acquire, stranger = vault.state.acquire, vault.tree()

        def late(*args: object, **kwargs: object) -> object:
            vault.state.acquire = acquire  # type: ignore[method-assign]
            run(stranger, "move /b /a/b")
            return acquire(*args, **kwargs)  # type: ignore[arg-type]

        vault.state.acquire = late  # type: ignore[method-assign,assignment]
        with pytest.raises((IntoItself, NoSuchParent, NoSuchFile)):
            run(tree, "move /a /b/a")
        assert snapshot(vault.tree()) == {"a": {"f": b"1", "b": {"f": b"2"}}}

    @pytest.mark.parametrize(
        ("script", "name"),
        [
            ("write /new x", "commit"),
            ("move /f /new", "move"),
            ("copy /f /new", "copy"),
            ("delete /f", "delete"),
            ("mkdir /new", "commit"),
            ("set /f {x}p v", "set_metadata"),
        ],
    )
    def test_a_store_call_ends_before_the_lease_does(
        self, vault: Vault, store: ScriptedStore, script: str, name: str
    ) -> None:
        run(vault.tree(), "write /f x")
        held: list[float] = []
        acquire = vault.state.acquire

        def watch(*args: object, **kwargs: object) -> object:
            lease = acquire(*args, **kwargs)  # type: ignore[arg-type]
            store.on(
                name,
                lambda _call: held.append(lease.remaining - (deadline.remaining() or 1e9)),
            )
            return lease

        vault.state.acquire = watch  # type: ignore[method-assign,assignment]
        run(vault.tree(store), script)
        assert held
        assert min(held) > 0


class TestRule2Versions:
    def test_a_record_of_an_older_body_is_never_written_over_a_newer_one(
        self, vault: Vault, store: ScriptedStore
    ) -> None:
        write(vault.tree(), "/f", b"old content")
        blind = vault.blind_tree()
        store.on("set_metadata", lambda _call: write(blind, "/f", b"new"))
        with pytest.raises(Busy):
            vault.tree(store).set_properties(path("/f"), set={"{x}p": "v"})
        tree = vault.tree()
        assert read(tree, "/f") == b"new"
        assert tree.properties(path("/f")) == {}

    def test_nor_by_a_rename_to_the_other_form(self, vault: Vault, store: ScriptedStore) -> None:
        write(vault.tree(), "/Caf\u00e9", b"old content")
        blind = vault.blind_tree()
        store.on("set_metadata", lambda _call: write(blind, "/Caf\u00e9", b"new"))
        with pytest.raises(Busy):
            vault.tree(store).move(path("/Caf\u00e9"), path("/Cafe\u0301"), overwrite=True)
        assert read(vault.tree(), "/Caf\u00e9") == b"new"


class TestRule3Links:
    def test_a_mkdir_never_replaces_a_folder_made_meanwhile(
        self, vault: Vault, store: ScriptedStore
    ) -> None:
        blind = vault.blind_tree()
        store.on("commit", lambda _call: run(blind, "mkdir /a, write /a/f x"))
        with pytest.raises(AlreadyExists):
            vault.tree(store).mkdir(path("/a"))
        run(vault.tree(), "is /a/f x")

    def test_a_write_never_replaces_a_folder_made_meanwhile(
        self, vault: Vault, store: ScriptedStore
    ) -> None:
        blind = vault.blind_tree()
        store.on("commit", lambda _call: run(blind, "mkdir /a, write /a/f x"))
        with pytest.raises(FileError):
            write(vault.tree(store), "/a", b"file")
        run(vault.tree(), "is /a/f x")

    @pytest.mark.parametrize("script", ["copy /d /a", "copy0 /d /a", "copy /g /a"])
    def test_a_copy_never_replaces_a_folder_made_meanwhile(
        self, vault: Vault, store: ScriptedStore, script: str
    ) -> None:
        run(vault.tree(), "mkdir /d, write /g y")
        blind = vault.blind_tree()
        where = vault.key_of("a")
        name = "copy" if "/g" in script else "commit"
        store.on(name, lambda _call: run(blind, "mkdir /a, write /a/f x"), part=where)
        with pytest.raises(FileError):
            run(vault.tree(store), script)
        assert store.done
        run(vault.tree(), "is /a/f x")

    @pytest.mark.parametrize("script", ["move! /g /a", "copy! /g /a", "move! /e /a", "copy! /e /a"])
    def test_a_folder_in_the_way_is_taken_out_whole_first(
        self, vault: Vault, store: ScriptedStore, script: str
    ) -> None:
        run(vault.tree(), "mkdir /a, write /a/f x, write /g y, mkdir /e")
        where = vault.key_of("a")
        run(vault.tree(store), script)
        changes = [call for call in store.calls if where in (call.key, call.target)]
        changes = [call for call in changes if call.name not in ("stat", "get", "list")]
        assert changes[0].name == "move"
        assert changes[0].key == where
        assert changes[0].target.startswith(LAYOUT.removals)
        check_clean(vault)

    def test_a_folders_entry_is_never_copied(self, vault: Vault, store: ScriptedStore) -> None:
        run(vault.tree(), "mkdir /a, mkdir /a/b, mkdir /a/b/c, write /a/f x")
        file = vault.key_of("a", "f")
        run(vault.tree(store), "copy /a /d, copy /d /a/e")
        copied = [call.key for call in store.calls if call.name == "copy"]
        assert file in copied
        assert len(copied) == 2


DELETIONS = ["delete /a/b", "delete /a"]


class TestRule4CommitThenCheck:
    @pytest.mark.parametrize("deletion", DELETIONS)
    @pytest.mark.parametrize(
        ("script", "name"),
        [
            ("write /a/b/new x", "commit"),
            ("write /a/b/f x", "commit"),
            ("mkdir /a/b/new", "commit"),
            ("move /f /a/b/new", "move"),
            ("move /d /a/b/new", "move"),
            ("move! /f /a/b/f", "move"),
            ("copy /f /a/b/new", "copy"),
            ("copy! /f /a/b/f", "copy"),
            ("copy /d /a/b/new", "commit"),
        ],
    )
    def test_what_went_into_a_folder_deleted_meanwhile_is_undone_and_refused(
        self, vault: Vault, store: ScriptedStore, deletion: str, script: str, name: str
    ) -> None:
        run(
            vault.tree(),
            "mkdir /a, mkdir /a/b, write /a/b/f old, write /f src, mkdir /d, write /d/g y",
        )
        tree = vault.tree(store)
        run(tree, "is /a/b/f old, list /a/b f, list /d g")  # its caches know the way
        target = vault.key_of("a", "b", script.rpartition("/")[2].split()[0])
        stranger = vault.tree()
        store.on(name, lambda _call: run(stranger, deletion), part=target)
        with pytest.raises(NoSuchParent):
            run(tree, script)
        assert store.done
        for each in (tree, vault.tree()):
            run(each, "none /a/b/new, is /f src, is /d/g y")
        check_clean(vault)
        run(vault.tree(), "is /f src, is /d/g y")

    @pytest.mark.parametrize("deletion", DELETIONS)
    def test_a_file_begun_before_its_folder_was_deleted_and_emptied_is_refused(
        self, vault: Vault, deletion: str
    ) -> None:
        run(vault.tree(), "mkdir /a, mkdir /a/b")
        writer = vault.tree().create(path("/a/b/f"))
        writer.write(b"x")
        run(vault.tree(), deletion)
        vault.reap()
        with pytest.raises(NoSuchParent):
            writer.commit()
        check_clean(vault)

    def test_a_file_overwritten_in_a_folder_that_was_moved_is_not_lost(
        self, vault: Vault, store: ScriptedStore
    ) -> None:
        run(vault.tree(), "mkdir /a, write /a/f old")
        stranger = vault.tree()
        store.on("commit", lambda _call: run(stranger, "move /a /b"))
        try:
            write(vault.tree(store), "/a/f", b"new")
        except NoSuchParent:
            run(vault.tree(), "is /b/f old")
        except FileError:
            assert read(vault.tree(), "/b/f") in (b"old", b"new")  # not known: said so
        else:
            run(vault.tree(), "is /b/f new")

    def test_a_file_in_a_folder_moved_into_one_that_is_deleted_is_refused(
        self, vault: Vault, store: ScriptedStore
    ) -> None:
        run(vault.tree(), "mkdir /a, mkdir /a/b, mkdir /c")
        stranger = vault.tree()
        store.on("commit", lambda _call: run(stranger, "move /a/b /c/b, delete /c"))
        with pytest.raises(FileError):
            write(vault.tree(store), "/a/b/f", b"x")
        check_clean(vault)

    def test_the_reaper_waits_longer_than_a_commit_takes(self, vault: Vault) -> None:
        run(vault.tree(), "mkdir /a, write /a/f x")
        now = 1_000.0
        reaper = Reaper(vault.tree().vault, clock=lambda: now)
        run(vault.tree(), "delete /a")
        kept = len(vault.keys_under(LAYOUT.directories))
        for _ in range(6):
            assert reaper.reap() == 0
            now += 10  # 60 s: a wait for a lease and the calls of a change
        assert len(vault.keys_under(LAYOUT.directories)) == kept
        now += DAY
        assert reaper.reap() == 1
        assert vault.keys_under(LAYOUT.directories) == []


class TestRule5TheReaperClaims:
    def test_a_folder_moved_out_of_a_removed_one_in_time_is_left_alone(
        self, vault: Vault, store: ScriptedStore
    ) -> None:
        run(vault.tree(), "mkdir /d, mkdir /d/e, write /d/e/f x, write /d/g y")
        inner, outer = vault.key_of("d", "e"), vault.key_of("e")
        run(vault.tree(), "delete /d")
        store.on("move", lambda _call: vault.store.move(inner, outer), part=inner)
        Reaper(vault.tree(store).vault, grace=0).reap()
        assert store.done
        run(vault.tree(), "is /e/f x")
        check_clean(vault)
        run(vault.tree(), "is /e/f x, list / e")

    def test_a_move_under_way_when_its_folder_is_deleted_saves_what_it_moves(
        self, vault: Vault, store: ScriptedStore
    ) -> None:
        run(vault.tree(), "mkdir /d, mkdir /d/e, write /d/e/f x")
        stranger = vault.tree()
        store.on("move", lambda _call: run(stranger, "delete /d"))
        run(vault.tree(store), "move /d/e /e")
        run(vault.tree(), "is /e/f x, none /d")
        check_clean(vault)
        run(vault.tree(), "is /e/f x")

    def test_a_claimed_folder_is_not_moved_any_more(
        self, vault: Vault, store: ScriptedStore
    ) -> None:
        run(vault.tree(), "mkdir /d, mkdir /d/e, write /d/e/f x")
        stranger = vault.tree()

        def delete_and_reap(_call: Call) -> None:
            run(stranger, "delete /d")
            vault.reap()

        store.on("move", delete_and_reap)
        with pytest.raises(NoSuchFile):
            run(vault.tree(store), "move /d/e /e")
        run(vault.tree(), "none /e, none /d")
        check_clean(vault)

    @pytest.mark.parametrize("number", range(8))
    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    def test_it_goes_on_after_dying_anywhere(
        self, vault: Vault, store: ScriptedStore, number: int, after: bool
    ) -> None:
        run(vault.tree(), "mkdir /d, mkdir /d/e, mkdir /d/e/h, write /d/e/f x, write /d/g y")
        vault.tree().set_properties(path("/d/g"), set={"{x}p": "v" * 4_000})
        vault.tree().set_properties(path("/d"), set={"{x}p": "v" * 4_000})
        run(vault.tree(), "write /keep x, delete /d")
        die_at(store, number, after=after)
        try:
            Reaper(vault.tree(store).vault, grace=0).reap()
        except Exception as error:  # noqa: BLE001 - however it dies
            assert "as the test wants" in str(error)  # noqa: PT017
        run(vault.tree(), "list / keep")
        vault.reap()
        assert set(vault.fsck(repair=True)) <= {"UNREFERENCED_SPILL"}
        check_clean(vault)
        assert vault.keys_under() == [vault.key_of("keep")]


class TestRule6Copies:
    SOURCE = "mkdir /d, mkdir /d/e, write /d/e/f x, write /d/e/g y, write /d/h z"

    @pytest.mark.parametrize("number", range(12))
    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    def test_a_copy_that_dies_is_protected_for_a_day_and_then_removed(
        self, vault: Vault, store: ScriptedStore, number: int, after: bool
    ) -> None:
        run(vault.tree(), self.SOURCE)
        vault.tree().set_properties(path("/d/h"), set={"{x}p": "v" * 4_000})
        before = snapshot(vault.tree())
        die_at(store, number, after=after)
        try:
            run(vault.tree(store), "copy /d /c")
        except StorageUnavailable:
            assert snapshot(vault.tree()) in (before, {**before, "c": before["d"]})
        else:
            run(vault.tree(), "is /c/e/f x")
            before["c"] = before["d"]
        found = snapshot(vault.tree())
        stored = vault.keys_under()

        vault.clock.forward(DAY - 3_600)
        vault.fsck(repair=True, min_age=DAY)
        assert vault.keys_under() == stored
        assert snapshot(vault.tree()) == found

        vault.clock.forward(7_200)
        vault.fsck(repair=True, min_age=DAY)
        check_clean(vault)
        assert snapshot(vault.tree()) == found

    def test_a_running_copy_is_never_taken_for_a_dead_one(
        self, vault: Vault, store: ScriptedStore
    ) -> None:
        run(vault.tree(), self.SOURCE)

        def long_after(_call: Call) -> None:
            vault.clock.forward(2 * DAY)

        def check(_call: Call) -> None:
            assert vault.fsck(repair=True, min_age=DAY) == []

        store.on("copy", long_after)
        store.on("copy", check, after=True)
        store.on("copy", check, after=True)
        run(vault.tree(store), "copy /d /c")
        run(vault.tree(), "is /c/e/f x, is /c/e/g y, is /c/h z")
        check_clean(vault)

    @pytest.mark.parametrize("view", [False, True], ids=["", "in another view of the tree"])
    def test_repeating_a_running_copy_joins_it(
        self, vault: Vault, store: ScriptedStore, *, view: bool
    ) -> None:
        run(vault.tree(), self.SOURCE)
        tree = vault.tree(store)
        again = tree.acting_by(store) if view else tree
        answers: list[bool] = []
        second = threading.Thread(
            target=lambda: answers.append(again.copy(path("/d"), path("/c"), overwrite=True))
        )

        def join(_call: Call) -> None:
            second.start()
            limit = time.monotonic() + 10
            while not _waits(second):
                assert time.monotonic() < limit
                time.sleep(0.001)

        store.on("copy", join)
        answers.append(tree.copy(path("/d"), path("/c"), overwrite=True))
        second.join()
        assert answers == [True, True]
        assert store.count("copy") == 3
        assert snapshot(vault.tree(), path("/c")) == snapshot(vault.tree(), path("/d"))
        check_clean(vault)

    def test_a_subfolder_moved_within_the_source_meanwhile_does_no_harm(
        self, vault: Vault, store: ScriptedStore
    ) -> None:
        run(vault.tree(), "mkdir /d, mkdir /d/a, mkdir /d/b, write /d/a/f x, write /d/b/f x")
        stranger, first = vault.tree(), vault.key_of("d", "a", "f")

        def move(call: Call) -> None:
            """Put what is being copied under the one that is not copied yet."""
            a_first = call.key == first
            run(stranger, "move /d/a /d/b/a" if a_first else "move /d/b /d/a/b")

        store.on("copy", move)
        run(vault.tree(store), "copy /d /c")
        assert store.done
        found = snapshot(vault.tree(), path("/c"))
        assert all({"f": b"x"}.items() <= each.items() for each in found.values())  # type: ignore[attr-defined]
        check_clean(vault)


def _waits(thread: threading.Thread) -> bool:
    """Whether a thread is inside a wait for another one's outcome."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if frame.f_code.co_name == "result":
            return True
        frame = frame.f_back
    return False


class TestRule7LostAnswers:
    @pytest.mark.parametrize(
        ("script", "name", "check"),
        [
            ("new write /n new", "commit", "is /n new"),
            ("old write /f new", "commit", "is /f new"),
            ("mkdir /n", "commit", "folder /n"),
            ("new move /f /n", "move", "is /n f, none /f"),
            ("old move! /f /g", "move", "is /g f, none /f"),
            ("new move /d /n", "move", "is /n/f x, none /d"),
            ("old move! /f /d", "move", "is /d f, none /f"),
            ("new copy /f /n", "copy", "is /n f, is /f f"),
            ("old copy! /f /g", "copy", "is /g f, is /f f"),
            ("new copy /d /n", "commit", "is /n/f x, is /d/f x"),
            ("new copy /d /n", "copy", "is /n/f x, is /d/f x"),
            ("delete /f", "delete", "none /f"),
            ("delete /d", "move", "none /d"),
            ("set /f {x}p v", "set_metadata", "is /f f"),
        ],
    )
    def test_a_change_made_again_after_a_lost_answer_succeeds_once(
        self, vault: Vault, store: ScriptedStore, script: str, name: str, check: str
    ) -> None:
        run(vault.tree(), "write /f f, write /g g, mkdir /d, write /d/f x")
        words = script.split()
        target = words[-2 if words[1] == "write" else -1].strip("/")
        part = vault.key_of(target) if "copy /d" in script and name == "commit" else ""
        tree = vault.tree(store)
        store.repeat(name, part=part)
        run(tree, script)
        assert store.done
        run(tree, check)
        run(vault.tree(), check)
        end_refused_uploads(vault)
        check_clean(vault)
        run(vault.tree(), check)

    def test_a_commit_with_spilled_properties_too(self, vault: Vault, store: ScriptedStore) -> None:
        big = {"{x}p": "v" * 4_000}
        write(vault.tree(), "/f", b"x")
        vault.tree().set_properties(path("/f"), set=big)
        store.repeat("commit", part=LAYOUT.spills)
        store.repeat("commit", part=LAYOUT.bodies)
        store.repeat("commit", part=LAYOUT.directories)
        tree = vault.tree(store)
        tree.copy(path("/f"), path("/g"), overwrite=False)
        tree.delete(path("/f"))
        assert tree.properties(path("/g")) == big
        assert read(vault.tree(), "/g") == b"x"
        end_refused_uploads(vault)
        check_clean(vault)


class TestRule8Generations:
    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize(
        ("script", "name", "old", "new"),
        [
            ("move /d /n", "move", "is /d/f x, none /n", "is /n/f x, none /d, list / n g"),
            ("delete /d", "move", "is /d/f x", "none /d, none /d/f, list / g"),
            ("mkdir /n", "commit", "none /n, list / d g", "folder /n, list / d g n"),
            ("write /g new", "commit", "is /g g", "is /g new, list / d g"),
            ("move /g /d/g", "move", "is /g g, list /d f", "is /d/g g, list / d, list /d f g"),
            ("delete /g", "delete", "is /g g", "none /g, list / d"),
            ("copy /g /h", "copy", "none /h, list / d g", "folder /d, is /h g, list / d g h"),
        ],
    )
    def test_another_workers_cache_never_hides_a_change_under_way(
        self,
        vault: Vault,
        store: ScriptedStore,
        script: str,
        name: str,
        old: str,
        new: str,
        after: bool,
    ) -> None:
        run(vault.tree(), "mkdir /d, write /d/f x, write /g g")
        watcher = vault.tree()
        warm = "is /d/f x, is /g g, none /n, none /h, list / d g, list /d f"
        run(watcher, warm)
        run(watcher, warm)
        store.on(name, lambda _call: run(watcher, new if after else old), after=after)
        run(vault.tree(store), script)
        assert store.done
        run(watcher, new)
        run(vault.tree(), new)

    def test_what_is_learned_while_a_folder_changes_is_not_kept(
        self, vault: Vault, store: ScriptedStore
    ) -> None:
        run(vault.tree(), "mkdir /d, write /d/f x")
        watcher = vault.tree()
        store.on("move", lambda _call: run(watcher, "is /d/f x, list / d, list /d f"))
        run(vault.tree(store), "move /d /e")
        run(watcher, "none /d, none /d/f, list / e, is /e/f x")

    def test_a_listing_read_while_it_changes_is_not_kept(
        self, vault: Vault, store: ScriptedStore
    ) -> None:
        run(vault.tree(), "write /a 1, write /b 2, write /c 3")
        watcher = vault.tree()
        listing = watcher.list(Path())
        first = next(listing).name
        run(vault.tree(), f"delete /{first}, write /d 4")
        list(listing)
        assert names(watcher, "/") == sorted({"a", "b", "c", "d"} - {first})

    def test_a_change_whose_worker_died_is_seen(self, vault: Vault, store: ScriptedStore) -> None:
        run(vault.tree(), "mkdir /d, write /d/f x")
        watcher = vault.tree()
        run(watcher, "is /d/f x, list / d")
        key = vault.key_of("d")
        store.on("move", fail, part=key, after=True)
        with pytest.raises(StorageUnavailable):
            run(vault.tree(store), "move /d /e")
        run(watcher, "none /d, list / e, is /e/f x")

    def test_a_small_cache_serves_the_same(self, vault: Vault) -> None:
        tree = vault.tree(cache_names=4)
        run(tree, "mkdir /d, mkdir /d/e")
        for number in range(12):
            write(tree, f"/d/{number}", b"x")
            write(tree, f"/d/e/{number}", b"y")
        wanted = sorted(map(str, range(12)))
        for _ in range(2):
            assert names(tree, "/d/e") == wanted
            assert names(tree, "/d") == sorted([*wanted, "e"])
            assert read(tree, "/d/e/7") == b"y"
        run(tree, "delete /d/e/7, none /d/e/7, move /d/e /e, is /e/8 y, none /d/e")
