"""Documents: only plain items, and whatever else comes ends as Tampered or UnknownFormat."""

from __future__ import annotations

import tracemalloc
from typing import Any

import cbor2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.crypto import cbor
from bridge.crypto.errors import CryptoError, Tampered, UnknownFormat
from bridge.crypto.record import Record
from bridge.crypto.vault import VaultKeys
from tests.crypto.sample import a_file, new_keyring

TYPES: dict[int, type] = {0: int, 1: bytes, 2: str, 3: dict, 4: list}
FIELDS = {0: 7, 1: b"seven", 2: "sieben", 3: {"a": "b"}, 4: [1]}


def field(number: int, value: bytes) -> bytes:
    """A document of one field, its value already encoded."""
    return b"\xa1" + bytes((number,)) + value


def refused(data: bytes) -> None:
    with pytest.raises(Tampered):
        cbor.decode(data, TYPES, "document")


def test_a_document_comes_back_as_it_was() -> None:
    assert cbor.decode(cbor.encode(FIELDS), TYPES, "document") == FIELDS


def test_a_document_has_one_form_whatever_the_order_of_its_fields() -> None:
    backwards = dict(reversed(FIELDS.items()))
    assert cbor.encode(backwards) == cbor.encode(FIELDS)


@pytest.mark.parametrize("more", [b"\0", b"\xf6", b"\xff", b"\xa0", cbor.encode(FIELDS)])
def test_bytes_after_the_document_are_refused(more: bytes) -> None:
    refused(cbor.encode(FIELDS) + more)


def test_a_document_cut_anywhere_is_refused() -> None:
    data = cbor.encode(FIELDS)
    for size in range(len(data)):
        refused(data[:size])


@pytest.mark.parametrize("tag", [*range(300), 1004, 43_000, 55_799, 65_535, 1 << 31])
def test_a_tagged_item_is_refused(tag: int) -> None:
    head = cbor2.dumps(cbor2.CBORTag(tag, 0))[:-1]
    # What each tag would be put before, so that it is the tag that is refused.
    for content in (0, 1.5, b"\1", "2013-03-21", [1, 2], {"a": "b"}):
        item = head + cbor2.dumps(content)
        if tag in (2, 3) and isinstance(content, bytes):
            assert cbor.decode(field(0, item), TYPES, "document") == {0: 1 if tag == 2 else -2}
            continue
        for number in TYPES:
            refused(field(number, item))
        refused(field(4, b"\x81" + item))
        refused(item)


def test_a_reference_to_a_shared_item_is_refused() -> None:
    refused(field(4, bytes.fromhex("d81c81d81d00")))  # a list that holds itself
    refused(bytes.fromhex("d81ca104d81d00"))


@pytest.mark.parametrize(
    "item",
    ["5f41614162ff", "7f61616162ff", "9f01ff", "bf616101ff"],
    ids=["bytes", "text", "array", "map"],
)
def test_an_item_of_indefinite_length_is_refused(item: str) -> None:
    for number in TYPES:
        refused(field(number, bytes.fromhex(item)))


def test_a_map_of_indefinite_length_is_refused() -> None:
    refused(b"\xbf\x00\x01\xff")


def test_a_field_that_stands_there_twice_is_refused() -> None:
    refused(bytes.fromhex("a200010002"))
    refused(bytes.fromhex("a20001180002"))  # once in a longer form
    refused(field(3, bytes.fromhex("a2616101616102")))


@pytest.mark.parametrize("item", ["f97e00", "f93c00", "fb3ff8000000000000", "f4", "f5", "f6", "f7"])
def test_floats_and_simple_values_are_no_field(item: str) -> None:
    for number in TYPES:
        refused(field(number, bytes.fromhex(item)))


@pytest.mark.parametrize(
    "item", ["e0", "f8ff", "ff", "1c", "3f", "fc", "f818", "61ff", "62c328", "63eda080"]
)
def test_what_is_not_well_formed_is_refused(item: str) -> None:
    for number in TYPES:
        refused(field(number, bytes.fromhex(item)))


