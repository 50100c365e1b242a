"""Keys that change while a service runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from bridge.crypto.body import HEADER_SIZE
from bridge.crypto.errors import Tampered, Unconfirmed, UnknownKey
from bridge.crypto.keyring import Keyring
from bridge.crypto.keyset import kid_of, kid_of_record
from bridge.crypto.vault import VaultKeys
from tests.crypto.sample import a_file, new_keyring

FIRST = new_keyring()
SECOND = FIRST.with_new_trk(b"first")
THIRD = SECOND.without_retired(b"second")


class Newest:
    """Says which keyring is the newest, and counts how often it was asked."""

    def __init__(self, keyring: Keyring | None) -> None:
        self.keyring = keyring
        self.asked = 0

    def __call__(self) -> Keyring:
        self.asked += 1
        if self.keyring is None:
            raise Unconfirmed("the store is away")
        return self.keyring


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


Seal = Callable[[VaultKeys], object]
each_seal = pytest.mark.parametrize(
    "seal",
    [
        lambda keys: keys.seal_record(a_file()),
        lambda keys: keys.seal_spill({"a": "b"}),
        lambda keys: keys.seal_intent(b"c" * 16, 1.0),
        lambda keys: keys.sealing(),
    ],
    ids=["record", "spill", "intent", "several"],
)


def under(keys: VaultKeys) -> bytes:
    return kid_of_record(keys.seal_record(a_file()))


class TestTaking:
    def test_a_newer_keyring_seals_from_then_on_and_opens_what_was_before(self) -> None:
        keys = VaultKeys(FIRST)
        old = keys.seal_record(a_file())
        keys.take(SECOND)
        assert keys.number == 2
        assert under(keys) == SECOND.active != FIRST.active
        assert keys.sealing().retired == {FIRST.active}
        assert keys.open_record(old) == a_file()

    def test_an_older_keyring_is_left(self) -> None:
        keys = VaultKeys(SECOND)
        keys.take(FIRST)
        keys.take(SECOND)
        assert (keys.number, under(keys)) == (2, SECOND.active)

    def test_a_key_that_left_opens_nothing_any_more(self) -> None:
        keys = VaultKeys(SECOND)
        old = VaultKeys(FIRST).seal_record(a_file())
        assert keys.open_record(old) == a_file()
        keys.take(THIRD)
        assert keys.sealing().retired == frozenset()
        with pytest.raises(UnknownKey) as caught:
            keys.open_record(old)
        assert caught.value.key_id == FIRST.active.hex()

    def test_another_vault_s_keyring_is_refused(self) -> None:
        keys = VaultKeys(FIRST)
        for other in (replace(SECOND, tenant_id="other"), replace(SECOND, tnk=bytes(32))):
            with pytest.raises(Tampered):
                keys.take(other)
        assert keys.number == 1

    def test_names_and_root_stay(self) -> None:
        keys = VaultKeys(FIRST)
        before = keys.root_directory_id, keys.names.seal(b"d" * 16, "n")
        keys.take(THIRD)
        assert (keys.root_directory_id, keys.names.seal(b"d" * 16, "n")) == before


class TestUnknownKeys:
    @pytest.mark.parametrize(
        ("seal", "unseal"),
        [
            (lambda keys: keys.seal_record(a_file()), VaultKeys.open_record),
            (lambda keys: keys.seal_spill({"a": "b"}), VaultKeys.open_spill),
            (lambda keys: keys.seal_intent(b"c" * 16, 1.0), VaultKeys.open_intent),
            (lambda keys: keys.new_body().header[:HEADER_SIZE], VaultKeys.open_header),
        ],
        ids=["record", "spill", "intent", "header"],
    )
    def test_make_it_ask_for_the_newest_keyring_once(
        self, seal: Seal, unseal: Callable[[VaultKeys, object], object]
    ) -> None:
        sealed = seal(VaultKeys(SECOND))
        newest = Newest(SECOND)
        keys = VaultKeys(FIRST, newest=newest)
        assert unseal(keys, sealed) == unseal(VaultKeys(SECOND), sealed)
        assert unseal(keys, sealed) is not None
        assert newest.asked == 1

    def test_are_named_when_nobody_has_them(self) -> None:
        stranger = new_keyring().with_new_trk(b"x")
        sealed = VaultKeys(stranger).seal_record(a_file())
        newest = Newest(FIRST)
        with pytest.raises(UnknownKey) as caught:
            VaultKeys(FIRST, newest=newest).open_record(sealed)
        assert caught.value.key_id == stranger.active.hex()
        assert newest.asked == 1

    def test_say_nothing_while_the_newest_keyring_cannot_be_told(self) -> None:
        with pytest.raises(Unconfirmed):
            VaultKeys(FIRST, newest=Newest(None)).open_record(
                VaultKeys(SECOND).seal_record(a_file())
            )

    def test_do_not_make_it_ask_all_the_time(self) -> None:
        """Whoever can write to the bucket can put there what names keys that nobody has."""
        clock, newest = Clock(), Newest(FIRST)
        keys = VaultKeys(FIRST, newest=newest, clock=clock)
        for _ in range(100):
            with pytest.raises(UnknownKey):
                keys.open_record(VaultKeys(new_keyring()).seal_record(a_file()))
        assert newest.asked == 10
        with pytest.raises(UnknownKey):
            keys.open_record(VaultKeys(SECOND).seal_record(a_file()))
        newest.keyring = SECOND
        clock.now += 10.1
        assert keys.open_record(VaultKeys(SECOND).seal_record(a_file())) == a_file()

    def test_do_not_keep_it_from_sealing(self) -> None:
        clock, newest = Clock(), Newest(FIRST)
        keys = VaultKeys(FIRST, newest=newest, patience=5.0, clock=clock)
        for _ in range(100):
            with pytest.raises(UnknownKey):
                keys.open_record(VaultKeys(new_keyring()).seal_record(a_file()))
        clock.now += 6.0
        assert under(keys) == FIRST.active
        assert newest.asked == 11

    def test_are_asked_for_by_one_thread_for_all(self) -> None:
        sealed = VaultKeys(SECOND).seal_record(a_file())
        newest = Newest(SECOND)
        keys = VaultKeys(FIRST, newest=newest)
        gate = threading.Barrier(8)
        found: list[object] = []

        def look() -> None:
            gate.wait()
            found.append(keys.open_record(sealed))

        threads = [threading.Thread(target=look) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [a_file()] * 8
        assert newest.asked == 1


class TestPatience:
    @each_seal
    def test_without_it_nobody_is_asked(self, seal: Seal) -> None:
        newest = Newest(SECOND)
        seal(VaultKeys(FIRST, newest=newest))
        assert newest.asked == 0

    @each_seal
    def test_nothing_is_sealed_when_it_is_over_and_nobody_can_tell(self, seal: Seal) -> None:
        clock = Clock()
        keys = VaultKeys(FIRST, patience=5.0, clock=clock)
        keys.confirm(1, clock.now)
        clock.now += 5.0
        seal(keys)
        clock.now += 0.01
        with pytest.raises(Unconfirmed):
            seal(keys)
        keys.confirm(1, clock.now)
        seal(keys)

    @each_seal
    def test_is_over_from_the_beginning(self, seal: Seal) -> None:
        with pytest.raises(Unconfirmed):
            seal(VaultKeys(FIRST, newest=Newest(None), patience=5.0))

    def test_that_is_over_makes_it_ask(self) -> None:
        clock, newest = Clock(), Newest(FIRST)
        keys = VaultKeys(FIRST, newest=newest, patience=5.0, clock=clock)
        assert under(keys) == under(keys) == FIRST.active
        assert newest.asked == 1
        newest.keyring = SECOND
        clock.now += 5.01
        assert under(keys) == SECOND.active

    @pytest.mark.parametrize(
        ("known", "asked"), [(1, 0), (2, 1), (0, 1)], ids=["the same", "a newer one", "nothing"]
    )
    def test_is_renewed_without_a_look_by_what_is_known_of_the_newest(
        self, known: int, asked: int
    ) -> None:
        newest = Newest(FIRST if known < 2 else SECOND)
        keys = VaultKeys(FIRST, newest=newest, known=lambda: known, patience=5.0)
        keys.sealing()
        assert newest.asked == asked
        assert keys.number == max(known, 1)

    def test_is_over_when_what_is_known_cannot_be_told(self) -> None:
        newest = Newest(FIRST)

        def away() -> int:
            raise Unconfirmed("the database is away")

        with pytest.raises(Unconfirmed):
            VaultKeys(FIRST, newest=newest, known=away, patience=5.0).sealing()
        assert newest.asked == 0

    def test_counts_from_before_the_question(self) -> None:
        clock = Clock()

        def slow() -> Keyring:
            clock.now += 6.0
            return FIRST

        keys = VaultKeys(FIRST, newest=slow, patience=5.0, clock=clock)
        with pytest.raises(Unconfirmed, match="took too long"):
            keys.sealing()

    def test_is_not_renewed_by_word_of_a_newer_keyring(self) -> None:
        clock = Clock()
        keys = VaultKeys(FIRST, patience=5.0, clock=clock)
        assert not keys.confirm(2, clock.now)
        with pytest.raises(Unconfirmed):
            keys.sealing()
        keys.take(SECOND)
        assert keys.confirm(2, clock.now)
        assert keys.confirm(1, clock.now)  # told late: this process knows more
        assert under(keys) == SECOND.active

    def test_is_not_shortened_by_an_older_word(self) -> None:
        clock = Clock()
        keys = VaultKeys(FIRST, patience=5.0, clock=clock)
        keys.confirm(1, clock.now)
        keys.confirm(1, clock.now - 100)
        assert under(keys) == FIRST.active

    def test_opening_needs_none(self) -> None:
        keys = VaultKeys(FIRST, patience=5.0)
        sealed = VaultKeys(FIRST).seal_record(a_file())
        assert keys.open_record(sealed) == a_file()
        assert len(keys.new_body().header) == HEADER_SIZE


def test_who_asks_for_several_gets_one_key_for_all() -> None:
    keys = VaultKeys(FIRST)
    sealing = keys.sealing()
    keys.take(SECOND)
    assert kid_of_record(sealing.seal_record(a_file())) == FIRST.active
    assert kid_of(sealing.seal_spill({})) == FIRST.active


@pytest.mark.parametrize("cut", ["", "A", "AAAA", "AAAAA", "!" * 8, "=" * 8])
def test_a_key_s_id_is_not_read_from_what_has_none(cut: str) -> None:
    with pytest.raises(Tampered):
        kid_of_record(cut)


def test_a_key_s_id_stands_in_clear() -> None:
    keys = VaultKeys(FIRST)
    assert kid_of_record(keys.seal_record(a_file())) == FIRST.active
    assert kid_of(keys.seal_spill({})) == kid_of(keys.seal_intent(b"c" * 16, 0.0)) == FIRST.active
