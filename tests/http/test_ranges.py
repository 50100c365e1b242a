"""Byte ranges as RFC 9110, section 14 has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.http.errors import Refused
from bridge.http.ranges import MOST, parse_range


@pytest.mark.parametrize(
    ("header", "size", "ranges"),
    [
        ("bytes=0-0", 10, [(0, 1)]),
        ("bytes=2-5", 10, [(2, 4)]),
        ("bytes=5-", 10, [(5, 5)]),
        ("bytes=-3", 10, [(7, 3)]),
        ("bytes=-30", 10, [(0, 10)]),
        ("bytes=5-999", 10, [(5, 5)]),
        ("Bytes = 1-2", 10, [(1, 2)]),
        ("bytes=0-0,-1", 10, [(0, 1), (9, 1)]),
        ("bytes=8-9,0-1", 10, [(8, 2), (0, 2)]),
        ("bytes=0-4,3-6", 10, [(0, 7)]),
        ("bytes=0-4,5-6", 10, [(0, 7)]),
        ("bytes=1-2,50-60", 10, [(1, 2)]),
    ],
)
def test_a_range_within_the_content_is_taken(
    header: str, size: int, ranges: list[tuple[int, int]]
) -> None:
    assert parse_range(header, size) == ranges


@pytest.mark.parametrize(
    "header", ["items=0-1", "bytes=", "bytes=a-b", "bytes=5-2", "bytes", "bytes=1-2;3", "bytes=--1"]
)
def test_what_is_no_byte_range_means_the_whole(header: str) -> None:
    assert parse_range(header, 10) is None


def test_too_many_ranges_mean_the_whole() -> None:
    header = "bytes=" + ",".join(f"{n * 3}-{n * 3}" for n in range(MOST + 1))
    assert parse_range(header, 1000) is None


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_a_range_outside_is_refused_with_the_size(header: str, size: int) -> None:
    with pytest.raises(Refused) as refused:
        parse_range(header, size)
    assert refused.value.status == 416
    assert refused.value.headers["Content-Range"] == f"bytes */{size}"


@given(st.text(alphabet="0123456789-,= bytes", max_size=40), st.integers(0, 1000))
def test_no_header_yields_bytes_outside_or_twice(header: str, size: int) -> None:
    try:
        ranges = parse_range("bytes=" + header, size) or []
    except Refused:
        return
    assert all(start >= 0 and length > 0 and start + length <= size for start, length in ranges)
    assert sum(length for _, length in ranges) <= size
