"""Replacing the operator's key and a tenant's root key, interrupted anywhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.crypto.keyring import Kek
from bridge.crypto.secrets import open_secret, seal_secret, sealed_under
from bridge.crypto.vault import PATIENCE, VaultKeys
from bridge.files.layout import RECORD
from bridge.files.resealer import Tally
from bridge.state.api import LeaseLost
from bridge.tenants.rotation import (
    Margins,
    RotationError,
    Secret,
    Step,
    rotate_kek,
    tell,
)
from bridge.tenants.vault import VaultError
from tests.files.script import path, read, run, snapshot, write
from tests.tenants.rotating import KEK, NEW_KEK, TENANT, Process, process, recovered

BIG = {"{x}big": "v" * 5_000}
THIRD_KEK = Kek(b"3" * 32)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Process]:
    """A vault with files, folders, spills, and a removed folder that waits."""
    with process(tmp_path, create=True) as found:
        tree = found.tree
        run(tree, "mkdir /a, write /a/f one, mkdir /a/b, write /a/b/g two, mkdir /z, write /z/y 0")
        tree.set_properties(path("/a/f"), set=BIG)
        tree.set_properties(path("/a/b"), set=BIG)
        tree.set_properties(path("/z"), set=BIG)
        tree.delete(path("/z"))
        yield found


def check(found: Process) -> None:
    """Everything reads, by whoever opens the vault now; nothing is under any old key."""
    with process(found.folder) as fresh:
        for tree in (found.tree, fresh.tree):
            assert snapshot(tree) == {"a": {"f": b"one", "b": {"g": b"two"}}}
            assert tree.properties(path("/a/f")) == tree.properties(path("/a/b")) == BIG
        keyring = fresh.keyring()
        assert fresh.kids() == set(keyring.trks) == {keyring.active}
        assert found.ledger.read() == fresh.keyrings.newest_sealed()
        vault = recovered(found, keyring.number)
        assert set(vault.meta_keys) == {keyring.active}
        entries = {entry.path: entry for entry in vault.entries(vault.root)}
        assert entries["a", "f"].content == b"one"
        assert entries["a", "b", "g"].content == b"two"
        assert entries["a", "f"].properties == entries["a", "b"].properties == BIG
        assert fresh.problems() == []


class Interrupted(Exception):
    """As a crash, but for what Python cleans up."""


class TestTenant:
    def test_ends_with_everything_under_the_new_key_and_the_old_one_gone(
        self, made: Process
    ) -> None:
        old = made.keyring()
        steps: list[Step] = []

        def note(step: Step, _tally: Tally) -> None:
            if steps[-1:] != [step]:
                steps.append(step)

        total = made.rotation(progress=note).run()
        assert steps == [
            Step.ADDING,
            Step.TAKING,
            Step.RESEALING,
            Step.REMOVING,
            Step.DONE,
        ]
        new = made.keyring()
        assert new.number == old.number + 2
        assert new.active not in old.trks
        assert (new.tnk, new.recipient) == (old.tnk, old.recipient)
        assert (total.resealed, total.waiting, total.damaged) == (6, 0, 0)
        check(made)

    def test_may_be_done_again_and_again(self, made: Process) -> None:
        for number in (3, 5, 7):
            made.rotation().run()
            assert made.keyring().number == number
        check(made)

    @pytest.mark.parametrize("step", list(Step))
    def test_is_resumed_wherever_it_was_interrupted(self, made: Process, step: Step) -> None:
        def interrupt(at: Step, _tally: Tally) -> None:
            if at is step:
                raise Interrupted

        if step in (Step.RESUMING, Step.SETTLING):
            added = made.keyring().with_new_trk(made.keyrings.newest()[1])
            assert made.keyrings.publish(added)
        margins = Margins(0.0, 3600.0) if step is Step.SETTLING else Margins(0.0, 0.0)
        with pytest.raises(Interrupted):
            made.rotation(progress=interrupt, margins=margins).run()
        assert read(made.tree, "/a/f") == b"one"
        with process(made.folder) as resumed:
            before = resumed.keyring()
            resumed.rotation().run()
            after = resumed.keyring()
        again = step in (Step.ADDING, Step.DONE)
        assert (after.active != before.active) is again, "an interrupted one is ended, not begun"
        check(made)

    def test_is_resumed_after_a_crash_between_bucket_and_ledger(self, made: Process) -> None:
        keyring, sealed = made.keyrings.newest()
        assert made.keyrings.publish(keyring.with_new_trk(sealed))
        assert made.ledger.read()[0] == 1
        made.rotation().run()
        assert made.keyring().number == 3
        check(made)

    def test_one_of_two_at_once_is_told(self, made: Process) -> None:
        begun, go_on = threading.Event(), threading.Event()

        def hold(step: Step, _tally: Tally) -> None:
            if step is Step.RESEALING:
                begun.set()
                assert go_on.wait(30)

        with process(made.folder) as other:
            first = threading.Thread(target=made.rotation(progress=hold).run)
            first.start()
            assert begun.wait(30)
            before = other.keyring()
            with pytest.raises(RotationError, match="replaced by another process"):
                other.rotation().run()
            with pytest.raises(RotationError, match="replaced by another process"):
                rotate_kek(
                    other.keyrings, other.ledger, (KEK,), TENANT, list[Secret], other.vault.state
                )
            assert other.keyring() == before
            go_on.set()
            first.join(30)
        assert made.keyring().number == 3
        check(made)

    def test_does_not_go_on_without_its_lease(self, made: Process) -> None:
        """Another process has taken over, as after this one stood still for minutes."""

        def lose(step: Step, _tally: Tally) -> None:
            if step is Step.TAKING:
                for lease in made.vault.state._holders._held.values():  # type: ignore[attr-defined]
                    lease.lost = True

        with pytest.raises(LeaseLost):
            made.rotation(progress=lose).run()
        assert len(made.keyring().trks) == 2

    def test_takes_nothing_away_when_the_keyring_was_changed_by_others(self, made: Process) -> None:
        """One that went on without knowing that its lease was lost."""

        def meddle(step: Step, _tally: Tally) -> None:
            if step is Step.REMOVING:
                keyring, sealed = made.keyrings.newest()
                made.keyrings.publish(keyring.with_new_trk(sealed))

        with pytest.raises(RotationError, match="somebody else has changed the keyring"):
            made.rotation(progress=meddle).run()
        assert len(made.keyring().trks) == 3
        made.rotation().run()
        check(made)

    def test_a_kek_that_was_changed_meanwhile_is_kept(self, made: Process) -> None:
        def meddle(step: Step, _tally: Tally) -> None:
            if step is Step.REMOVING:
                keyring, sealed = made.keyrings.newest()
                made.keyrings.publish(keyring.following(sealed))

        made.rotation(progress=meddle).run()
        assert made.keyring().number == 4
        check(made)

    def test_leaves_the_old_key_while_entries_are_damaged_unless_told(self, made: Process) -> None:
        write(made.tree, "/broken", b"x")
        key = made.vault.walker.place(path("/broken")).key
        info = made.store.stat(key)
        made.store.set_metadata(key, {RECORD: "AQ"}, info.version)
        with pytest.raises(RotationError, match="1 entries are damaged"):
            made.rotation().run()
        assert len(made.keyring().trks) == 2
        assert made.problems(repair=True) == ["DAMAGED_RECORD"]
        made.rotation().run()
        assert read(made.tree, "/broken") == b"x"
        info = made.store.stat(key)
        made.store.set_metadata(key, {RECORD: "AQ"}, info.version)
        assert made.rotation().run(leave_damaged=True).damaged == 1
        made.tree.delete(path("/broken"))
        check(made)

    def test_waits_as_long_as_something_under_the_old_key_may_still_be_on_its_way(
        self, made: Process
    ) -> None:
        now = [0.0]
        passes: list[float] = []

        def note(step: Step, tally: Tally) -> None:
            if step is Step.RESEALING and tally.looked == 6:
                passes.append(now[0])

        rotation = made.rotation(margins=Margins(10.0, 87.0), progress=note)
        rotation._clock = lambda: now[0]

        def sleep(seconds: float) -> None:
            assert 0 < seconds <= 1
            now[0] += seconds

        rotation._sleep = sleep
        rotation.run()
        assert passes[0] == pytest.approx(10.0)
        assert passes[-1] == pytest.approx(87.0)
        check(made)

    def test_something_that_comes_late_is_sealed_anew_before_the_key_goes(
        self, made: Process
    ) -> None:
        now = [0.0]
        late = made.keyring()
        place = made.vault.walker.place(path("/a/f"))

        def sleep(seconds: float) -> None:
            now[0] += seconds
            if now[0] == 80.0:
                info = made.store.stat(place.key)
                record = made.vault.nodes.from_info("", info).record
                assert record is not None
                sealed = VaultKeys(late).seal_record(record)
                made.store.set_metadata(place.key, {RECORD: sealed}, info.version)

        rotation = made.rotation(margins=Margins(10.0, 87.0))
        rotation._clock = lambda: now[0]
        rotation._sleep = sleep
        assert rotation.run().resealed == 7
        with process(made.folder) as fresh:
            assert read(fresh.tree, "/a/f") == b"one"
            assert fresh.kids() <= {fresh.keyring().active, late.active}

    def test_margins_are_longer_than_all_that_they_wait_for(self) -> None:
        margins = Margins.of(lease=60.0, late=17.0)
        assert margins.taken > PATIENCE
        assert margins.settled > PATIENCE + 60.0 + 17.0

    def test_another_process_takes_the_new_key_up_and_seals_under_it(self, made: Process) -> None:
        with process(made.folder) as other:
            assert read(other.tree, "/a/f") == b"one"
            made.rotation().run()
            assert other.vault.keys.number == 1
            assert other.tree.stat(path("/a/f")).size == 3  # remembered
            run(made.tree, "write /new x")
            assert read(other.tree, "/new") == b"x"
            assert other.vault.keys.number == 3
            write(other.tree, "/other", b"y")
            assert other.kids() == {made.keyring().active}
            other.tree.delete(path("/new"))
            other.tree.delete(path("/other"))
        check(made)

    def test_the_poller_s_question_makes_a_process_take_it_up(self, made: Process) -> None:
        with process(made.folder, patience=PATIENCE) as other:
            keyring, sealed = made.keyrings.newest()
            made.keyrings.publish(keyring.with_new_trk(sealed))
            tell(made.keyrings, made.ledger)
            number, _ = other.ledger.read()
            assert not other.vault.keys.confirm(number, 0.0)
            other.vault.keys.take(other.keyring())
            assert other.vault.keys.confirm(number, 0.0)
            assert other.vault.keys.number == 2


class TestKek:
    @pytest.fixture
    def kept(self, made: Process) -> dict[str, bytes]:
        """Secrets by purpose, under the old key."""
        return {
            purpose: seal_secret(KEK, purpose, TENANT, purpose.encode()) for purpose in ("a", "b")
        }

    def rotate(self, made: Process, kept: dict[str, bytes], keks: tuple[Kek, ...]) -> int:
        def secrets() -> list[Secret]:
            def replacing(purpose: str, old: bytes) -> Secret:
                def replace(new: bytes) -> bool:
                    if kept[purpose] != old:
                        return False
                    kept[purpose] = new
                    return True

                return Secret(purpose, old, replace)

            return [replacing(purpose, sealed) for purpose, sealed in kept.items()]

        with process(made.folder, keks=keks) as found:
            return rotate_kek(
                found.keyrings, found.ledger, keks, TENANT, secrets, found.vault.state
            )

    def test_seals_everything_under_the_first(self, made: Process, kept: dict[str, bytes]) -> None:
        old = made.keyring()
        assert self.rotate(made, kept, (NEW_KEK, KEK)) == 3
        assert {sealed_under(sealed) for sealed in kept.values()} == {NEW_KEK.id}
        assert open_secret((NEW_KEK,), "a", TENANT, kept["a"]) == b"a"
        with process(made.folder, keks=(NEW_KEK,)) as fresh:
            new = fresh.keyring()
            assert (new.trks, new.tnk, new.number) == (old.trks, old.tnk, 2)
            assert read(fresh.tree, "/a/f") == b"one"
            assert fresh.ledger.read() == fresh.keyrings.newest_sealed()

    def test_done_again_changes_nothing(self, made: Process, kept: dict[str, bytes]) -> None:
        self.rotate(made, kept, (NEW_KEK, KEK))
        before = dict(kept), made.ledger.read()
        assert self.rotate(made, kept, (NEW_KEK,)) == 0
        assert (kept, made.ledger.read()) == before

    def test_a_key_that_does_not_open_the_keyring_is_refused_and_the_right_one_named(
        self, made: Process, kept: dict[str, bytes]
    ) -> None:
        before = dict(kept), made.keyrings.newest_sealed()
        with pytest.raises(VaultError, match=KEK.id.hex()) as caught:
            self.rotate(made, kept, (NEW_KEK, THIRD_KEK))
        assert THIRD_KEK.id.hex() in str(caught.value)
        assert (kept, made.keyrings.newest_sealed()) == before

    def test_a_secret_that_does_not_open_stops_it_before_anything_has_changed(
        self, made: Process, kept: dict[str, bytes]
    ) -> None:
        kept["c"] = seal_secret(THIRD_KEK, "c", TENANT, b"c")
        before = dict(kept), made.keyrings.newest_sealed()
        with pytest.raises(RotationError, match=THIRD_KEK.id.hex()):
            self.rotate(made, kept, (NEW_KEK, KEK))
        kept["c"] = kept["b"]
        with pytest.raises(RotationError, match="do not verify"):
            self.rotate(made, kept, (NEW_KEK, KEK))
        kept["c"] = before[0]["c"]
        assert (kept, made.keyrings.newest_sealed()) == before

    def test_is_resumed_wherever_it_was_interrupted(
        self, made: Process, kept: dict[str, bytes]
    ) -> None:
        keyring, sealed = made.keyrings.newest()
        with process(made.folder, keks=(NEW_KEK, KEK)) as found:
            assert found.keyrings.publish(keyring.following(sealed))
        kept["a"] = seal_secret(NEW_KEK, "a", TENANT, b"a")
        assert self.rotate(made, kept, (NEW_KEK, KEK)) == 1
        assert made.ledger.read()[0] == 2
        assert {sealed_under(sealed) for sealed in kept.values()} == {NEW_KEK.id}

    def test_secrets_that_are_written_meanwhile_are_not_overwritten(
        self, made: Process, kept: dict[str, bytes]
    ) -> None:
        asked: list[None] = []

        def secrets() -> list[Secret]:
            asked.append(None)
            sealed = kept["a"]

            def replace(new: bytes) -> bool:
                if len(asked) == 2:
                    kept["a"] = seal_secret(KEK, "a", TENANT, b"newer")
                if kept["a"] != sealed:
                    return False
                kept["a"] = new
                return True

            return [Secret("a", sealed, replace)]

        with process(made.folder, keks=(NEW_KEK, KEK)) as found:
            rotate_kek(
                found.keyrings,
                found.ledger,
                (NEW_KEK, KEK),
                TENANT,
                secrets,
                found.vault.state,
            )
        assert open_secret((NEW_KEK,), "a", TENANT, kept["a"]) == b"newer"

    def test_secrets_that_others_keep_writing_under_the_old_key_are_told_of(
        self, made: Process, kept: dict[str, bytes]
    ) -> None:
        def secrets() -> list[Secret]:
            return [Secret("a", kept["a"], lambda _new: False)]

        with (
            process(made.folder, keks=(NEW_KEK, KEK)) as found,
            pytest.raises(RotationError, match="still written under another KEK"),
        ):
            rotate_kek(
                found.keyrings,
                found.ledger,
                (NEW_KEK, KEK),
                TENANT,
                secrets,
                found.vault.state,
            )

    def test_a_process_without_the_new_key_seals_nothing_and_reads_on(
        self, made: Process, kept: dict[str, bytes]
    ) -> None:
        with process(made.folder, patience=0.2) as old:
            self.rotate(made, kept, (NEW_KEK, KEK))
            assert read(old.tree, "/a/f") == b"one"
            with pytest.raises(VaultError, match=NEW_KEK.id.hex()):
                old.keyrings.check()

    def test_a_tenant_s_key_may_be_replaced_under_the_new_one(
        self, made: Process, kept: dict[str, bytes]
    ) -> None:
        self.rotate(made, kept, (NEW_KEK, KEK))
        with process(made.folder, keks=(NEW_KEK,)) as found:
            found.rotation().run()
            assert found.keyring().number == 4
            assert snapshot(found.tree) == {"a": {"f": b"one", "b": {"g": b"two"}}}
        with pytest.raises(VaultError, match=NEW_KEK.id.hex()):
            made.keyring()
