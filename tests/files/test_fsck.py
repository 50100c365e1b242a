"""fsck: each thing it can find, found; mended where it can be; and what is in use left alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path as FilePath

import pytest

from bridge.files.fsck import Fsck
from bridge.files.path import Path
from bridge.files.vault_tree import VaultTree
from bridge.state.api import LeaseName, Touch
from bridge.state.database import open_state
from tests.files.script import names, path, read, run, snapshot, write
from tests.files.scripted_store import Call, ScriptedStore
from tests.files.vault import LAYOUT, OpenNew, Vault, check_clean
from tests.store.objects import read as read_object
from tests.store.objects import write as write_object

DAY = 24 * 3600.0
BIG = {"{x}p": "v" * 4_000}


def prepared(vault: Vault) -> None:
    run(vault.tree(), "mkdir /a, mkdir /a/b, write /a/b/f deep, write /a/g near, write /h top")
    for where in ("/h", "/a/g"):
        vault.tree().set_properties(path(where), set=BIG)
    run(vault.tree(), "copy /h /i, copy /a /c")


def test_a_vault_in_order_is_clean_and_counted(vault: Vault) -> None:
    prepared(vault)
    report = Fsck(vault.tree(), min_age=0).run()
    assert report.problems == ()
    assert report.clean
    assert (report.files, report.bytes) == (6, 2 * len("deep") + 2 * len("near") + 2 * len("top"))
    assert report.directories == 5
    before = vault.keys_under()
    assert vault.fsck(repair=True) == []
    assert vault.keys_under() == before


def test_a_vault_after_any_work_is_clean(vault: Vault) -> None:
    prepared(vault)
    run(vault.tree(), "write /h new, delete /i, move /a /c/a, delete /c/b, copy! /c /h, delete /c")
    vault.reap()
    assert vault.fsck() == []
    check_clean(vault)


def _lose_a_folders_entry(vault: Vault) -> None:
    vault.store.delete(vault.key_of("a"))


def _lose_a_body(vault: Vault) -> None:
    vault.store.delete(vault.keys_under(LAYOUT.bodies)[0])


def _lose_a_spill(vault: Vault) -> None:
    vault.store.delete(vault.keys_under(LAYOUT.spills)[0])


def _leave_a_body(vault: Vault) -> None:
    write_object(vault.store, LAYOUT.body(b"b" * 16), b"x")


def _leave_a_spill(vault: Vault) -> None:
    write_object(vault.store, LAYOUT.spill(b"s" * 16), b"x")


def _lose_a_record(vault: Vault) -> None:
    key = vault.key_of("c", "b", "f")
    vault.store.set_metadata(key, {}, vault.store.stat(key).version)


def _put_an_entry_elsewhere(vault: Vault) -> None:
    key, other = vault.key_of("c", "b", "f"), vault.key_of("a", "x")
    vault.store.move(key, other.rsplit("/", 1)[0] + "/" + key.rsplit("/", 1)[1])


def _leave_an_intent(vault: Vault) -> None:
    write_object(vault.store, LAYOUT.intent(b"i" * 16), b"x")


def _leave_an_upload(vault: Vault) -> None:
    vault.store.create_multipart(LAYOUT.body(b"m" * 16))


def _leave_a_stranger(vault: Vault) -> None:
    write_object(vault.store, "v/stranger", b"x")


DAMAGE: dict[str, tuple[Callable[[Vault], None], bool]] = {
    "UNREFERENCED_DIRECTORY": (_lose_a_folders_entry, True),
    "UNREFERENCED_BODY": (_leave_a_body, True),
    "UNREFERENCED_SPILL": (_leave_a_spill, True),
    "MISSING_BODY": (_lose_a_body, False),
    "MISSING_SPILL": (_lose_a_spill, False),
    "DAMAGED_RECORD": (_lose_a_record, True),
    "FOREIGN_NAME": (_put_an_entry_elsewhere, True),
    "STALE_INTENT": (_leave_an_intent, True),
    "STALE_UPLOAD": (_leave_an_upload, True),
    "UNKNOWN_OBJECT": (_leave_a_stranger, False),
}


@pytest.mark.parametrize("finding", DAMAGE)
def test_each_finding_is_found_and_mended_where_it_can_be(vault: Vault, finding: str) -> None:
    prepared(vault)
    damage, mendable = DAMAGE[finding]
    damage(vault)
    assert vault.fsck() == [finding]
    before = vault.keys_under()
    assert vault.fsck() == [finding]
    assert vault.keys_under() == before  # without repair it changes nothing
    report = Fsck(vault.tree(), repair=True, min_age=0).run()
    assert [problem.finding.name for problem in report.problems] == [finding]
    assert report.clean is mendable
    vault.reap()
    assert vault.fsck() == ([] if mendable else [finding])


def test_a_folder_that_nothing_links_to_is_found_again_with_all_in_it(vault: Vault) -> None:
    prepared(vault)
    lost = snapshot(vault.tree(), path("/a"))
    vault.store.delete(vault.key_of("a"))
    vault.fsck(repair=True)
    (name,) = names(vault.tree(), "/lost+found")
    found = Path(("lost+found", name))
    assert snapshot(vault.tree(), found) == lost
    assert vault.tree().properties(found.child("g")) == BIG
    run(vault.tree(), f"move /lost+found/{name} /a")
    check_clean(vault)


def test_a_lost_record_is_rebuilt_from_a_body_that_verifies(vault: Vault) -> None:
    content = bytes(range(256)) * 1_000
    write(vault.tree(), "/f", content)
    key = vault.key_of("f")
    vault.store.set_metadata(key, {"r": "not a record"}, vault.store.stat(key).version)
    assert vault.fsck(repair=True) == ["DAMAGED_RECORD"]
    tree = vault.tree()
    assert read(tree, "/f") == content
    assert tree.stat(path("/f")).size == len(content)
    check_clean(vault)


def test_a_lost_record_is_not_rebuilt_from_a_body_that_does_not(vault: Vault) -> None:
    write(vault.tree(), "/f", bytes(100_000))
    key = vault.key_of("f")
    body = bytearray(read_object(vault.store, key))
    body[70_000] ^= 1
    write_object(vault.store, key, bytes(body), {})
    assert vault.fsck(repair=True) == ["DAMAGED_RECORD"]
    assert vault.fsck() == ["DAMAGED_RECORD"]
    assert vault.tree().stat(path("/f")).damaged


@pytest.mark.parametrize(
    "finding",
    [
        "UNREFERENCED_DIRECTORY",
        "UNREFERENCED_BODY",
        "UNREFERENCED_SPILL",
        "STALE_INTENT",
        "STALE_UPLOAD",
    ],
)
def test_what_is_young_is_left_alone(vault: Vault, finding: str) -> None:
    prepared(vault)
    DAMAGE[finding][0](vault)
    before = vault.keys_under()
    assert vault.fsck(repair=True, min_age=DAY) == []
    assert vault.keys_under() == before
    vault.clock.forward(2 * DAY)
    assert vault.fsck(repair=True, min_age=DAY) == [finding]
    assert vault.fsck(min_age=DAY) == []


def test_a_stale_lease_is_found_and_cleared(vault: Vault) -> None:
    now = [1_000.0]
    state = vault.stack.enter_context(
        open_state(vault.folder / "aging.db", clock=lambda: now[0], monotonic=lambda: now[0])
    )
    tree = state.tree("vault")
    root = vault.keys.root_directory_id
    lease = tree.acquire([LeaseName(root, b"name")], [Touch(root, links=True)], wait=0)
    now[0] += 3_600
    report = Fsck(vault.tree(state=tree), min_age=0).run()
    assert [problem.finding.name for problem in report.problems] == ["STALE_LEASE"]
    repaired = Fsck(vault.tree(state=tree), repair=True, min_age=0).run()
    assert repaired.clean
    assert Fsck(vault.tree(state=tree), min_age=0).run().problems == ()
    lease.release()


def test_a_removed_folder_that_waits_for_the_reaper_is_no_problem(vault: Vault) -> None:
    prepared(vault)
    run(vault.tree(), "delete /a")
    before = vault.keys_under()
    assert vault.fsck(repair=True) == []
    assert vault.keys_under() == before


@pytest.mark.parametrize(
    "script",
    [
        "move /a/b /i2",
        "move /a /c/a",
        "delete /c",
        "copy /a /n",
        # Files whose properties lie beside them, which no lease for the structure holds.
        "move /a/g /j",
        "move /h /a/b/h",
        "move /c/g /a/b/g",
    ],
)
def test_it_takes_nothing_that_changes_while_it_looks(
    open_new: OpenNew, tmp_path: FilePath, script: str
) -> None:
    """The change comes in after each of its looks in turn."""
    for number in range(100):
        with _another(open_new, tmp_path / str(number)) as each:
            prepared(each)
            store = ScriptedStore(each.store)
            stranger = each.tree()
            for _ in range(number):
                store.on("list", lambda _call: None)
            store.on("list", partial(_run_late, stranger, script))
            # The files are old: nothing but the look itself keeps them from being taken.
            each.clock.forward(2 * DAY)
            Fsck(each.tree(store), repair=True, min_age=DAY).run()
            ran = store.done
            if not ran:
                run(stranger, script)
            assert "lost+found" not in names(each.tree(), "/")
            check_clean(each)
        if not ran:
            assert number > 3
            return
    raise AssertionError("it never looked its last")


def _run_late(tree: VaultTree, script: str, _call: Call) -> None:
    run(tree, script)


def _another(open_new: OpenNew, folder: FilePath) -> AbstractContextManager[Vault]:
    folder.mkdir()
    return open_new(folder)


def test_the_state_can_be_lost(vault: Vault) -> None:
    prepared(vault)
    before = snapshot(vault.tree())
    fresh = vault.blind_tree()
    assert snapshot(fresh) == before
    run(fresh, "write /a/b/new x, move /a /z, is /z/b/new x, delete /c")
    assert Fsck(fresh, min_age=0).run().problems == ()
