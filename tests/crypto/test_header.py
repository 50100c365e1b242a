"""The header of every body: one size, opened by the vault's own stanza and nothing else."""

from __future__ import annotations

import pytest

from bridge.crypto import age, labels
from bridge.crypto.errors import Tampered, UnknownKey
from bridge.crypto.vault import VaultKeys
from tests.crypto.sample import new_keyring

KEYRING = new_keyring()
KEYS = VaultKeys(KEYRING)
SEALER = KEYS.new_body()
OWN = age.parse_header(SEALER.header[: age.PADDED_SIZE]).stanzas[0]
KID = age.b64(KEYRING.active)
SALT = age.b64(bytes(24))


def remade(stanzas: bytes) -> bytes:
    """A header of these stanzas, with a right MAC under the file's key, and its nonce."""
    header = age.seal_header(SEALER.file_key, stanzas, labels.PADDING_TYPE)
    return header + SEALER.payload_nonce


def test_it_gives_back_what_a_lost_record_held() -> None:
    assert KEYS.open_header(SEALER.header) == (SEALER.file_key, SEALER.payload_nonce)
    assert KEYS.open_header(remade(OWN.encode())) == (SEALER.file_key, SEALER.payload_nonce)


def test_it_has_one_size_and_three_stanzas_whatever_the_tenant() -> None:
    for tenant_id in ("t", "a-tenant-with-a-much-longer-name"):
        header = VaultKeys(new_keyring(tenant_id)).new_body().header[: age.PADDED_SIZE]
        assert len(header) == 512
        kinds = [stanza.kind for stanza in age.parse_header(header).stanzas]
        assert kinds == [b"storj-bridge/k", b"X25519", b"storj-bridge/p"]


def test_one_of_before_a_rotation_opens_after_it() -> None:
    rotated = VaultKeys(KEYRING.with_new_trk(b"sealed"))
    assert rotated.open_header(SEALER.header) == (SEALER.file_key, SEALER.payload_nonce)


def test_one_of_after_a_rotation_names_the_key_it_wants() -> None:
    second = KEYRING.with_new_trk(b"sealed")
    with pytest.raises(UnknownKey) as caught:
        KEYS.open_header(VaultKeys(second).new_body().header)
    assert caught.value.key_id == second.active.hex()


def test_a_second_own_stanza_is_refused() -> None:
    with pytest.raises(Tampered):
        KEYS.open_header(remade(OWN.encode() + OWN.encode()))


def test_a_header_without_an_own_stanza_is_refused() -> None:
    recovery = age.Recipient(KEYRING.recipient).wrap(SEALER.file_key)
    with pytest.raises(Tampered):
        KEYS.open_header(remade(recovery.encode()))


MALFORMED = {
    "a body of zeros": ((KID, SALT), bytes(32)),
    "a body too short": ((KID, SALT), bytes(31)),
    "a body too long": ((KID, SALT), bytes(33)),
    "no body": ((KID, SALT), b""),
    "a salt too short": ((KID, age.b64(bytes(23))), bytes(32)),
    "a salt too long": ((KID, age.b64(bytes(25))), bytes(32)),
    "a key id too short": ((age.b64(bytes(3)), SALT), bytes(32)),
    "a salt twice": ((KID, SALT, SALT), bytes(32)),
    "no salt": ((KID,), bytes(32)),
    "no arguments": ((), bytes(32)),
    "a salt of padding": ((KID, b"=" * 32), bytes(32)),
    "a salt that ends in padding": ((KID, b"A" * 31 + b"="), bytes(32)),
}


@pytest.mark.parametrize(("arguments", "body"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_own_stanza_is_refused(arguments: tuple[bytes, ...], body: bytes) -> None:
    with pytest.raises(Tampered):
        KEYS.open_header(remade(age.Stanza(labels.STANZA_TYPE, arguments, body).encode()))


def test_a_cut_or_longer_header_is_refused() -> None:
    for size in range(len(SEALER.header)):
        with pytest.raises(Tampered):
            KEYS.open_header(SEALER.header[:size])
    with pytest.raises(Tampered):
        KEYS.open_header(SEALER.header + b"\0")
