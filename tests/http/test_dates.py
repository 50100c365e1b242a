"""Dates on the wire."""

from __future__ import annotations

from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st

from bridge.http.dates import http_date, iso_date, parse_http_date


@given(st.integers(0, 253402300799))
def test_dates_are_written_as_the_standard_library_would(second: int) -> None:
    assert http_date(second) == formatdate(second, usegmt=True)


@given(st.integers(946684800, 4102444800))
def test_a_written_date_is_read_back(second: int) -> None:
    assert parse_http_date(http_date(second)) == second


def test_all_three_forms_of_http_are_read() -> None:
    assert parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777
    assert parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT") == 784111777
    assert parse_http_date("Sun Nov  6 08:49:37 1994") == 784111777


def test_times_beyond_all_calendars_are_written_as_the_last_that_can_be() -> None:
    assert http_date(10**15) == "Fri, 31 Dec 9999 23:59:59 GMT"
    assert iso_date(10**15) == "9999-12-31T23:59:59Z"
    assert iso_date(0) == "1970-01-01T00:00:00Z"
