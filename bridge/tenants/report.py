"""Usage as CSV (RFC 4180): what a revenue share is reckoned from."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from bridge.tenants.api import UsageDay

COLUMNS = (
    *("month", "tenant", "bucket", "partner"),
    *("byte_hours", "bytes_down", "bytes_up", "requests"),
)
"""``byte_hours``: of ciphertext stored."""


def by_month(days: Iterable[UsageDay]) -> str:
    """A line for each month, tenant, bucket and partner, in this order."""
    sums: dict[tuple[str, str, str, str], tuple[float, int, int, int]] = {}
    for day in days:
        key = (day.day[:7], day.tenant, day.bucket, day.partner)
        stored, down, up, requests = sums.get(key, (0.0, 0, 0, 0))
        sums[key] = (
            stored + day.byte_hours,
            down + day.down,
            up + day.up,
            requests + day.requests,
        )
    out = io.StringIO()
    lines = csv.writer(out)
    lines.writerow(COLUMNS)
    for key in sorted(sums):
        stored, down, up, requests = sums[key]
        lines.writerow([*key, round(stored), down, up, requests])
    return out.getvalue()
