"""Keyrings: sealed for one tenant under one KEK, numbered, chained, never rolled back."""

from __future__ import annotations

from dataclasses import replace

import cbor2
import pytest

from bridge.crypto import labels
from bridge.crypto.errors import CryptoError, Tampered, UnknownFormat, UnknownKey
from bridge.crypto.keyring import Kek, Keyring, kek_of, newest
from bridge.crypto.vault import VaultKeys
from tests.crypto.sample import a_file, new_keyring

KEK, NEW_KEK = Kek(b"1" * 32), Kek(b"2" * 32)
FIRST = new_keyring()
SEALED_1 = FIRST.seal(KEK)
SECOND = FIRST.with_new_trk(SEALED_1)
SEALED_2 = SECOND.seal(KEK)
THIRD = SECOND.with_new_trk(SEALED_2)
SEALED_3 = THIRD.seal(KEK)


def sealed_with(**changes: object) -> bytes:
    """The first keyring, sealed by a faulty or newer hand with CBOR fields changed by key."""
    clear = SEALED_1[:13]
    fields: dict[object, object] = {
        0: FIRST.number,
        1: FIRST.previous,
        2: FIRST.tnk,
        3: dict(FIRST.trks),
        4: FIRST.active,
        5: FIRST.recipient,
    }
    fields.update({int(name[1:]): value for name, value in changes.items()})
    plain = cbor2.dumps({key: value for key, value in fields.items() if value is not None})
    aad = labels.KEYRING + b"tenant" + clear
    return clear + bytes(24) + KEK.cipher.seal(bytes(24), plain, aad)


def test_a_keyring_opens_as_it_was() -> None:
    assert Keyring.open(SEALED_1, [NEW_KEK, KEK], "tenant") == FIRST
    assert Keyring.open(SEALED_3, [KEK], "tenant") == THIRD
    assert Keyring.open(sealed_with(), [KEK], "tenant") == FIRST


def test_a_kek_that_is_not_at_hand_is_named() -> None:
    with pytest.raises(UnknownKey) as caught:
        Keyring.open(SEALED_1, [NEW_KEK], "tenant")
    assert caught.value.key_id == KEK.id.hex()
    assert KEK.id.hex() in str(caught.value)


def test_a_keyring_of_another_tenant_does_not_open() -> None:
    for tenant_id in ("tenan", "tenantt", "other", ""):
        with pytest.raises(Tampered):
            Keyring.open(SEALED_1, [KEK], tenant_id)


def test_a_bit_flipped_anywhere_is_found() -> None:
    for place in range(len(SEALED_1)):
        changed = bytearray(SEALED_1)
        changed[place] ^= 1
        with pytest.raises(CryptoError):
            Keyring.open(bytes(changed), [KEK], "tenant")


def test_a_cut_anywhere_is_found() -> None:
    for size in range(len(SEALED_1)):
        with pytest.raises(Tampered):
            Keyring.open(SEALED_1[:size], [KEK], "tenant")


def test_another_format_is_not_guessed_at() -> None:
    for version in (0, 2, 255):
        with pytest.raises(UnknownFormat):
            Keyring.open(SEALED_1[:4] + bytes((version,)) + SEALED_1[5:], [KEK], "tenant")


def test_a_field_of_a_newer_format_is_not_passed_over() -> None:
    with pytest.raises(UnknownFormat):
        Keyring.open(sealed_with(k6=1), [KEK], "tenant")


@pytest.mark.parametrize(
    "changes",
    [
        {"k0": 0},
        {"k0": -1},
        {"k0": 2},
        {"k0": True},
        {"k1": bytes(32)},
        {"k2": bytes(31)},
        {"k3": {}},
        {"k3": {b"kid": bytes(32)}},
        {"k3": {"text": bytes(32)}},
        pytest.param({"k3": {FIRST.active: bytes(16)}}, id="half a key"),
        pytest.param({"k3": {FIRST.active: "text"}}, id="a text as a key"),
        {"k4": b"none"},
        {"k5": b"age1"},
        {"k5": None},
    ],
    ids=str,
)
def test_an_impossible_keyring_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Tampered):
        Keyring.open(sealed_with(**changes), [KEK], "tenant")


def test_it_says_under_which_kek_it_is() -> None:
    assert kek_of(SEALED_1) == KEK.id
    with pytest.raises(Tampered):
        kek_of(SEALED_1[:36])
    with pytest.raises(UnknownFormat):
        kek_of(SEALED_1[:4] + b"\2" + SEALED_1[5:])


def test_a_kek_has_32_bytes() -> None:
    for size in (0, 16, 31, 33):
        with pytest.raises(ValueError):
            Kek(bytes(size))


def test_neither_kek_nor_keyring_shows_keys_in_a_log_line() -> None:
    for shown in (repr(KEK), repr(FIRST), str(FIRST)):
        assert "1111" not in shown
        assert repr(FIRST.tnk)[2:-1] not in shown


STORED = {1: SEALED_1, 2: SEALED_2, 3: SEALED_3}