@pytest.mark.parametrize("head", [b"\x81", b"\xa1", b"\xa1\x00", b"\xc2", b"\xd8\x1c", b"\x9f"])
@pytest.mark.parametrize("depth", [5, 900, 100_000])
def test_deep_nesting_is_refused(head: bytes, depth: int) -> None:
    refused(head * depth + b"\0")
    for number in (3, 4):
        refused(field(number, head * depth + b"\0"))


@pytest.mark.parametrize("major", [0x40, 0x60, 0x80, 0xA0])
@pytest.mark.parametrize("length", [1 << 16, 1 << 31, (1 << 32) - 1, 1 << 62, (1 << 64) - 1])
def test_a_length_that_is_not_there_takes_no_memory(major: int, length: int) -> None:
    data = bytes((major | 27,)) + length.to_bytes(8, "big")
    tracemalloc.start()
    try:
        refused(data)
        for number in TYPES:
            refused(field(number, data))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_a_field_of_a_newer_format_is_refused_whole() -> None:
    keys: tuple[object, ...] = (5, -1, 1 << 70, "0", b"0", True, False, None, 1.0)
    for key in keys:
        with pytest.raises(UnknownFormat):
            cbor.decode(cbor2.dumps({key: 1}), TYPES, "document")


def test_a_huge_integer_as_a_field_s_number_is_refused() -> None:
    data = b"\xa1" + cbor2.dumps(1 << 100_000) + b"\0"
    with pytest.raises(UnknownFormat):
        cbor.decode(data, TYPES, "document")


@pytest.mark.parametrize("other", [7, "map", b"map", [1, 2], None, 1.5])
def test_what_is_no_map_is_refused(other: object) -> None:
    refused(cbor2.dumps(other))


@settings(max_examples=300)
@given(st.binary(max_size=80))
@example(b"\xa1\xf6\x00")
@example(b"\xa1\x80\x00")
def test_any_bytes_are_a_document_or_refused(data: bytes) -> None:
    try:
        found = cbor.decode(data, TYPES, "document")
    except CryptoError:
        return
    assert all(type(found[number]) is TYPES[number] for number in found)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300)
@given(st.dictionaries(st.integers(0, 14), plain, max_size=8))
def test_any_map_is_a_record_or_refused(fields: dict[int, Any]) -> None:
    data = cbor2.dumps({**cbor2.loads(a_file().encode()), **fields})
    try:
        record = Record.decode(data)
    except CryptoError:
        return
    assert Record.decode(record.encode()) == record


@settings(max_examples=300)
@given(st.data())
def test_a_record_changed_before_it_was_sealed_is_a_record_or_refused(data: st.DataObject) -> None:
    encoded = bytearray(a_file(properties={"{urn:x}a": "b"}).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        record = Record.decode(bytes(encoded))
    except CryptoError:
        return
    assert Record.decode(record.encode()) == record


@settings(max_examples=200)
@given(plain)
def test_any_spill_or_intent_opens_or_is_refused(content: object) -> None:
    keys = VaultKeys(new_keyring())
    for label, opens in (
        (b"storj-bridge/v1/spill", keys.open_spill),
        (b"storj-bridge/v1/intent", keys.open_intent),
    ):
        for document in (content, {0: content}, {0: b"i" * 16, 1: content}):
            sealed = keys.sealing()._seal(label, cbor2.dumps(document))
            try:
                found = opens(sealed)
            except CryptoError:
                continue
            assert isinstance(found, dict | tuple)


def test_a_time_past_64_bits_of_nanoseconds_is_kept() -> None:
    for year_9999 in (253_402_300_799.0, -253_402_300_799.0):
        record = a_file(mtime=year_9999)
        assert Record.decode(record.encode()).mtime == year_9999


@pytest.mark.parametrize("nanoseconds", [(1 << 38) * 10**9 + 1, -(1 << 38) * 10**9 - 1, 1 << 5_000])
def test_a_time_that_cannot_be_is_refused_when_read(nanoseconds: int) -> None:
    with pytest.raises(Tampered):
        cbor.seconds(nanoseconds)
