"""Every attack that must fail, as far as bytes and keys go; tests/files has those on whole trees.

The attacker holds the store: reads, changes, moves and repeats any object of it, knows the format
and every public recipient, but no key.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.crypto import age, labels, text
from bridge.crypto.body import CHUNK, HEADER_SIZE, SEALED_CHUNK, TAG, plain_size, span
from bridge.crypto.errors import CryptoError, Tampered, UnknownFormat, UnknownKey
from bridge.crypto.keyring import Kek, Keyring, newest
from bridge.crypto.record import Kind, Record
from bridge.crypto.vault import VaultKeys

PARENT = b"d" * 16
CONTENT = os.urandom(3 * CHUNK + 100)

IDENTITY, RECIPIENT = age.generate_identity()
KEK = Kek(os.urandom(32))
FIRST = Keyring.generate("tenant", RECIPIENT)
SEALED_FIRST = FIRST.seal(KEK)
SECOND = FIRST.with_new_trk(SEALED_FIRST)
SEALED_SECOND = SECOND.seal(KEK)
KEYS = VaultKeys(SECOND)


class Body(NamedTuple):
    stored: bytes
    record: Record


def sealed_body(keys: VaultKeys, plain: bytes) -> Body:
    sealer = keys.new_body()
    stored = sealer.header + bytes(sealer.update(plain)) + sealer.finish()
    record = Record(
        Kind.FILE,
        os.urandom(16),
        size=len(plain),
        file_key=sealer.file_key,
        payload_nonce=sealer.payload_nonce,
    )
    return Body(stored, record)


def by_record(keys: VaultKeys, stored: bytes, record: Record) -> bytes:
    """The whole file, as the tree reads it: sizes and keys by the record alone.

    An opener opens any chunks in a row, so it is the reader that misses those which are gone.
    """
    part = span(0, record.size, record.size)
    sealed = stored[part.sealed_offset : part.sealed_offset + part.sealed_length]
    if len(sealed) != part.sealed_length:
        raise Tampered("the stored content is cut short")
    opener = keys.body_opener(record.file_key, record.payload_nonce, record.size)
    return bytes(opener.open(sealed, part.first_chunk))


def by_header(keys: VaultKeys, stored: bytes) -> bytes:
    """The whole file, as fsck reads it when the record is lost: by its own header and length."""
    file_key, nonce = keys.open_header(stored[:HEADER_SIZE])
    opener = keys.body_opener(file_key, nonce, plain_size(len(stored) - HEADER_SIZE))
    return bytes(opener.open(stored[HEADER_SIZE:], 0))


BODY = sealed_body(KEYS, CONTENT)
OTHER = sealed_body(KEYS, CONTENT)


def chunk(body: Body, place: int) -> bytes:
    at = HEADER_SIZE + place * SEALED_CHUNK
    return body.stored[at : at + SEALED_CHUNK]


def rebuilt(*chunks: bytes) -> bytes:
    return BODY.stored[:HEADER_SIZE] + b"".join(chunks)


def both_refuse(stored: bytes) -> None:
    with pytest.raises(Tampered):
        by_record(KEYS, stored, BODY.record)
    with pytest.raises(Tampered):
        by_header(KEYS, stored)


def test_an_untouched_body_opens_both_ways() -> None:
    assert by_record(KEYS, BODY.stored, BODY.record) == CONTENT
    assert by_header(KEYS, BODY.stored) == CONTENT


# Bodies


def test_two_chunks_swapped() -> None:
    both_refuse(rebuilt(chunk(BODY, 1), chunk(BODY, 0), chunk(BODY, 2), chunk(BODY, 3)))


def test_chunks_in_another_order() -> None:
    both_refuse(rebuilt(chunk(BODY, 1), chunk(BODY, 2), chunk(BODY, 0), chunk(BODY, 3)))


def test_a_chunk_repeated_in_the_place_of_another() -> None:
    both_refuse(rebuilt(chunk(BODY, 0), chunk(BODY, 0), chunk(BODY, 2), chunk(BODY, 3)))


def test_a_chunk_repeated_between_others() -> None:
    longer = rebuilt(*(chunk(BODY, place) for place in (0, 1, 1, 2, 3)))
    both_refuse(longer)


def test_a_chunk_spliced_in_from_another_file_of_the_same_content() -> None:
    both_refuse(rebuilt(chunk(BODY, 0), chunk(OTHER, 1), chunk(BODY, 2), chunk(BODY, 3)))


def test_a_last_chunk_from_another_file() -> None:
    both_refuse(rebuilt(chunk(BODY, 0), chunk(BODY, 1), chunk(BODY, 2), chunk(OTHER, 3)))


def test_the_header_of_one_file_with_the_body_of_another() -> None:
    forged = BODY.stored[:HEADER_SIZE] + OTHER.stored[HEADER_SIZE:]
    both_refuse(forged)
    with pytest.raises(Tampered):
        by_record(KEYS, OTHER.stored, BODY.record)


def test_the_payload_nonce_of_another_file() -> None:
    nonce = OTHER.stored[age.PADDED_SIZE : HEADER_SIZE]
    forged = BODY.stored[: age.PADDED_SIZE] + nonce + BODY.stored[HEADER_SIZE:]
    with pytest.raises(Tampered):
        by_header(KEYS, forged)


@pytest.mark.parametrize("kept", range(4))
def test_a_body_cut_at_a_chunk_s_boundary(kept: int) -> None:
    both_refuse(BODY.stored[: HEADER_SIZE + kept * SEALED_CHUNK])


@pytest.mark.parametrize("kept", range(4))
@pytest.mark.parametrize("more", [-1, 1, TAG, TAG + 1])
def test_a_body_cut_beside_a_chunk_s_boundary(kept: int, more: int) -> None:
    both_refuse(BODY.stored[: HEADER_SIZE + kept * SEALED_CHUNK + more])


@pytest.mark.parametrize("kept", range(HEADER_SIZE))
def test_a_body_cut_within_its_header(kept: int) -> None:
    with pytest.raises(Tampered):
        KEYS.open_header(BODY.stored[:kept])


def test_an_empty_file_cut_to_nothing() -> None:
    empty = sealed_body(KEYS, b"")
    for kept in range(HEADER_SIZE, len(empty.stored)):
        with pytest.raises(Tampered):
            by_header(KEYS, empty.stored[:kept])
    with pytest.raises(Tampered):
        KEYS.body_opener(empty.record.file_key, empty.record.payload_nonce, 0).open(b"", 0)


def test_a_body_made_longer() -> None:
    with pytest.raises(Tampered):
        by_header(KEYS, BODY.stored + b"\0")
    with pytest.raises(Tampered):
        by_header(KEYS, BODY.stored + chunk(BODY, 3))


def test_a_body_forged_with_only_the_public_recovery_recipient() -> None:
    """A whole age file that the recovery identity opens: the vault takes none of it."""
    forged = age.encrypt(age.Recipient(RECIPIENT), b"forged")
    with pytest.raises(Tampered):
        KEYS.open_header(forged[:HEADER_SIZE].ljust(HEADER_SIZE, b"\0"))


def _forged_header(own: bytes) -> bytes:
    """A header of the right size under a file key the attacker chose, for the true recipient."""
    file_key = b"attackers key 16"
    stanzas = own + age.Recipient(RECIPIENT).wrap(file_key).encode()
    return age.seal_header(file_key, stanzas, labels.PADDING_TYPE)


def test_a_padded_body_for_the_recovery_recipient_without_the_vault_s_stanza() -> None:
    header = _forged_header(b"")
    assert len(header) == age.PADDED_SIZE
    with pytest.raises(Tampered):
        KEYS.open_header(header + bytes(16))


def test_a_body_for_the_recovery_recipient_with_another_file_s_stanza_of_the_vault() -> None:
    own = age.parse_header(BODY.stored[: age.PADDED_SIZE]).stanzas[0]
    with pytest.raises(Tampered):
        KEYS.open_header(_forged_header(own.encode()) + bytes(16))


def test_a_body_with_a_stanza_of_the_vault_under_a_key_made_up() -> None:
    own = age.parse_header(BODY.stored[: age.PADDED_SIZE]).stanzas[0]
    made_up = ChaCha20Poly1305(bytes(32)).encrypt(bytes(12), b"attackers key 16", None)
    with pytest.raises(Tampered):
        KEYS.open_header(_forged_header(own._replace(body=made_up).encode()) + bytes(16))


def test_a_stanza_of_the_vault_that_names_another_live_key() -> None:
    parsed = age.parse_header(BODY.stored[: age.PADDED_SIZE])
    own = parsed.stanzas[0]
    (old,) = FIRST.trks
    downgraded = own._replace(arguments=(age.b64(old), own.arguments[1]))
    header = BODY.stored[: age.PADDED_SIZE].replace(own.encode(), downgraded.encode())
    assert len(header) == age.PADDED_SIZE
    with pytest.raises(Tampered):
        KEYS.open_header(header + bytes(16))


def test_a_body_of_another_tenant() -> None:
    stranger = VaultKeys(replace(SECOND, tenant_id="stranger"))  # even under the very same keys
    theirs = sealed_body(stranger, b"theirs")
    with pytest.raises(Tampered):
        KEYS.open_header(theirs.stored[:HEADER_SIZE])
    apart = VaultKeys(Keyring.generate("stranger", RECIPIENT))
    with pytest.raises(UnknownKey):
        KEYS.open_header(sealed_body(apart, b"theirs").stored[:HEADER_SIZE])


# Records and names


def test_a_record_replaced_by_one_under_keys_the_attacker_made() -> None:
    """Key replacement, also when the attacker gives his key the id of the tenant's."""
    forger = Keyring.generate("tenant", RECIPIENT)
    forged = VaultKeys(
        replace(forger, active=SECOND.active, trks={SECOND.active: forger.trks[forger.active]})
    )
    with pytest.raises(Tampered):
        KEYS.open_record(forged.seal_record(BODY.record))
    with pytest.raises(UnknownKey):
        KEYS.open_record(VaultKeys(forger).seal_record(BODY.record))


