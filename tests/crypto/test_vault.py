"""Records, spills and intents under a vault's keys, and what must not open."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.crypto.errors import CryptoError, Tampered, UnknownFormat, UnknownKey
from bridge.crypto.keyring import Keyring
from bridge.crypto.record import Record
from bridge.crypto.vault import VaultKeys
from tests.crypto.sample import a_file, new_keyring

KEYRING = new_keyring()
KEYS = VaultKeys(KEYRING)
SPILL = {"{urn:x}a": "<a/>", "{urn:x}b": "\u00e9" * 3_000}


def raw(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def open_raw(keys: VaultKeys, data: bytes) -> Record:
    return keys.open_record(urlsafe_b64encode(data).decode().rstrip("="))


Seal = Callable[[VaultKeys], bytes]
Unseal = Callable[[VaultKeys, bytes], object]

each_document = pytest.mark.parametrize(
    ("seal", "unseal"),
    [
        (lambda keys: raw(keys.seal_record(a_file())), open_raw),
        (lambda keys: keys.seal_spill({"a": "b"}), VaultKeys.open_spill),
        (lambda keys: keys.seal_intent(b"d" * 16, 5.0), VaultKeys.open_intent),
    ],
    ids=["record", "spill", "intent"],
)


def test_a_record_opens_as_it_was() -> None:
    assert KEYS.open_record(KEYS.seal_record(a_file())) == a_file()


def test_a_spill_opens_as_it_was() -> None:
    assert KEYS.open_spill(KEYS.seal_spill(SPILL)) == SPILL
    assert KEYS.open_spill(KEYS.seal_spill({})) == {}


def test_an_intent_opens_as_it_was() -> None:
    sealed = KEYS.seal_intent(b"s" * 16, 1_763_700_000.125)
    assert KEYS.open_intent(sealed) == (b"s" * 16, 1_763_700_000.125)


@each_document
def test_sealing_twice_gives_two_texts(seal: Seal, unseal: Unseal) -> None:
    first, second = seal(KEYS), seal(KEYS)
    assert first != second
    assert unseal(KEYS, first) == unseal(KEYS, second)


@each_document
def test_equal_keys_do_not_make_another_tenant_this_one(seal: Seal, unseal: Unseal) -> None:
    twin = Keyring("twin", 1, b"", KEYRING.tnk, KEYRING.trks, KEYRING.active, KEYRING.recipient)
    with pytest.raises(Tampered):
        unseal(KEYS, seal(VaultKeys(twin)))


@each_document
def test_another_version_is_not_guessed_at(seal: Seal, unseal: Unseal) -> None:
    for version in (0, 2, 255):
        with pytest.raises(UnknownFormat):
            unseal(KEYS, bytes((version,)) + seal(KEYS)[1:])


@each_document
def test_a_key_id_changed_to_that_of_another_live_key_is_found(seal: Seal, unseal: Unseal) -> None:
    second = KEYRING.with_new_trk(b"sealed")
    rotated = VaultKeys(second)
    sealed = seal(rotated)
    assert sealed[1:5] == second.active
    with pytest.raises(Tampered):
        unseal(rotated, sealed[:1] + KEYRING.active + sealed[5:])
    with pytest.raises(UnknownKey) as caught:
        unseal(rotated, sealed[:1] + b"none" + sealed[5:])
    assert caught.value.key_id == b"none".hex()


@pytest.mark.parametrize("junk", ["=", "!", " ", "\n", "\u00e9", "+", "/", "A"])
def test_no_second_text_opens_as_the_same_record(junk: str) -> None:
    sealed = KEYS.seal_record(a_file())
    for place in (0, 40, len(sealed)):
        with pytest.raises(CryptoError):
            KEYS.open_record(sealed[:place] + junk + sealed[place:])


def test_a_last_character_that_decodes_alike_is_found() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for etag in ("", "a", "ab"):  # one of these leaves bits over in the last character
        sealed = KEYS.seal_record(a_file(etag=etag))
        for other in alphabet:
            if other != sealed[-1]:
                with pytest.raises(Tampered):
                    KEYS.open_record(sealed[:-1] + other)


@given(text=st.text(max_size=400))
def test_any_text_is_opened_or_refused_in_words(text: str) -> None:
    with pytest.raises(CryptoError):
        KEYS.open_record(text)


def test_the_root_is_one_for_a_vault_and_another_for_each() -> None:
    assert VaultKeys(KEYRING).root_directory_id == KEYS.root_directory_id
    assert len(KEYS.root_directory_id) == 16
    assert VaultKeys(new_keyring()).root_directory_id != KEYS.root_directory_id
