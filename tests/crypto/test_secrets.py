"""Secrets sealed under the operator's key, each for one tenant and one purpose."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bridge.crypto.errors import CryptoError, Tampered, UnknownFormat, UnknownKey
from bridge.crypto.keyring import Kek, Keyring
from bridge.crypto.secrets import open_secret, seal_secret, sealed_under
from tests.crypto import reader
from tests.crypto.sample import new_keyring

KEY = bytes(range(32))
KEK, OTHER = Kek(KEY), Kek(b"2" * 32)
PLAIN = b"1GrantOfATenant"
SEALED = seal_secret(KEK, "grant", "tenant", PLAIN)

GOLDEN = bytes.fromhex(
    "5342534501326c7b7a7cad4fd8000000000000000000000000000000000000000000000000"
    "43a6cc27efb1ff02d3fd9e56e16bfe6777448dae8957331f19c633843d30d7"
)
"""Made once; what is sealed so must open for ever."""


def test_a_secret_opens_as_it_was() -> None:
    assert open_secret((OTHER, KEK), "grant", "tenant", SEALED) == PLAIN
    assert open_secret((KEK,), "grant", "tenant", seal_secret(KEK, "grant", "tenant", b"")) == b""


def test_a_secret_sealed_by_the_first_release_opens() -> None:
    sealed = seal_secret(KEK, "grant", "tenant", PLAIN, bytes)
    assert sealed == GOLDEN
    assert open_secret((KEK,), "grant", "tenant", GOLDEN) == PLAIN


def test_the_format_document_says_all_that_opening_it_needs() -> None:
    clear, nonce, sealed = SEALED[:13], SEALED[13:37], SEALED[37:]
    key_id = HKDF(SHA256(), 8, b"", b"storj-bridge/v1/kek-id").derive(KEY)
    assert clear == b"SBSE\1" + key_id
    label = b"storj-bridge/v1/secret"
    aad = label + b"grant" + b"\0" + b"tenant" + clear
    assert reader.xaes_open(reader.derive(KEY, label), nonce, sealed, aad) == PLAIN


def test_sealing_twice_gives_two_texts() -> None:
    assert seal_secret(KEK, "grant", "tenant", PLAIN) != SEALED


def test_it_says_under_which_key_it_is() -> None:
    assert sealed_under(SEALED) == KEK.id


def test_a_key_that_is_not_at_hand_is_named() -> None:
    with pytest.raises(UnknownKey, match="the grant of tenant tenant") as caught:
        open_secret((OTHER,), "grant", "tenant", SEALED)
    assert caught.value.key_id == KEK.id.hex()
    assert KEK.id.hex() in str(caught.value)


@pytest.mark.parametrize(
    ("purpose", "tenant"),
    [("grant", "other"), ("job", "tenant"), ("", "tenant"), ("grant", ""), ("gran", "ttenant")],
)
def test_it_opens_for_its_own_tenant_and_purpose_alone(purpose: str, tenant: str) -> None:
    with pytest.raises(Tampered):
        open_secret((KEK,), purpose, tenant, SEALED)


def test_no_purpose_reaches_into_the_tenant() -> None:
    sealed = seal_secret(KEK, "a", "b\0c", PLAIN)
    with pytest.raises(Tampered):
        open_secret((KEK,), "a", "c", sealed)
    with pytest.raises(ValueError, match="NUL"):
        seal_secret(KEK, "a\0b", "c", PLAIN)


def test_a_bit_flipped_anywhere_is_found() -> None:
    for place in range(len(SEALED)):
        changed = bytearray(SEALED)
        changed[place] ^= 1
        with pytest.raises(CryptoError):
            open_secret((KEK,), "grant", "tenant", bytes(changed))


def test_a_cut_anywhere_is_found() -> None:
    for size in range(len(SEALED)):
        with pytest.raises(Tampered):
            open_secret((KEK,), "grant", "tenant", SEALED[:size])


def test_another_format_is_not_guessed_at() -> None:
    for version in (0, 2, 255):
        with pytest.raises(UnknownFormat):
            open_secret((KEK,), "grant", "tenant", SEALED[:4] + bytes((version,)) + SEALED[5:])


def test_a_keyring_and_a_secret_are_not_taken_for_each_other() -> None:
    with pytest.raises(Tampered):
        open_secret((KEK,), "grant", "tenant", new_keyring().seal(KEK))
    with pytest.raises(Tampered):
        Keyring.open(SEALED, (KEK,), "tenant")
    relabelled = b"SBKR" + SEALED[4:]
    with pytest.raises(Tampered):
        Keyring.open(relabelled, (KEK,), "tenant")