def test_a_record_of_another_tenant() -> None:
    stranger = VaultKeys(replace(SECOND, tenant_id="stranger"))
    with pytest.raises(Tampered):
        KEYS.open_record(stranger.seal_record(BODY.record))


def test_a_tenant_whose_name_begins_as_another_s() -> None:
    """Associated data are told apart wherever the tenant's name ends."""
    longer = VaultKeys(replace(SECOND, tenant_id="tenant\1"))
    with pytest.raises(Tampered):
        KEYS.open_record(longer.seal_record(BODY.record))


def test_no_label_of_associated_data_begins_with_another() -> None:
    """So that label and tenant id, side by side, can be read in one way only."""
    begin = [labels.RECORD, labels.SPILL, labels.INTENT, labels.KEYRING, labels.FILE_KEY]
    pairs = [(one, two) for one in begin for two in begin if one is not two]
    assert not any(two.startswith(one) for one, two in pairs)


def test_no_label_serves_two_purposes() -> None:
    every = [value for name, value in vars(labels).items() if name.isupper()]
    assert len(every) >= 13
    assert len(set(every)) == len(every)


def test_one_kind_of_sealed_thing_in_the_place_of_another() -> None:
    record = text.decode(KEYS.seal_record(BODY.record))
    spill = KEYS.seal_spill({"a": "b"})
    intent = KEYS.seal_intent(PARENT, 1.0)
    openers: list[Callable[[bytes], object]] = [
        lambda sealed: KEYS.open_record(text.encode(sealed)),
        KEYS.open_spill,
        KEYS.open_intent,
    ]
    for place, sealed in enumerate((record, spill, intent)):
        for other, opener in enumerate(openers):
            if place == other:
                opener(sealed)
            else:
                with pytest.raises(Tampered):
                    opener(sealed)


