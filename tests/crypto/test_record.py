"""Records: what goes in comes out, and what is not one is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.crypto.cbor import TIME_LIMIT
from bridge.crypto.errors import Tampered, TooLong, UnknownFormat
from bridge.crypto.record import RECORD_ROOM, SIZE_LIMIT, Kind, Record, SpillRef
from bridge.store.api import METADATA_LIMIT
from tests.crypto.sample import a_file, new_vault

ids = st.binary(min_size=16, max_size=16)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
times = st.floats(2.0**23, 253_402_300_799, allow_nan=False) | st.integers(-(10**9), 10**9).map(
    float
)

files = st.builds(
    Record,
    kind=st.just(Kind.FILE),
    object_id=ids,
    size=st.integers(0, SIZE_LIMIT - 1),
    mtime=times,
    created=times,
    etag=texts,
    content_type=texts,
    file_key=ids,
    payload_nonce=ids,
    shown_name=texts,
    properties=st.dictionaries(texts, texts, max_size=4),
    spill=st.none() | st.builds(SpillRef, ids, st.binary(min_size=32, max_size=32)),
    body=st.just(b"") | ids,
    checksums=st.dictionaries(texts, st.binary(max_size=32), max_size=3),
)
directories = st.builds(
    Record,
    kind=st.just(Kind.DIRECTORY),
    object_id=ids,
    created=times,
    shown_name=texts,
    properties=st.dictionaries(texts, texts, max_size=4),
)


def encoded(**changes: object) -> bytes:
    """A file's record with fields changed by their key (``k3=…``) or, with None, left out."""
    fields = cbor2.loads(a_file().encode())
    fields.update({int(name[1:]): value for name, value in changes.items()})
    return cbor2.dumps({key: value for key, value in fields.items() if value is not None})


@given(record=files | directories)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    assert Record.decode(record.encode()) == record


@given(record=files | directories)
def test_encoding_is_canonical(record: Record) -> None:
    data = record.encode()
    assert cbor2.dumps(cbor2.loads(data), canonical=True) == data


@given(seconds=st.floats(2.0**23, float(TIME_LIMIT - 1)))
def test_a_time_after_april_1970_survives_to_the_last_bit(seconds: float) -> None:
    assert Record.decode(a_file(mtime=seconds, created=seconds).encode()).mtime == seconds


@given(seconds=st.floats(-(2.0**23), 2.0**23))
def test_an_earlier_time_survives_to_the_nanosecond(seconds: float) -> None:
    kept = Record.decode(a_file(mtime=seconds).encode()).mtime
    assert math.isclose(kept, seconds, rel_tol=0, abs_tol=1e-9)


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf, 1e300, float(TIME_LIMIT)])
def test_a_time_that_cannot_be_kept_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError):
        a_file(mtime=seconds).encode()


def test_a_typical_record_is_short() -> None:
    record = a_file(shown_name="", checksums={"SHA1": bytes(20)})
    assert len(new_vault().seal_record(record)) < 390


def test_the_largest_record_fills_a_store_s_metadata_and_no_more() -> None:
    keys = new_vault()
    empty = len(a_file(properties={"p": "x" * 300}).encode()) - 300
    largest = a_file(properties={"p": "x" * (RECORD_ROOM - empty)})
    assert len(largest.encode()) == RECORD_ROOM
    sealed = keys.seal_record(largest)
    assert len("r") + len(sealed) == METADATA_LIMIT
    assert keys.open_record(sealed) == largest
    with pytest.raises(TooLong):
        keys.seal_record(a_file(properties={"p": "x" * (RECORD_ROOM - empty + 1)}))


def test_a_field_of_a_newer_format_is_not_passed_over() -> None:
    for key in (14, -1, 255, 2**70):
        fields = {**cbor2.loads(a_file().encode()), key: 1}
        with pytest.raises(UnknownFormat):
            Record.decode(cbor2.dumps(fields))


@pytest.mark.parametrize("key", [1.0, True, "1", b"\1"])
def test_a_key_that_only_resembles_a_field_s_is_not_taken_for_it(key: object) -> None:
    fields = {name: value for name, value in cbor2.loads(a_file().encode()).items() if name != 1}
    with pytest.raises(UnknownFormat):
        Record.decode(cbor2.dumps({**fields, key: b"o" * 16}))


@pytest.mark.parametrize("kind", [2, -1, 255, None])
def test_an_unknown_kind_is_of_a_newer_format(kind: int | None) -> None:
    with pytest.raises(UnknownFormat):
        Record.decode(encoded(k0=kind))


@pytest.mark.parametrize("key", range(14))
def test_a_field_of_a_wrong_type_is_refused(key: int) -> None:
    wrong: list[object] = [
        True,
        1.5,
        [[]],
        {"a": 1},
        {1: b""},
        "text" if key in (0, 2, 3, 4) else -1,
    ]
    for value in wrong:
        with pytest.raises(Tampered):
            Record.decode(encoded(**{f"k{key}": value}))


@pytest.mark.parametrize(
    "changes",
    [
        {"k1": b"o" * 15},
        {"k1": b"o" * 17},
        {"k1": None},
        {"k2": -1},
        {"k2": SIZE_LIMIT},
        {"k3": TIME_LIMIT * 10**9 + 1},
        {"k3": 10**400},
        {"k4": -TIME_LIMIT * 10**9 - 1},
        {"k7": b""},
        {"k7": b"k" * 32},
        {"k8": None},
        {"k11": [b"x" * 16]},
        {"k11": [b"x" * 15, b"d" * 32]},
        {"k11": [b"x" * 16, b"d" * 31]},
        {"k11": ["x" * 16, b"d" * 32]},
        {"k12": b"b" * 15},
        {"k13": {"MD5": "text"}},
    ],
    ids=str,
)
def test_an_impossible_value_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Tampered):
        Record.decode(encoded(**changes))


@pytest.mark.parametrize("field", ["k2", "k7", "k8", "k12"])
def test_a_directory_has_no_content(field: str) -> None:
    fields = {0: 1, 1: b"d" * 16, int(field[1:]): 5 if field == "k2" else b"x" * 16}
    with pytest.raises(Tampered):
        Record.decode(cbor2.dumps(fields))


@pytest.mark.parametrize("junk", [b"\0", b"\xa0", b"\xff"])
def test_bytes_after_a_record_are_refused(junk: bytes) -> None:
    with pytest.raises(Tampered):
        Record.decode(a_file().encode() + junk)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\x80",
        b"\x01",
        b"\x9b" + b"\xff" * 8,
        b"\x81" * 900,
        b"\xbf",
        b"\xd8\x23\x61(",
    ],
)
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(Tampered):
        Record.decode(data)


def test_a_record_cut_anywhere_is_refused() -> None:
    data = a_file(properties={"a": "b"}).encode()
    for size in range(len(data)):
        with pytest.raises(Tampered):
            Record.decode(data[:size])


@pytest.mark.parametrize(
    "changes", [{"object_id": b"short"}, {"size": -1}, {"file_key": b""}, {"body": b"x"}], ids=str
)
def test_a_record_that_would_not_open_again_is_never_written(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        a_file(**changes).encode()


def test_a_record_in_a_log_line_shows_neither_keys_nor_names() -> None:
    record = replace(
        a_file(), shown_name="secret name", properties={"{x}p": "secret value"}, file_key=b"K" * 16
    )
    shown = repr(record)
    assert "secret" not in shown
    assert "KKKK" not in shown
