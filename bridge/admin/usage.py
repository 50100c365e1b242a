"""Usage: by day in JSON; by month in CSV, the figures a revenue share is reckoned from."""

from __future__ import annotations

from bridge.admin.asked import CSV, Answer, Asked, answer
from bridge.admin.models import DayOutput, DaysOutput, Period, TenantUsage, UsedOutput
from bridge.tenants.api import Administration
from bridge.tenants.report import by_month


def every(administration: Administration, asked: Asked, sent: Period) -> Answer:
    """Usage of all tenants, by day; as CSV by month."""
    days = administration.usage(first=sent.first, last=sent.last)
    if asked.csv:
        return Answer(200, by_month(days).encode(), CSV)
    return answer(DaysOutput(days=list(map(DayOutput.of, days))))


def of_tenant(administration: Administration, asked: Asked, sent: Period) -> Answer:
    """Usage of a tenant by day, and what it holds; as CSV by month."""
    tenant = administration.tenant(asked.tenant)
    days = administration.usage(asked.tenant, first=sent.first, last=sent.last)
    if asked.csv:
        return Answer(200, by_month(days).encode(), CSV)
    used = UsedOutput.of(administration.used(asked.tenant))
    shown = TenantUsage(quota=tenant.quota, used=used, days=list(map(DayOutput.of, days)))
    return answer(shown)