def test_an_entry_moved_under_another_directory() -> None:
    sealed = KEYS.names.seal(PARENT, "name")
    assert KEYS.names.open(PARENT, sealed) == "name"
    with pytest.raises(Tampered):
        KEYS.names.open(b"e" * 16, sealed)


def test_a_name_of_another_tenant() -> None:
    stranger = VaultKeys(Keyring.generate("stranger", RECIPIENT))
    with pytest.raises(Tampered):
        KEYS.names.open(PARENT, stranger.names.seal(PARENT, "name"))


def test_a_name_has_one_text_only() -> None:
    sealed = KEYS.names.seal(PARENT, "nam")  # 19 bytes: four bits of the text are left over
    variants = {
        sealed + "=",
        sealed + "==",
        sealed + "\n",
        " " + sealed,
        sealed + ".",
        sealed + "A",
    }
    variants |= {sealed[:5] + junk + sealed[5:] for junk in ("*", "\r\n", "=", "\u00e4")}
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/"
    variants |= {sealed[:-1] + last for last in alphabet} - {sealed}
    for variant in variants:
        with pytest.raises(Tampered):
            KEYS.names.open(PARENT, variant)


def test_a_record_of_an_older_or_newer_format() -> None:
    sealed = text.decode(KEYS.seal_record(BODY.record))
    for version in set(range(256)) - {sealed[0]}:
        with pytest.raises(UnknownFormat):
            KEYS.open_record(text.encode(bytes((version,)) + sealed[1:]))


