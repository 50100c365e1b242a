"""Dates as HTTP and WebDAV write them, fast enough for listings of many thousand entries."""

from __future__ import annotations

import calendar
import time
from email.utils import parsedate
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FIRST = -62135596800  # 0001-01-01
_LAST = 253402300799  # 9999-12-31T23:59:59


@lru_cache(maxsize=512)
def _day(day: int) -> tuple[str, str]:
    """A day since 1970 as IMF-fixdate and as RFC 3339 begin it."""
    t = time.gmtime(day * 86400)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday:02} {_MONTHS[t.tm_mon - 1]} {t.tm_year:04}",
        f"{t.tm_year:04}-{t.tm_mon:02}-{t.tm_mday:02}",
    )


@lru_cache(maxsize=4096)
def http_date(second: int) -> str:
    """IMF-fixdate of RFC 9110, section 5.6.7."""
    day, rest = divmod(min(max(second, _FIRST), _LAST), 86400)
    return f"{_day(day)[0]} {rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02} GMT"


@lru_cache(maxsize=4096)
def iso_date(second: int) -> str:
    """Date-time of RFC 3339, as ``creationdate`` wants it (RFC 4918, section 15.1)."""
    day, rest = divmod(min(max(second, _FIRST), _LAST), 86400)
    return f"{_day(day)[1]}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"


def parse_http_date(text: str) -> int | None:
    """Unix seconds of any of the three forms of RFC 9110, section 5.6.7; None if it is none."""
    try:
        parts = parsedate(text)
        return None if parts is None else calendar.timegm(parts)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