class TestRotation:
    def test_seals_new_records_under_the_new_key_and_opens_old_ones(self) -> None:
        old, new = VaultKeys(FIRST), VaultKeys(SECOND)
        record = a_file()
        assert new.open_record(old.seal_record(record)) == record
        with pytest.raises(UnknownKey) as caught:
            old.open_record(new.seal_record(record))
        assert caught.value.key_id == SECOND.active.hex()

    def test_leaves_names_and_root_as_they_are(self) -> None:
        old, new = VaultKeys(FIRST), VaultKeys(THIRD)
        assert new.root_directory_id == old.root_directory_id
        assert new.names.seal(b"p" * 16, "n") == old.names.seal(b"p" * 16, "n")

    def test_keeps_every_key_until_it_is_dropped(self) -> None:
        assert len(THIRD.trks) == 3
        record = VaultKeys(FIRST).seal_record(a_file())
        dropped = {kid: trk for kid, trk in THIRD.trks.items() if kid != FIRST.active}
        with pytest.raises(UnknownKey):
            VaultKeys(replace(THIRD, trks=dropped)).open_record(record)

    def test_may_change_the_kek_and_no_key(self) -> None:
        again = SECOND.following(SEALED_2)
        assert replace(again, number=2, previous=SECOND.previous) == SECOND
        stored = {1: SEALED_1, 2: SEALED_2, 3: again.seal(NEW_KEK)}
        assert newest(stored, [NEW_KEK], "tenant", seen=stored[3]) == again
        assert newest(stored, [NEW_KEK, KEK], "tenant", seen=SEALED_2) == again

    def test_ends_with_the_active_key_alone(self) -> None:
        last = THIRD.without_retired(SEALED_3)
        assert (last.active, last.trks) == (THIRD.active, {THIRD.active: THIRD.trks[THIRD.active]})
        assert newest({**STORED, 4: last.seal(KEK)}, [KEK], "tenant", seen=SEALED_3) == last

    def test_never_draws_a_key_id_twice(self) -> None:
        drawn = iter([FIRST.active, b"fresh"[:4], bytes(32)])
        assert FIRST.with_new_trk(SEALED_1, lambda _size: next(drawn)).active == b"fres"


class TestTheNewest:
    def test_is_the_highest(self) -> None:
        assert newest(STORED, [KEK], "tenant") == THIRD

    def test_is_the_highest_that_opens(self) -> None:
        stored = {1: SEALED_1, 2: SEALED_2, 3: THIRD.seal(NEW_KEK)}
        assert newest(stored, [KEK], "tenant") == SECOND
        assert newest(stored, [NEW_KEK], "tenant") == THIRD

    def test_names_the_kek_it_wants_when_none_opens(self) -> None:
        with pytest.raises(UnknownKey) as caught:
            newest(STORED, [NEW_KEK], "tenant")
        assert caught.value.key_id == KEK.id.hex()

    def test_needs_none_of_those_long_gone(self) -> None:
        assert newest({3: SEALED_3}, [KEK], "tenant") == THIRD
        assert newest({1: b"", 3: SEALED_3}, [KEK], "tenant") == THIRD

    def test_is_missing_where_there_is_none(self) -> None:
        with pytest.raises(Tampered):
            newest({}, [KEK], "tenant")

    def test_is_not_an_old_one_under_a_new_number(self) -> None:
        with pytest.raises(Tampered):
            newest({**STORED, 4: SEALED_1}, [KEK], "tenant")
        with pytest.raises(Tampered):
            newest({1: SEALED_1, 2: SEALED_2, 3: SEALED_2}, [KEK], "tenant")

    def test_is_not_one_whose_bytes_were_changed(self) -> None:
        with pytest.raises(Tampered):
            newest({1: SEALED_1, 2: SEALED_2[:-1] + b"\0"}, [KEK], "tenant")

    def test_is_not_used_when_forked(self) -> None:
        """Two replicas rotated at once, or an old backup was restored: two seconds, one lost."""
        other_second = FIRST.with_new_trk(SEALED_1).seal(KEK)
        with pytest.raises(Tampered):
            newest({1: SEALED_1, 2: other_second, 3: SEALED_3}, [KEK], "tenant")

    def test_is_not_used_when_one_before_it_was_replaced(self) -> None:
        with pytest.raises(Tampered):
            newest({1: FIRST.seal(KEK), 2: SEALED_2, 3: SEALED_3}, [KEK], "tenant")

    @pytest.mark.parametrize("stored", [{1: SEALED_1, 2: SEALED_2}, {1: SEALED_1}, {}], ids=len)
    def test_is_not_used_when_one_that_was_seen_is_gone(self, stored: dict[int, bytes]) -> None:
        with pytest.raises(Tampered, match="rolled back"):
            newest(stored, [KEK], "tenant", seen=SEALED_3)

    def test_is_not_used_when_one_that_was_seen_was_replaced(self) -> None:
        stored = {1: SEALED_1, 2: FIRST.with_new_trk(SEALED_1).seal(KEK)}
        with pytest.raises(Tampered, match="forked"):
            newest(stored, [KEK], "tenant", seen=SEALED_2)

    def test_is_not_used_when_it_does_not_follow_the_one_that_was_seen(self) -> None:
        other_second = FIRST.with_new_trk(SEALED_1)
        stored = {1: SEALED_1, 3: other_second.with_new_trk(other_second.seal(KEK)).seal(KEK)}
        with pytest.raises(Tampered, match="forked"):
            newest(stored, [KEK], "tenant", seen=SEALED_2)

    def test_is_not_used_when_a_gap_could_hide_a_fork_from_the_one_that_was_seen(self) -> None:
        other_second = FIRST.with_new_trk(SEALED_1)
        third = other_second.with_new_trk(other_second.seal(KEK))
        fourth = third.with_new_trk(third.seal(KEK)).seal(KEK)
        for stored in ({1: SEALED_1, 4: fourth}, {1: SEALED_1, 2: SEALED_2, 4: fourth}):
            with pytest.raises(Tampered, match="cannot be shown"):
                newest(stored, [KEK], "tenant", seen=SEALED_2)
            assert newest(stored, [KEK], "tenant").number == 4

    def test_may_follow_the_one_that_was_seen(self) -> None:
        assert newest(STORED, [KEK], "tenant", seen=SEALED_2) == THIRD
        assert newest(STORED, [KEK], "tenant", seen=SEALED_3) == THIRD
