"""Names: one form in every Python, sealed for one directory, and no two texts for one name."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from unicodedata import ucd_3_2_0

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from bridge.crypto.errors import Tampered, TooLong
from bridge.crypto.names import NAME_ROOM, NameCipher, normalize
from tests.crypto.sample import new_vault

VECTORS = Path(__file__).parent / "vectors"
PARENT, OTHER = b"p" * 16, b"q" * 16
NAMES = NameCipher(bytes(range(64)))

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)


def check_vector(case: dict[str, str], sealed: bytes, data: list[bytes]) -> None:
    siv = NameCipher(bytes.fromhex(case["key"]))._siv
    message = bytes.fromhex(case["msg"])
    if case["result"] == "valid":
        assert siv.encrypt(message, data) == sealed
        assert siv.decrypt(sealed, data) == message
    else:
        with pytest.raises(InvalidTag):
            siv.decrypt(sealed, data)


def test_aes_siv_with_one_associated_datum_does_what_wycheproof_says() -> None:
    (group,) = json.loads((VECTORS / "aes_siv_cmac_512.json").read_text())["testGroups"]
    assert len(group["tests"]) == 147
    for case in group["tests"]:
        check_vector(case, bytes.fromhex(case["ct"]), [bytes.fromhex(case["aad"])])


def test_aes_siv_with_two_associated_data_does_what_wycheproof_says() -> None:
    cases = json.loads((VECTORS / "aead_aes_siv_cmac_512.json").read_text())
    assert len(cases) == 300
    for case in cases:
        data = [bytes.fromhex(case["aad"]), bytes.fromhex(case["iv"])]
        check_vector(case, bytes.fromhex(case["tag"] + case["ct"]), data)


@given(name=names)
def test_a_name_opens_as_its_normalized_form(name: str) -> None:
    assert NAMES.open(PARENT, NAMES.seal(PARENT, name)) == normalize(name)


@given(name=names)
def test_normalizing_twice_changes_nothing(name: str) -> None:
    assert normalize(normalize(name)) == normalize(name)


def test_the_forms_of_a_name_seal_alike() -> None:
    assert NAMES.seal(PARENT, "Cafe\u0301") == NAMES.seal(PARENT, "Caf\u00e9")


@pytest.mark.parametrize(
    "apart",
    [
        "\u1b05\u1b35",  # Balinese, composed since Unicode 5.0
        "\U000114b9\U000114ba",  # Tirhuta, 7.0
        "\U00011935\U00011930",  # Dives Akuru, 13.0
        "\U000105d2\u0307",  # Todhri, 16.0: younger than some Pythons, on a mark that 3.2 knows
    ],
    ids=ascii,
)
def test_what_unicode_3_2_did_not_know_stays_as_it_is(apart: str) -> None:
    assert normalize(apart) == apart
    assert normalize("e\u0301" + apart + "e\u0301") == "\u00e9" + apart + "\u00e9"


def test_every_python_normalizes_alike() -> None:
    """The digest was made with Python 3.11 and agrees on 3.12 and 3.13."""
    digest = hashlib.sha256()
    marks = [chr(c) for c in range(0x300, 0x370)] + ["\u3099", "\u309a", "\u0338", "\u05bc"]
    for code in range(sys.maxunicode + 1):
        if 0xD800 <= code < 0xE000:
            continue
        digest.update(normalize(chr(code)).encode())
    for code in range(0x80, 0x3100):
        for mark in marks:
            digest.update(normalize(chr(code) + mark).encode())
    for name in ("\u1100\u1161\u11a8", "q\u0323\u0307", "q\u0307\u0323", "\u2126\uf951"):
        digest.update(normalize(name).encode())
    assert digest.hexdigest() == "8f8fccfad63462649269948584c9676dffb316ffd09680b0a3010d24afeab0ac"


def test_the_table_is_that_of_unicode_3_2() -> None:
    assert ucd_3_2_0.unidata_version == "3.2.0"


def test_255_bytes_become_362_characters() -> None:
    for name in ("a" * 255, "\u00e9" * 127 + "a", "\U0001f600" * 63 + "abc"):
        assert len(name.encode()) == 255
        assert len(NAMES.seal(PARENT, name)) == 362


def test_the_longest_name_fits_a_store_s_key() -> None:
    assert len(NAMES.seal(PARENT, "a" * NAME_ROOM)) == 1_387
    with pytest.raises(TooLong):
        NAMES.seal(PARENT, "a" * (NAME_ROOM + 1))


def test_any_name_webdav_may_write_can_be_sealed_though_normalizing_lengthens_it() -> None:
    longest = "\U0001d160" * 63
    assert len(normalize(longest).encode()) > 2 * len(longest.encode())
    assert NAMES.open(PARENT, NAMES.seal(PARENT, longest)) == normalize(longest)


@pytest.mark.parametrize("name", ["\ud800", "a\udcff"], ids=ascii)
def test_what_is_not_unicode_cannot_be_sealed(name: str) -> None:
    with pytest.raises(ValueError):
        NAMES.seal(PARENT, name)


def test_an_entry_moved_under_another_directory_does_not_open() -> None:
    sealed = NAMES.seal(PARENT, "name.txt")
    with pytest.raises(Tampered):
        NAMES.open(OTHER, sealed)


def test_a_name_of_another_tenant_does_not_open() -> None:
    ours, theirs = new_vault("a").names, new_vault("b").names
    with pytest.raises(Tampered):
        ours.open(PARENT, theirs.seal(PARENT, "name.txt"))


def test_the_same_name_in_two_directories_looks_different() -> None:
    assert NAMES.seal(PARENT, "name.txt") != NAMES.seal(OTHER, "name.txt")


@pytest.mark.parametrize("name", ["n", "na", "nam", "name.txt"])
def test_a_changed_character_anywhere_is_found(name: str) -> None:
    sealed = NAMES.seal(PARENT, name)
    for place, there in enumerate(sealed):
        for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
            if other != there:
                with pytest.raises(Tampered):
                    NAMES.open(PARENT, sealed[:place] + other + sealed[place + 1 :])


@pytest.mark.parametrize("junk", ["=", "==", "!", " ", "\n", "\u00e9", "A", "AAAA", "+", "/", "\0"])
def test_no_second_text_opens_as_the_same_name(junk: str) -> None:
    sealed = NAMES.seal(PARENT, "name.txt")
    for place in (0, len(sealed) // 2, len(sealed)):
        with pytest.raises(Tampered):
            NAMES.open(PARENT, sealed[:place] + junk + sealed[place:])


def test_the_standard_alphabet_is_not_taken_for_the_url_one() -> None:
    number = 0
    while not {"-", "_"} <= set(sealed := NAMES.seal(PARENT, f"name {number}")):
        number += 1
    for url, standard in (("-", "+"), ("_", "/")):
        with pytest.raises(Tampered):
            NAMES.open(PARENT, sealed.replace(url, standard))


def test_a_name_cut_short_does_not_open() -> None:
    sealed = NAMES.seal(PARENT, "name.txt")
    for size in range(len(sealed)):
        with pytest.raises(Tampered):
            NAMES.open(PARENT, sealed[:size])