def test_a_record_that_names_another_live_key() -> None:
    sealed = text.decode(KEYS.seal_record(BODY.record))
    (old,) = FIRST.trks
    with pytest.raises(Tampered):
        KEYS.open_record(text.encode(sealed[:1] + old + sealed[5:]))


def test_a_record_longer_than_any_store_keeps_is_refused_unread() -> None:
    with pytest.raises(Tampered):
        KEYS.open_record("A" * 2_000)


# A bit flipped anywhere

small = st.integers(min_value=0)
bits = st.integers(min_value=0, max_value=7)


def flipped(sealed: bytes, place: int, bit: int) -> bytes:
    changed = bytearray(sealed)
    changed[place % len(sealed)] ^= 1 << bit
    return bytes(changed)


def _record_opens(sealed: bytes) -> None:
    KEYS.open_record(text.encode(sealed))


def _name_opens(sealed: bytes) -> None:
    KEYS.names.open(PARENT, text.encode(sealed))


def _spill_opens(sealed: bytes) -> None:
    KEYS.open_spill(sealed)


def _intent_opens(sealed: bytes) -> None:
    KEYS.open_intent(sealed)


def _body_opens(stored: bytes) -> None:
    by_header(KEYS, stored)


def _keyring_opens(sealed: bytes) -> None:
    Keyring.open(sealed, [KEK], "tenant")


SMALL: dict[str, tuple[bytes, Callable[[bytes], None]]] = {
    "record": (text.decode(KEYS.seal_record(BODY.record)), _record_opens),
    "name": (text.decode(KEYS.names.seal(PARENT, "a name")), _name_opens),
    "spill": (KEYS.seal_spill({"{urn:x}a": "b"}), _spill_opens),
    "intent": (KEYS.seal_intent(PARENT, 1.5), _intent_opens),
    "body": (sealed_body(KEYS, b"some content").stored, _body_opens),
    "keyring": (SEALED_SECOND, _keyring_opens),
}


@pytest.mark.parametrize("what", SMALL)
def test_a_bit_flipped_in_any_byte(what: str) -> None:
    sealed, opens = SMALL[what]
    opens(sealed)
    for place in range(len(sealed)):
        with pytest.raises(CryptoError):
            opens(flipped(sealed, place, place % 8))


@pytest.mark.parametrize("what", SMALL)
def test_small_things_cut_anywhere(what: str) -> None:
    sealed, opens = SMALL[what]
    for kept in range(len(sealed)):
        with pytest.raises(CryptoError):
            opens(sealed[:kept])


@pytest.mark.parametrize("what", SMALL)
@settings(max_examples=60)
@given(place=small, bit=bits, more=st.binary(max_size=3), place_of_more=small)
def test_any_bits_flipped_and_any_bytes_put_in(
    what: str, place: int, bit: int, more: bytes, place_of_more: int
) -> None:
    sealed, opens = SMALL[what]
    at = place_of_more % (len(sealed) + 1)
    changed = flipped(sealed[:at] + more + sealed[at:], place, bit)
    if changed != sealed:
        with pytest.raises(CryptoError):
            opens(changed)


@pytest.mark.parametrize("text_of", ["record", "name"])
@settings(max_examples=100)
@given(place=small, character=st.characters())
def test_any_character_changed_in_a_text(text_of: str, place: int, character: str) -> None:
    if text_of == "record":
        sealed, opens = KEYS.seal_record(BODY.record), KEYS.open_record
    else:
        sealed = KEYS.names.seal(PARENT, "name")
        opens = lambda changed: KEYS.names.open(PARENT, changed)  # type: ignore[assignment,return-value] # noqa: E731
    at = place % len(sealed)
    changed = sealed[:at] + character + sealed[at + 1 :]
    if changed != sealed:
        with pytest.raises(CryptoError):
            opens(changed)


@settings(max_examples=60)
@given(place=small, bit=bits)
def test_a_bit_flipped_anywhere_in_a_body_of_several_chunks(place: int, bit: int) -> None:
    at = HEADER_SIZE + place % (len(BODY.stored) - HEADER_SIZE)
    both_refuse(flipped(BODY.stored, at, bit))


