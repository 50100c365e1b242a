"""Sealing anew what is under a retired key, beside everybody's changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path as FilePath

import pytest

from bridge.crypto.age import generate_identity
from bridge.crypto.errors import Unconfirmed
from bridge.crypto.keyring import Keyring
from bridge.crypto.keyset import kid_of, kid_of_record
from bridge.crypto.vault import VaultKeys
from bridge.files import reseal
from bridge.files.errors import Busy, DamagedFile, StorageUnavailable
from bridge.files.layout import RECORD, id_text
from bridge.files.resealer import Resealer, Tally
from bridge.files.vault_tree import VaultTree
from bridge.store.api import Forbidden, ObjectStore
from tests.files.script import path, read, run, snapshot, write
from tests.files.vault import LAYOUT, PREFIX, Vault, check_clean

BIG = {"{x}big": "v" * 4_000}
"""Properties that spill."""


@dataclass
class Rotated:
    """A vault whose keyring gets a second key, and then loses the first."""

    vault: Vault
    first: Keyring
    second: Keyring
    third: Keyring

    def add(self) -> None:
        self.vault.keys.take(self.second)

    def remove(self) -> None:
        self.vault.keys.take(self.third)

    def resealer(self, tree: VaultTree | None = None, *, quiet: float = 0.0) -> Resealer:
        return Resealer((tree or self.vault.tree()).vault, quiet=quiet)

    def under_first(self) -> list[str]:
        """Keys of all that is needed and sealed under the first key, as the store has it."""
        vault, kid = self.vault, self.first.active
        found = []
        for info in vault.store.list(PREFIX, recursive=True):
            area = info.key.removeprefix(PREFIX)[:2]
            if area in ("d/", "r/"):
                assert info.metadata is not None
                if kid_of_record(info.metadata[RECORD]) == kid:
                    found.append(info.key)
            elif area in ("c/", "x/") and kid_of(content(vault.store, info.key)) == kid:
                found.append(info.key)
        return found


def content(store: ObjectStore, key: str) -> bytes:
    with store.get(key) as download:
        buffer = bytearray(download.info.size)
        assert download.readinto(memoryview(buffer)) == len(buffer)
    return bytes(buffer)


@pytest.fixture
def rotated(vault: Vault) -> Rotated:
    _, recipient = generate_identity()
    first = Keyring.generate("tenant", recipient)
    second = first.with_new_trk(b"first")
    vault.keys = VaultKeys(first)
    return Rotated(vault, first, second, second.without_retired(b"second"))


def fill(tree: VaultTree) -> None:
    run(tree, "mkdir /a, write /a/f one, mkdir /a/deep, write /a/deep/g two, write /h three")
    tree.set_properties(path("/a"), set={"{x}small": "s"})
    tree.set_properties(path("/a/deep"), set=BIG)
    tree.set_properties(path("/a/f"), set=BIG)
    write(tree, "/Ga\u0308rten", b"four")


def check_filled(tree: VaultTree) -> None:
    assert snapshot(tree) == {
        "a": {"f": b"one", "deep": {"g": b"two"}},
        "h": b"three",
        "Ga\u0308rten": b"four",
    }
    assert tree.properties(path("/a")) == {"{x}small": "s"}
    assert tree.properties(path("/a/deep")) == tree.properties(path("/a/f")) == BIG


def test_a_pass_seals_everything_anew_and_the_next_one_finds_nothing(rotated: Rotated) -> None:
    tree = rotated.vault.tree()
    fill(tree)
    rotated.add()
    before = {entry.name: entry for entry in tree.list(path("/a"))}
    assert rotated.resealer().run() == Tally(looked=6, resealed=6)
    assert rotated.under_first() == []
    assert rotated.resealer().run() == Tally(looked=6)
    rotated.remove()
    check_filled(tree)
    check_filled(rotated.vault.tree())
    after = {entry.name: entry for entry in tree.list(path("/a"))}
    assert after["f"].etag == before["f"].etag
    assert after["f"].mtime == before["f"].mtime
    check_clean(rotated.vault)


def test_bodies_are_not_touched(rotated: Rotated) -> None:
    fill(rotated.vault.tree())
    store = rotated.vault.store
    key = rotated.vault.key_of("a", "f")
    before = content(store, key), store.stat(key).version
    rotated.add()
    rotated.resealer().run()
    assert (content(store, key), store.stat(key).version) == before


def test_folders_do_not_change_for_clients_but_where_properties_have_spilled(
    rotated: Rotated,
) -> None:
    tree = rotated.vault.tree()
    run(tree, "mkdir /plain, write /plain/f one, mkdir /spilled, write /spilled/f two")
    tree.set_properties(path("/spilled/f"), set=BIG)
    before = [tree.stat(path(name)).mtime for name in ("/plain", "/spilled")]
    rotated.add()
    rotated.resealer().run()
    after = [tree.stat(path(name)).mtime for name in ("/plain", "/spilled")]
    assert after[0] == before[0]
    assert after[1] > before[1]


def test_spills_of_another_tree_s_caches_are_found_again(rotated: Rotated) -> None:
    tree, other = rotated.vault.tree(), rotated.vault.tree()
    write(tree, "/f", b"x")
    tree.set_properties(path("/f"), set=BIG)
    assert other.properties(path("/f")) == BIG
    rotated.add()
    rotated.resealer().run()
    assert other.properties(path("/f")) == BIG
    other.set_properties(path("/f"), set={"{x}more": "m"})
    assert other.properties(path("/f")) == BIG | {"{x}more": "m"}
    assert len(rotated.vault.keys_under(LAYOUT.spills)) == 1


def test_a_pass_that_was_stopped_is_ended_by_another(rotated: Rotated) -> None:
    tree = rotated.vault.tree()
    for number in range(250):
        write(tree, f"/{number}", b"x")
    rotated.add()

    class Stopped(Exception):
        pass

    def stop(tally: Tally) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        rotated.resealer().run(stop)
    left = len(rotated.under_first())
    assert 0 < left < 250
    tally = rotated.resealer().run()
    assert (tally.looked, tally.resealed) == (250, left)
    assert rotated.under_first() == []


def test_progress_is_told(rotated: Rotated) -> None:
    tree = rotated.vault.tree()
    for number in range(250):
        write(tree, f"/{number}", b"x")
    rotated.add()
    told: list[Tally] = []
    rotated.resealer().run(told.append)
    assert [tally.looked for tally in told] == [100, 200, 250]
    assert told[-1].resealed == 250


class TestWhatMovesMeanwhile:
    """Each change, made where a pass has looked already, brings nothing under the retired key."""

    @pytest.mark.parametrize(
        "change",
        [
            "move /a/f /z",
            "move /a /z",
            "move! /a/f /h",
            "copy /a/f /z",
            "copy /h /z",
            "copy! /h /a/deep/g",
            "copy /a /z",
            "write /a/f new",
            "set /a/f {x}p v",
            "move! /h /a",  # a folder in the way goes to r/
        ],
    )
    def test_is_sealed_anew(self, rotated: Rotated, change: str) -> None:
        vault = rotated.vault
        tree = vault.tree()
        fill(tree)
        old = {key: vault.store.stat(key).version for key in vault.keys_under(LAYOUT.directories)}
        rotated.add()
        run(tree, change)
        for key in rotated.under_first():
            if not key.startswith((LAYOUT.spills, LAYOUT.removals)):
                assert vault.store.stat(key).version == old[key], "it was here before the change"
        rotated.resealer().run()
        assert [key for key in rotated.under_first() if not key.startswith(LAYOUT.spills)] == []

    def test_what_a_crash_leaves_of_a_copy_is_under_the_new_key(self, rotated: Rotated) -> None:
        tree = rotated.vault.tree()
        write(tree, "/f", b"x")
        rotated.add()

        class Crash(Exception):
            pass

        def crash(*_: object) -> None:
            raise Crash

        acting = tree.vault.acting
        done: list[str] = []

        class Dies:
            def __getattr__(self, name: str) -> object:
                if name == "set_metadata" and "copy" in done:
                    return crash
                if name == "copy":
                    done.append(name)
                return getattr(acting, name)

        dying = rotated.vault.tree(Dies())  # type: ignore[arg-type]
        with pytest.raises(Crash):
            dying.copy(path("/f"), path("/g"), overwrite=False)
        assert read(rotated.vault.tree(), "/g") == b"x"
        assert rotated.under_first() == []

    def test_a_folder_that_is_put_back_was_sealed_anew_before(self, rotated: Rotated) -> None:
        vault = rotated.vault
        tree = vault.tree()
        run(tree, "mkdir /d, write /d/x in, write /f out")
        tree.set_properties(path("/d"), set=BIG)
        key = vault.key_of("d")
        rotated.add()
        real = vault.store

        class Refuses:
            def __getattr__(self, name: str) -> object:
                if name == "copy":
                    return self.refuse
                return getattr(real, name)

            def refuse(self, *_: object, **__: object) -> None:
                raise Forbidden("not here")

        with pytest.raises(Exception, match="does not allow"):
            vault.tree(Refuses()).copy(path("/f"), path("/d"), overwrite=True)  # type: ignore[arg-type]
        assert key not in rotated.under_first()
        after = vault.tree()
        assert read(after, "/d/x") == b"in"
        assert after.properties(path("/d")) == BIG

    def test_a_process_that_does_not_know_its_keys_to_be_the_newest_changes_nothing(
        self, rotated: Rotated
    ) -> None:
        tree = rotated.vault.tree()
        run(tree, "write /f x, mkdir /d")
        now = [100.0]
        keys = VaultKeys(rotated.first, patience=5.0, clock=lambda: now[0])
        keys.confirm(1, now[0])
        rotated.vault.keys = keys
        late = rotated.vault.tree()
        run(late, "move /f /g, copy /g /f")
        now[0] += 5.1
        changes: list[Callable[[], object]] = [
            lambda: late.move(path("/f"), path("/z"), overwrite=True),
            lambda: late.copy(path("/f"), path("/z"), overwrite=True),
            lambda: late.set_properties(path("/f"), set={"{x}p": "v"}),
            lambda: late.mkdir(path("/z")),
            lambda: write(late, "/z", b"z"),
            lambda: late.copy(path("/d"), path("/z"), overwrite=True),
        ]
        for change in changes:
            with pytest.raises(StorageUnavailable, match="the newest keys are not known"):
                change()
        assert read(late, "/f") == b"x"
        assert sorted(entry.name for entry in late.list(path("/"))) == ["d", "f", "g"]
        late.delete(path("/g"))
        keys.confirm(1, now[0])
        run(late, "move /f /g")


class TestLeases:
    @pytest.mark.parametrize("properties", [{"{x}p": "v"}, BIG], ids=["plain", "spilled"])
    def test_what_somebody_works_on_is_left_for_the_next_pass(
        self, rotated: Rotated, monkeypatch: pytest.MonkeyPatch, properties: dict[str, str]
    ) -> None:
        tree = rotated.vault.tree()
        run(tree, "write /busy x, write /idle x")
        tree.set_properties(path("/busy"), set=properties)
        rotated.add()
        monkeypatch.setattr("bridge.files.change.LEASE_WAIT", 0.05)
        with tree.vault.changes.hold(tree.vault.walker.place(path("/busy"))):
            assert rotated.resealer().run() == Tally(looked=2, resealed=1, waiting=1)
        assert rotated.resealer().run() == Tally(looked=2, resealed=1)
        assert rotated.under_first() == []

    def test_nobody_works_on_what_is_being_sealed_anew(
        self, rotated: Rotated, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tree = rotated.vault.tree()
        write(tree, "/f", b"x")
        rotated.add()
        monkeypatch.setattr("bridge.files.change.LEASE_WAIT", 0.05)
        real = rotated.vault.store
        refused: list[bool] = []

        class Looks:
            def __getattr__(self, name: str) -> object:
                return getattr(real, name)

            def set_metadata(self, *given: object) -> None:
                with pytest.raises(Busy):
                    tree.move(path("/f"), path("/g"), overwrite=False)
                refused.append(True)
                real.set_metadata(*given)  # type: ignore[arg-type]

        rotated.resealer(rotated.vault.tree(Looks())).run()  # type: ignore[arg-type]
        assert refused == [True]
        assert read(tree, "/f") == b"x"


class TestRemoved:
    def test_a_removed_folder_is_sealed_anew_once_nobody_can_put_it_back(
        self, rotated: Rotated
    ) -> None:
        vault = rotated.vault
        tree = vault.tree()
        run(tree, "mkdir /d, write /d/x in")
        tree.set_properties(path("/d"), set=BIG)
        tree.delete(path("/d"))
        rotated.add()
        now = [0.0]
        resealer = Resealer(vault.tree().vault, quiet=10.0, clock=lambda: now[0])
        assert resealer.run() == Tally(looked=2, resealed=1, waiting=1)
        now[0] = 9.0
        assert resealer.run() == Tally(looked=2, waiting=1)
        now[0] = 11.0
        assert resealer.run() == Tally(looked=2, resealed=1)
        assert rotated.under_first() == []
        rotated.remove()
        check_clean(vault)
        assert vault.keys_under(LAYOUT.spills) == []

    def test_what_is_within_it_is_sealed_anew_too(self, rotated: Rotated) -> None:
        tree = rotated.vault.tree()
        fill(tree)
        tree.delete(path("/a"))
        rotated.add()
        rotated.resealer().run()
        assert rotated.under_first() == []
        rotated.remove()
        check_clean(rotated.vault)


class TestIntents:
    def test_a_dead_copy_s_is_sealed_anew_once_it_is_surely_dead(self, rotated: Rotated) -> None:
        vault = rotated.vault
        copy = b"c" * 16
        key = f"{LAYOUT.intents}{id_text(copy)}"
        upload = vault.store.put(key)
        upload.write(vault.keys.seal_intent(copy, 5.0))
        upload.commit({})
        rotated.add()
        now = [0.0]
        resealer = Resealer(vault.tree().vault, quiet=10.0, clock=lambda: now[0])
        assert resealer.run() == Tally(looked=1, waiting=1)
        now[0] = 11.0
        assert resealer.run() == Tally(looked=1, resealed=1)
        rotated.remove()
        assert vault.keys.open_intent(content(vault.store, key)) == (copy, 5.0)

    def test_a_running_copy_s_is_left_to_it(self, rotated: Rotated) -> None:
        vault = rotated.vault
        copy = b"c" * 16
        key = f"{LAYOUT.intents}{id_text(copy)}"

        def renew() -> None:
            upload = vault.store.put(key)
            upload.write(vault.keys.seal_intent(copy, 5.0))
            upload.commit({})

        renew()
        rotated.add()
        now = [0.0]
        resealer = Resealer(vault.tree().vault, quiet=10.0, clock=lambda: now[0])
        assert resealer.run().waiting == 1
        now[0] = 11.0
        renew()
        assert resealer.run() == Tally(looked=1)

    def test_what_is_no_intent_stops_nothing(self, rotated: Rotated) -> None:
        vault = rotated.vault
        for number, junk in enumerate((b"", b"x", b"\1" + rotated.first.active + bytes(60))):
            upload = vault.store.put(f"{LAYOUT.intents}{number}")
            upload.write(junk)
            upload.commit({})
        rotated.add()
        assert rotated.resealer().run().found == 0


class TestDamaged:
    def test_entries_whose_records_do_not_open_are_counted_and_stop_nothing(
        self, rotated: Rotated
    ) -> None:
        vault = rotated.vault
        tree = vault.tree()
        run(tree, "write /good x, write /cut x, write /none x, write /alien x")
        good = vault.store.stat(vault.key_of("cut"))
        assert good.metadata is not None
        alien = VaultKeys(replace(rotated.first, trks={b"none": bytes(32)}, active=b"none"))
        record = alien.seal_record(vault.keys.open_record(good.metadata[RECORD]))
        for name, metadata in (
            ("cut", {RECORD: good.metadata[RECORD][:-4]}),
            ("none", {}),
            ("alien", {RECORD: record}),
        ):
            info = vault.store.stat(vault.key_of(name))
            vault.store.set_metadata(info.key, metadata, info.version)
        rotated.add()
        assert rotated.resealer().run() == Tally(looked=4, resealed=1, damaged=3)
        assert rotated.resealer().run() == Tally(looked=4, damaged=3)

    def test_a_file_whose_properties_are_lost_is_not_lost_with_them(self, rotated: Rotated) -> None:
        vault = rotated.vault
        tree = vault.tree()
        write(tree, "/f", b"x")
        tree.set_properties(path("/f"), set=BIG)
        (spill,) = vault.keys_under(LAYOUT.spills)
        vault.store.delete(spill)
        rotated.add()
        assert rotated.resealer().run() == Tally(looked=1, resealed=1)
        rotated.remove()
        assert read(vault.tree(), "/f") == b"x"
        with pytest.raises(DamagedFile):
            vault.tree().properties(path("/f"))

    def test_an_entry_under_a_name_that_is_not_its_own_is_sealed_anew(
        self, rotated: Rotated
    ) -> None:
        vault = rotated.vault
        tree = vault.tree()
        run(tree, "write /f plain, write /s spilled, mkdir /d")
        tree.set_properties(path("/s"), set=BIG)
        folder = vault.key_of("d", "x").rsplit("/", 1)[0]
        for name in ("f", "s"):
            key = vault.key_of(name)
            vault.store.move(key, f"{folder}/{key.rsplit('/', 1)[1]}")
        rotated.add()
        assert rotated.resealer().run() == Tally(looked=3, resealed=3)
        rotated.remove()
        assert vault.fsck(repair=True) == ["FOREIGN_NAME", "FOREIGN_NAME"]
        found = snapshot(vault.tree(), path("/lost+found"))
        assert sorted(map(str, found.values())) == ["b'plain'", "b'spilled'"]

    def test_fsck_that_brings_one_back_seals_it_anew(self, rotated: Rotated) -> None:
        vault = rotated.vault
        run(vault.tree(), "write /f plain, mkdir /d")
        key = vault.key_of("f")
        folder = vault.key_of("d", "x").rsplit("/", 1)[0]
        vault.store.move(key, f"{folder}/{key.rsplit('/', 1)[1]}")
        rotated.add()
        vault.fsck(repair=True)
        assert [kept for kept in rotated.under_first() if kept != vault.key_of("d")] == []


def test_a_page_of_a_listing_may_be_older_than_the_keyring(rotated: Rotated) -> None:
    tree = rotated.vault.tree()
    write(tree, "/f", b"x")
    listed = list(rotated.vault.store.list(LAYOUT.directory(tree.vault.root)))
    rotated.add()
    rotated.resealer().run()
    rotated.remove()
    (info,) = listed
    assert tree.vault.nodes.from_info("f", info).record is not None
    rotated.vault.store.delete(info.key)
    assert tree.vault.nodes.from_info("f", info).entry.damaged


def test_nothing_is_asked_of_the_store_where_no_key_is_retired(rotated: Rotated) -> None:
    tree = rotated.vault.tree()
    asked: list[str] = []
    real = tree.vault.store

    class Counts:
        def __getattr__(self, name: str) -> object:
            asked.append(name)
            return getattr(real, name)

    counted = rotated.vault.tree(Counts()).vault  # type: ignore[arg-type]
    assert not reseal.is_retired(counted, "v/d/x")
    reseal.reseal(counted, "v/d/x")
    assert asked == []


def test_a_record_and_its_spill_are_under_one_key(rotated: Rotated) -> None:
    """Though the keyring is replaced between the two."""
    vault = rotated.vault
    tree = vault.tree()
    write(tree, "/f", b"x")
    real = vault.store

    class Rotates:
        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

        def put(self, key: str) -> object:
            if key.startswith(LAYOUT.spills):
                rotated.add()
            return real.put(key)

    vault.tree(Rotates()).set_properties(path("/f"), set=BIG)  # type: ignore[arg-type]
    info = real.stat(vault.key_of("f"))
    (spill,) = vault.keys_under(LAYOUT.spills)
    assert info.metadata is not None
    assert kid_of_record(info.metadata[RECORD]) == kid_of(content(real, spill))


def test_it_is_not_known_whether_a_file_opens_while_the_newest_keys_are_not(
    rotated: Rotated, tmp_path: FilePath
) -> None:
    vault = rotated.vault
    old = vault.keys
    vault.keys = VaultKeys(rotated.second)
    write(vault.tree(), "/f", b"x")
    answers: list[Keyring] = []

    def newest() -> Keyring:
        if not answers:
            raise Unconfirmed("the store is away")
        return answers[0]

    vault.keys = VaultKeys(rotated.first, newest=newest)
    tree = vault.tree()
    with pytest.raises(StorageUnavailable):
        list(tree.list(path("/")))
    answers.append(rotated.second)
    assert [entry.damaged for entry in tree.list(path("/"))] == [False]
    assert read(tree, "/f") == b"x"
    assert old.number == 1
