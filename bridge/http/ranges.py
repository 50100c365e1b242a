"""Byte ranges (RFC 9110, section 14)."""

from __future__ import annotations

import re
from itertools import pairwise

from bridge.http.errors import Refused

MOST = 16
"""Ranges of one request that are still served apart; with more the whole is sent (section 14.2)."""

# Possessive: a header of spaces alone must not be tried in every way to part them.
_SPEC = re.compile(r"\s*+(?:(\d{1,19})\s*+-\s*+(\d{0,19})|-\s*+(\d{1,19}))\s*+")


def parse_range(header: str, size: int) -> list[tuple[int, int]] | None:
    """The (offset, length) pairs asked of ``size`` bytes; None: send the whole.

    Another unit, a form that is none, and too many ranges mean the whole. Overlapping and touching
    ranges are joined, so that nobody gets more bytes than there are. Raises Refused 416 when no
    range lies within.
    """
    unit, _, specs = header.partition("=")
    if unit.strip().lower() != "bytes" or not specs.strip():
        return None
    found = []
    for spec in specs.split(","):
        if not spec.strip():
            continue
        match = _SPEC.fullmatch(spec)
        if match is None:
            return None
        first, last, suffix = match.groups()
        if suffix is not None:
            start, end = max(0, size - int(suffix)), size - 1
            if int(suffix) == 0:
                continue
        else:
            start = int(first)
            end = min(int(last), size - 1) if last else size - 1
            if last and int(last) < start:
                return None
        if start < size and start <= end:
            found.append((start, end))
    if not found:
        raise Refused(416, "no such range", headers={"Content-Range": f"bytes */{size}"})
    if len(found) > MOST:
        return None
    return [(start, end - start + 1) for start, end in _joined(found)]


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    if len(ranges) == 1:
        return ranges
    ordered = sorted(ranges)
    if all(b[0] > a[1] + 1 for a, b in pairwise(ordered)):
        return ranges  # apart: in the order asked
    joined = [ordered[0]]
    for start, end in ordered[1:]:
        if start <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