# Keyrings


def test_the_newest_keyring_wins() -> None:
    stored = {1: SEALED_FIRST, 2: SEALED_SECOND}
    assert newest(stored, [KEK], "tenant") == SECOND


def test_an_older_keyring_in_the_place_of_the_newest() -> None:
    with pytest.raises(Tampered, match="number"):
        newest({1: SEALED_FIRST, 2: SEALED_FIRST}, [KEK], "tenant")


def test_an_older_keyring_above_the_newest() -> None:
    with pytest.raises(Tampered, match="number"):
        newest({1: SEALED_FIRST, 2: SEALED_SECOND, 3: SEALED_FIRST}, [KEK], "tenant")


def test_the_newest_keyring_taken_away_is_noticed_by_who_has_seen_it() -> None:
    with pytest.raises(Tampered, match="rolled back"):
        newest({1: SEALED_FIRST}, [KEK], "tenant", seen=SEALED_SECOND)


def test_a_keyring_forked_at_its_predecessor() -> None:
    """Both made by the bridge itself, as after a backup was restored: they do not follow."""
    again = Keyring.generate("tenant", RECIPIENT).seal(KEK)
    with pytest.raises(Tampered, match="follow"):
        newest({1: again, 2: SEALED_SECOND}, [KEK], "tenant")


def test_a_keyring_forked_beside_the_one_seen() -> None:
    fork = FIRST.with_new_trk(SEALED_FIRST).seal(KEK)
    with pytest.raises(Tampered, match="forked"):
        newest({1: SEALED_FIRST, 2: fork}, [KEK], "tenant", seen=SEALED_SECOND)


def test_a_fork_hidden_by_taking_away_what_would_show_it() -> None:
    fork = FIRST.with_new_trk(SEALED_FIRST)
    sealed_fork = fork.seal(KEK)
    after = fork.with_new_trk(sealed_fork)
    last = after.with_new_trk(after.seal(KEK)).seal(KEK)
    stored = {1: SEALED_FIRST, 2: SEALED_SECOND, 4: last}
    with pytest.raises(Tampered, match="missing"):
        newest(stored, [KEK], "tenant", seen=SEALED_SECOND)


def test_one_who_has_seen_an_older_keyring_takes_the_newer() -> None:
    stored = {1: SEALED_FIRST, 2: SEALED_SECOND}
    for seen in (SEALED_FIRST, SEALED_SECOND):
        assert newest(stored, [KEK], "tenant", seen=seen) == SECOND


def test_a_fork_further_down() -> None:
    third = SECOND.with_new_trk(SEALED_SECOND).seal(KEK)
    fork = FIRST.with_new_trk(SEALED_FIRST).seal(KEK)
    with pytest.raises(Tampered, match="follow"):
        newest({1: SEALED_FIRST, 2: fork, 3: third}, [KEK], "tenant")


def test_a_keyring_of_another_tenant() -> None:
    theirs = Keyring.generate("stranger", RECIPIENT).seal(KEK)
    with pytest.raises(Tampered):
        newest({1: theirs}, [KEK], "tenant")


def test_a_keyring_under_a_key_encryption_key_the_attacker_made() -> None:
    """It is passed over: it takes nobody in, and keeps nobody out."""
    mine = Kek(os.urandom(32))
    forged = replace(SECOND, number=3, previous=hashlib.sha256(SEALED_SECOND).digest()).seal(mine)
    stored = {1: SEALED_FIRST, 2: SEALED_SECOND, 3: forged}
    assert newest(stored, [KEK], "tenant") == SECOND
    with pytest.raises(UnknownKey, match=mine.id.hex()):
        newest({3: forged}, [KEK], "tenant")


def test_a_keyring_of_an_older_or_newer_format() -> None:
    for version in set(range(256)) - {SEALED_FIRST[4]}:
        changed = SEALED_FIRST[:4] + bytes((version,)) + SEALED_FIRST[5:]
        with pytest.raises(UnknownFormat):
            Keyring.open(changed, [KEK], "tenant")


def test_a_damaged_newest_keyring_is_not_passed_over_for_an_older_one() -> None:
    for damaged in (b"", SEALED_SECOND[:-1], flipped(SEALED_SECOND, 100, 0)):
        with pytest.raises(Tampered):
            newest({1: SEALED_FIRST, 2: damaged}, [KEK], "tenant")
