"""Usage: by day in JSON; by month in CSV, the figures a revenue share is reckoned from."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from bridge.admin.asked import CSV, Answer, Asked, answer
from bridge.admin.models import DayOutput, DaysOutput, Period, TenantUsage, UsedOutput
from bridge.tenants.api import Administration, UsageDay

COLUMNS = (
    *("month", "tenant", "bucket", "partner"),
    *("byte_hours", "bytes_down", "bytes_up", "requests"),
)
"""Of the CSV, as ``storj-bridge usage --csv`` has them. ``byte_hours``: of ciphertext stored."""


def every(administration: Administration, asked: Asked, sent: Period) -> Answer:
    """Usage of all tenants, by day; as CSV by month."""
    days = administration.usage(first=sent.first, last=sent.last)
    if asked.csv:
        return Answer(200, by_month(days), CSV)
    return answer(DaysOutput(days=list(map(DayOutput.of, days))))


def of_tenant(administration: Administration, asked: Asked, sent: Period) -> Answer:
    """Usage of a tenant by day, and what it holds; as CSV by month."""
    tenant = administration.tenant(asked.tenant)
    days = administration.usage(asked.tenant, first=sent.first, last=sent.last)
    if asked.csv:
        return Answer(200, by_month(days), CSV)
    used = UsedOutput.of(administration.used(asked.tenant))
    shown = TenantUsage(quota=tenant.quota, used=used, days=list(map(DayOutput.of, days)))
    return answer(shown)


def by_month(days: Iterable[UsageDay]) -> bytes:
    """CSV (RFC 4180): a line for each month, tenant, bucket and partner, in this order."""
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
    return out.getvalue().encode()
