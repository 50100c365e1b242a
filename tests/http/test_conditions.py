"""Preconditions as RFC 9110, section 13 has them."""

from __future__ import annotations

import pytest

from bridge.http.conditions import Conditions, range_still_valid
from bridge.http.dates import http_date
from bridge.http.errors import Refused

NOW = 1_700_000_000
LATER = http_date(NOW + 10)
THEN = http_date(NOW)
EARLIER = http_date(NOW - 10)


def check(headers: dict[str, str], *, exists: bool = True, read: bool = True) -> int:
    """200 for go on, 304, or the refusal's status."""
    conditions = Conditions.of(headers)
    assert conditions is not None
    try:
        etag = "abc-1" if exists else ""
        go_on = conditions.check(exists=exists, etag=etag, mtime=NOW + 0.5, read=read)
    except Refused as refused:
        return refused.status
    return 200 if go_on else 304


@pytest.mark.parametrize(
    ("headers", "exists", "read", "status"),
    [
        ({"If-Match": '"abc-1"'}, True, False, 200),
        ({"If-Match": '"x", "abc-1"'}, True, False, 200),
        ({"If-Match": "abc-1"}, True, False, 200),
        ({"If-Match": '"x"'}, True, False, 412),
        ({"If-Match": 'W/"abc-1"'}, True, False, 412),
        ({"If-Match": "*"}, True, False, 200),
        ({"If-Match": "*"}, False, False, 412),
        ({"If-Match": '"x"'}, False, True, 412),
        ({"If-None-Match": "*"}, True, False, 412),
        ({"If-None-Match": "*"}, False, False, 200),
        ({"If-None-Match": '"abc-1"'}, True, False, 412),
        ({"If-None-Match": '"abc-1"'}, True, True, 304),
        ({"If-None-Match": 'W/"abc-1"'}, True, True, 304),
        ({"If-None-Match": '"x"'}, True, True, 200),
        ({"If-Modified-Since": THEN}, True, True, 304),
        ({"If-Modified-Since": LATER}, True, True, 304),
        ({"If-Modified-Since": EARLIER}, True, True, 200),
        ({"If-Modified-Since": THEN}, True, False, 200),
        ({"If-Modified-Since": "yesterday"}, True, True, 200),
        ({"If-None-Match": '"x"', "If-Modified-Since": LATER}, True, True, 200),
        ({"If-Unmodified-Since": THEN}, True, False, 200),
        ({"If-Unmodified-Since": EARLIER}, True, False, 412),
        ({"If-Unmodified-Since": "never"}, True, False, 200),
        ({"If-Match": '"abc-1"', "If-Unmodified-Since": EARLIER}, True, False, 200),
    ],
)
def test_conditions_are_evaluated_in_the_order_of_the_rfc(
    headers: dict[str, str], exists: bool, read: bool, status: int
) -> None:
    assert check(headers, exists=exists, read=read) == status


def test_no_conditional_header_makes_no_conditions() -> None:
    assert Conditions.of({"Range": "bytes=0-1"}) is None


@pytest.mark.parametrize(
    ("if_range", "valid"),
    [
        ('"abc-1"', True),
        ('"abc"', False),
        ('W/"abc-1"', False),
        (THEN, True),
        (LATER, False),
        ("nonsense", False),
    ],
)
def test_a_range_is_served_only_of_the_version_if_range_names(if_range: str, valid: bool) -> None:
    assert range_still_valid(if_range, "abc-1", NOW) is valid
