"""Keyrings in the bucket: how the next one is written, and what is not taken for the newest."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bridge.crypto.errors import Unconfirmed
from bridge.crypto.keyring import Kek, Keyring
from bridge.crypto.record import Kind, Record
from bridge.crypto.vault import PATIENCE, VaultKeys
from bridge.state.api import StateUnavailable
from bridge.store.api import NotFound, ObjectStore, Unavailable
from bridge.store.local import LocalStore
from bridge.store.memory import MemoryStore
from bridge.tenants.api import NoSuchTenant
from bridge.tenants.vault import Keyrings, VaultError
from tests.tenants.ledgers import FileLedger

KEK, NEW_KEK = Kek(b"1" * 32), Kek(b"2" * 32)
FOLDER = Record(Kind.DIRECTORY, b"d" * 16)


def content(store: ObjectStore, key: str) -> bytes:
    with store.get(key) as download:
        buffer = bytearray(download.info.size)
        assert download.readinto(memoryview(buffer)) == len(buffer)
    return bytes(buffer)


def put(store: ObjectStore, key: str, data: bytes) -> None:
    upload = store.put(key)
    upload.write(data)
    upload.commit({})


def stored(store: ObjectStore, number: int) -> bytes:
    return content(store, f".bridge/t/keyring/{number}")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def ledger(tmp_path: Path) -> FileLedger:
    return FileLedger(tmp_path / "ledger.db")


@pytest.fixture
def keyrings(store: MemoryStore, ledger: FileLedger) -> Keyrings:
    """Those of a vault that is there, of which the ledger knows."""
    found = Keyrings(store, (KEK,), "t", ledger)
    found.open(create=True)
    ledger.advance(0, *found.newest_sealed())
    return found


def with_new_trk(keyrings: Keyrings) -> Keyring:
    keyring, sealed = keyrings.newest()
    return keyring.with_new_trk(sealed)


class TestPublishing:
    def test_a_keyring_that_follows_becomes_the_newest(
        self, keyrings: Keyrings, store: MemoryStore
    ) -> None:
        following = with_new_trk(keyrings)
        assert keyrings.publish(following)
        assert keyrings.newest()[0] == following
        assert Keyrings(store, (KEK,), "t").newest()[0] == following
        assert keyrings.newest_sealed() == (2, stored(store, 2))

    def test_its_recovery_file_is_there_before_it_is_used(
        self, keyrings: Keyrings, store: MemoryStore
    ) -> None:
        keyrings.publish(with_new_trk(keyrings))
        assert store.stat("t/recovery/2.age").size > 0

    def test_whoever_comes_second_is_told_and_finds_the_winner_s(
        self, keyrings: Keyrings, store: MemoryStore
    ) -> None:
        mine, others = with_new_trk(keyrings), with_new_trk(keyrings)
        assert Keyrings(store, (KEK,), "t").publish(others)
        assert not keyrings.publish(mine)
        assert keyrings.newest()[0] == others

    def test_of_many_at_once_one_wins_and_all_agree(self, tmp_path: Path) -> None:
        store = LocalStore(tmp_path / "store")
        Keyrings(store, (KEK,), "t").open(create=True)
        gate = threading.Barrier(6)
        won: list[bool] = []
        actives: list[bytes] = []

        def publish() -> None:
            keyrings = Keyrings(store, (KEK,), "t")
            mine = with_new_trk(keyrings)
            gate.wait()
            won.append(keyrings.publish(mine))
            actives.append(keyrings.newest()[0].active)

        threads = [threading.Thread(target=publish) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(won) == [False] * 5 + [True]
        assert len(set(actives)) == 1

    def test_an_answer_that_was_lost_is_no_loss(
        self, keyrings: Keyrings, store: MemoryStore
    ) -> None:
        """The retrying store tries again, and finds its own first attempt."""
        following = with_new_trk(keyrings)

        class Upload:
            def __init__(self, key: str) -> None:
                self._key = key
                self._real = store.put(key)

            def write(self, data: bytes) -> None:
                self._data = data
                self._real.write(data)

            def commit(self, metadata: dict[str, str], *, if_absent: bool) -> object:
                self._real.commit(metadata, if_absent=if_absent)
                again = store.put(self._key)
                again.write(self._data)
                return again.commit(metadata, if_absent=if_absent)

            def abort(self) -> None:
                self._real.abort()

        class Forgetful:
            def __getattr__(self, name: str) -> object:
                return Upload if name == "put" else getattr(store, name)

        assert Keyrings(Forgetful(), (KEK,), "t").publish(following)  # type: ignore[arg-type]
        assert keyrings.newest()[0] == following

    def test_it_is_sealed_under_the_first_kek(self, keyrings: Keyrings, store: MemoryStore) -> None:
        both = Keyrings(store, (NEW_KEK, KEK), "t")
        keyring, sealed = both.newest()
        assert both.needs_sealing(sealed)
        assert both.publish(keyring.following(sealed))
        assert not both.needs_sealing(stored(store, 2))
        assert Keyring.open(stored(store, 2), (NEW_KEK,), "t").trks == keyring.trks


class TestRolledBack:
    """Somebody who can write to the bucket takes the newest keyring away, or puts in another."""

    def test_what_this_process_has_seen_is_missed(self, store: MemoryStore) -> None:
        keyrings = Keyrings(store, (KEK,), "t")
        keyrings.open(create=True)
        keyrings.publish(with_new_trk(keyrings))
        keyrings.check()
        store.delete(".bridge/t/keyring/2")
        for ask in (keyrings.check, keyrings.newest, keyrings.newest_sealed):
            with pytest.raises(VaultError, match="keyring 2 of tenant t is gone: rolled back"):
                ask()

    def test_what_the_ledger_knows_is_missed_by_a_new_process(
        self, keyrings: Keyrings, store: MemoryStore, ledger: FileLedger
    ) -> None:
        keyrings.publish(with_new_trk(keyrings))
        ledger.advance(1, *keyrings.newest_sealed())
        store.delete(".bridge/t/keyring/2")
        with pytest.raises(VaultError, match="rolled back"):
            Keyrings(store, (KEK,), "t", ledger).open()
        Keyrings(store, (KEK,), "t").open()  # nobody told this one

    def test_a_keyring_put_in_the_place_of_the_known_one_is_refused(
        self, keyrings: Keyrings, store: MemoryStore, ledger: FileLedger
    ) -> None:
        mine, others = with_new_trk(keyrings), with_new_trk(keyrings)
        keyrings.publish(mine)
        ledger.advance(1, *keyrings.newest_sealed())
        put(store, ".bridge/t/keyring/2", others.seal(KEK))
        for asked in (keyrings, Keyrings(store, (KEK,), "t", ledger)):
            with pytest.raises(VaultError, match="forked"):
                asked.newest()

    def test_a_fork_beyond_the_known_one_is_refused(
        self, keyrings: Keyrings, store: MemoryStore, ledger: FileLedger
    ) -> None:
        others = with_new_trk(keyrings)
        keyrings.publish(with_new_trk(keyrings))
        ledger.advance(1, *keyrings.newest_sealed())
        put(store, ".bridge/t/keyring/3", others.with_new_trk(others.seal(KEK)).seal(KEK))
        with pytest.raises(VaultError, match="does not follow"):
            Keyrings(store, (KEK,), "t", ledger).newest()

    def test_a_ledger_that_was_told_later_than_the_bucket_is_no_roll_back(
        self, keyrings: Keyrings, ledger: FileLedger
    ) -> None:
        keyrings.publish(with_new_trk(keyrings))
        assert ledger.read()[0] == 1
        assert keyrings.newest()[0].number == 2

    def test_keyrings_before_the_known_one_are_not_read(
        self, keyrings: Keyrings, store: MemoryStore, ledger: FileLedger
    ) -> None:
        keyrings.publish(with_new_trk(keyrings))
        ledger.advance(1, *keyrings.newest_sealed())
        store.delete(".bridge/t/keyring/1")
        assert Keyrings(store, (KEK,), "t", ledger).newest()[0].number == 2

    def test_a_ledger_under_another_kek_names_it(
        self, keyrings: Keyrings, store: MemoryStore, ledger: FileLedger
    ) -> None:
        both = Keyrings(store, (NEW_KEK, KEK), "t", ledger)
        keyring, sealed = both.newest()
        both.publish(keyring.following(sealed))
        ledger.advance(1, *both.newest_sealed())
        with pytest.raises(VaultError, match=NEW_KEK.id.hex()) as caught:
            Keyrings(store, (KEK,), "t", ledger).newest()
        assert f"configured: {KEK.id.hex()}" in str(caught.value)


class TestOpenKeys:
    def test_take_up_a_keyring_that_another_process_has_published(
        self, keyrings: Keyrings, store: MemoryStore
    ) -> None:
        keys, _ = Keyrings(store, (KEK,), "t").open()
        following = with_new_trk(keyrings)
        keyrings.publish(following)
        assert keys.number == 1
        assert keys.open_record(VaultKeys(following).seal_record(FOLDER)) == FOLDER
        assert keys.number == 2
        assert keys.sealing().active == following.active

    def test_are_known_to_be_the_newest_when_they_are_opened(
        self, keyrings: Keyrings, store: MemoryStore
    ) -> None:
        keys, _ = keyrings.open(patience=PATIENCE)
        store.close()
        assert keys.sealing().number == 1

    def test_ask_the_ledger_alone_while_that_knows_of_no_newer_one(
        self, keyrings: Keyrings, store: MemoryStore
    ) -> None:
        keys, _ = keyrings.open(patience=PATIENCE)
        keys._confirmed = -PATIENCE  # long ago
        store.close()
        assert keys.sealing().number == 1

    @pytest.mark.parametrize(
        "error", [StateUnavailable("the database is away"), NoSuchTenant("it was deleted")], ids=str
    )
    def test_seal_nothing_while_the_ledger_does_not_answer(
        self, store: MemoryStore, error: Exception
    ) -> None:
        class Ledger:
            away = False

            def read(self) -> tuple[int, bytes]:
                if self.away:
                    raise error
                return 0, b""

            def advance(self, old: int, new: int, sealed: bytes) -> bool:
                raise AssertionError

        ledger = Ledger()
        keyrings = Keyrings(store, (KEK,), "t", ledger)
        keys, _ = keyrings.open(create=True, patience=0.0)
        ledger.away = True
        with pytest.raises(Unconfirmed, match=str(error)):
            keys.sealing()
        sealed = VaultKeys(Keyrings(store, (KEK,), "t").newest()[0]).seal_record(FOLDER)
        assert keys.open_record(sealed) == FOLDER

    def test_seal_nothing_while_the_store_does_not_answer(self, store: MemoryStore) -> None:
        keys, _ = Keyrings(store, (KEK,), "t").open(create=True, patience=0.0)
        store.close()
        with pytest.raises(Unconfirmed) as caught:
            keys.sealing()
        assert isinstance(caught.value.__cause__, Unavailable)

    def test_seal_nothing_once_the_newest_was_taken_away(
        self, keyrings: Keyrings, store: MemoryStore
    ) -> None:
        keyrings.publish(with_new_trk(keyrings))
        keys, _ = Keyrings(store, (KEK,), "t").open(patience=0.0)
        store.delete(".bridge/t/keyring/2")
        with pytest.raises(Unconfirmed, match="rolled back"):
            keys.sealing()


def test_a_recovery_file_that_a_crash_left_out_is_written_by_whoever_takes_the_keyring_up(
    keyrings: Keyrings, store: MemoryStore
) -> None:
    keys, _ = Keyrings(store, (KEK,), "t").open()
    following = with_new_trk(keyrings)
    put(store, ".bridge/t/keyring/2", following.seal(KEK))
    with pytest.raises(NotFound):
        store.stat("t/recovery/2.age")
    keys.open_record(VaultKeys(following).seal_record(FOLDER))
    assert store.stat("t/recovery/2.age").size > 0
