"""The age format: recipients and identities, headers, whole files, and the stock tool."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bridge.crypto import age
from tests.crypto import reader
from tests.crypto.sample import content
from tests.tools import require_tool


def test_an_identity_and_its_recipient_have_the_forms_of_age() -> None:
    identity, recipient = age.generate_identity(lambda size: bytes(range(size)))
    assert identity.startswith("AGE-SECRET-KEY-1")
    assert len(identity) == 74
    assert recipient.startswith("age1")
    assert len(recipient) == 62
    assert reader.bech32(identity) == bytes(range(32))
    public = X25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()
    assert reader.bech32(recipient) == public.public_bytes_raw()


def test_the_stock_tool_derives_the_same_recipient() -> None:
    keygen = require_tool("age-keygen")
    identity, recipient = age.generate_identity()
    done = subprocess.run(
        [keygen, "-y"], input=identity, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == recipient


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 140_000])
def test_the_stock_tool_opens_a_whole_file(tmp_path: Path, size: int) -> None:
    tool = require_tool("age")
    identity, recipient = age.generate_identity()
    (tmp_path / "identity").write_text(identity)
    sealed = age.encrypt(age.Recipient(recipient), content(size))
    done = subprocess.run(
        [tool, "-d", "-i", str(tmp_path / "identity")],
        input=sealed,
        capture_output=True,
        check=True,
    )
    assert done.stdout == content(size)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1",
        "age1qqqq",
        "AGE1ZVKYG2LQZRAA2LNJVQEJ32NKUU0UES2S82HZRYE869XEEXVN73EQS9U3X5",
        "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwk",
        "ssh-ed25519 AAAA",
        "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0",
        age._bech32_encode("age", bytes(31)),
        age._bech32_encode("agf", bytes(range(32))),
    ],
)
def test_what_is_no_recipient_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="is not an age X25519 recipient"):
        age.Recipient(text)


@pytest.mark.parametrize("point", [bytes(32), b"\1" + bytes(31)], ids=["zero", "one"])
def test_a_recipient_of_low_order_is_refused_before_any_file(point: bytes) -> None:
    with pytest.raises(ValueError):
        age.Recipient(age._bech32_encode("age", point))


def test_one_wrong_character_makes_a_recipient_invalid() -> None:
    _, recipient = age.generate_identity()
    for place in range(4, len(recipient)):
        wrong = "q" if recipient[place] != "q" else "p"
        with pytest.raises(ValueError):
            age.Recipient(recipient[:place] + wrong + recipient[place + 1 :])


def test_every_file_has_an_ephemeral_share_of_its_own() -> None:
    _, recipient = age.generate_identity()
    sealer = age.Recipient(recipient)
    assert len({sealer.wrap(b"k" * 16).arguments for _ in range(50)}) == 50


@pytest.mark.parametrize("size", [0, 1, 47, 48, 49, 96, 100])
def test_a_stanza_is_parsed_as_it_was_encoded(size: int) -> None:
    stanza = age.Stanza(b"type", (b"one", b"two"), bytes(size))
    header = age.seal_header(b"k" * 16, stanza.encode())
    parsed = age.parse_header(header)
    assert parsed.stanzas == [stanza]
    assert parsed.mac == age.header_mac(b"k" * 16, parsed.under_mac)


@pytest.mark.parametrize("size", [30, 98, 299])
def test_padding_brings_a_header_to_one_size(size: int) -> None:
    stanza = age.Stanza(b"t", (b"a" * (size - 7),), b"").encode()
    assert len(stanza) == size
    header = age.seal_header(b"k" * 16, stanza, b"padding")
    assert len(header) == age.PADDED_SIZE
    assert [each.kind for each in age.parse_header(header).stanzas] == [b"t", b"padding"]
