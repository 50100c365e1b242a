"""Usage in the state database, where the deltas of all processes meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple, Self

import structlog
from sqlalchemy import bindparam, select, update

from bridge.state.api import Rows, Transaction
from bridge.state.core import insert
from bridge.state.schema import tenants, usage_days
from bridge.tenants.api import Invalid, NoSuchTenant, Tenant, UsageDay, Used
from bridge.tenants.clock_steps import TOLERANCE, ClockSteps, steps_of
from bridge.tenants.usage import DAY, Change, Traffic, byte_seconds

_EPOCH = date(1970, 1, 1)
_FIRST, _LAST = 0, 2_932_896
"""Days that a date can name: until the end of the year 9999."""

_log = structlog.get_logger()

_THIS = (tenants.c.id == bindparam("tenant")) & (tenants.c.created == bindparam("made"))

_READ = select(
    tenants.c.used_bytes,
    tenants.c.stored_bytes,
    tenants.c.files,
    tenants.c.counted,
    tenants.c.metered,
    tenants.c.bucket,
    tenants.c.partner,
).where(_THIS)

_ADD = (
    update(tenants)
    .where(_THIS)
    .values(
        used_bytes=tenants.c.used_bytes + bindparam("more_bytes"),
        stored_bytes=tenants.c.stored_bytes + bindparam("more_stored"),
        files=tenants.c.files + bindparam("more_files"),
        counted=bindparam("dated"),
        metered=bindparam("until"),
    )
)

_new_day = insert(usage_days).values(
    {column.name: bindparam(column.name) for column in usage_days.c}
)
_ADD_DAY = _new_day.on_conflict_do_update(
    index_elements=[usage_days.c.tenant, usage_days.c.day],
    set_={
        name: usage_days.c[name] + _new_day.excluded[name]
        for name in ("bytes_up", "bytes_down", "requests", "byte_seconds")
    },
)

_DAYS = (
    select(
        usage_days.c.tenant,
        usage_days.c.bucket,
        usage_days.c.partner,
        usage_days.c.day,
        usage_days.c.bytes_up,
        usage_days.c.bytes_down,
        usage_days.c.requests,
        usage_days.c.byte_seconds,
    )
    .where(usage_days.c.day >= bindparam("first"), usage_days.c.day <= bindparam("last"))
    .order_by(usage_days.c.tenant, usage_days.c.day)
)
_ITS_DAYS = _DAYS.where(usage_days.c.tenant == bindparam("tenant"))
_ANY_DAY = select(usage_days.c.day).where(usage_days.c.tenant == bindparam("tenant")).limit(1)


class TenantUsage:
    """Implements ``UsageStore`` for one tenant.

    Raises NoSuchTenant once that is gone, though another has its name. ``steps``: of the
    database's clock, where they are not those that this process remembers.
    """

    def __init__(self, rows: Rows, tenant: Tenant, *, steps: ClockSteps | None = None) -> None:
        self._rows = rows
        self._steps = steps_of(rows) if steps is None else steps
        self._tenant = tenant
        self._this = {"tenant": tenant.id, "made": tenant.created}

    def read(self) -> Used:
        """See ``UsageStore``."""
        return self._used(self._rows.ask(_READ, **self._this))

    def add(self, change: Change, days: Mapping[int, Traffic]) -> Used:
        """See ``UsageStore``."""
        at = self._steps.own()
        used = self._rows.write(lambda it: self._add(it, change, days))
        self._steps.charged(self._tenant, at)
        return used

    def correct(self, change: Change, *, counted: float | None) -> Used:
        """See ``UsageStore``."""

        def correct(transaction: Transaction) -> Used:
            used = self._used(transaction.execute(_READ, **self._this).rows)
            if used.counted != counted:
                return used
            return self._add(transaction, change, {}, dated=transaction.now)

        return self._rows.write(correct)

    def meter(self, transaction: Transaction) -> None:
        """Bring the byte-seconds up to now, in a transaction that does more."""
        self._add(transaction, Change(), {})

    def _add(
        self,
        transaction: Transaction,
        change: Change,
        days: Mapping[int, Traffic],
        *,
        dated: float | None = None,
    ) -> Used:
        found = transaction.execute(_READ, **self._this).rows
        used = self._used(found)
        metered, bucket, partner = found[0][4:7]
        now = transaction.now
        since = now if metered is None else self._since(metered, now)
        stored = self._stored(used.stored, since, now)
        for day in sorted(stored.keys() | days.keys()):
            traffic = days.get(day, Traffic())
            transaction.execute(
                _ADD_DAY,
                tenant=self._tenant.id,
                day=day,
                bucket=bucket,
                partner=partner or "",
                bytes_up=traffic.up,
                bytes_down=traffic.down,
                requests=traffic.requests,
                byte_seconds=stored.get(day, 0.0),
            )
        if dated is None and used.counted is not None and used.counted <= now + TOLERANCE:
            dated = used.counted  # else nobody knows when it was: there should be another soon
        transaction.execute(
            _ADD,
            **self._this,
            more_bytes=change.bytes,
            more_stored=change.stored,
            more_files=change.files,
            dated=dated,
            until=max(since, now),
        )
        return self._used(transaction.execute(_READ, **self._this).rows)

    def _since(self, metered: float, now: float) -> float:
        """From when to ``now`` it is charged that is charged up to ``metered``."""
        if metered <= now + TOLERANCE:
            return self._steps.since(self._tenant, metered, now)
        _log.error(
            "byte-hours were charged up to a time that is still to come: they go on from now",
            tenant=self._tenant.id,
            metered=round(metered),
            now=round(now),
        )
        return now

    def _stored(self, size: int, since: float, now: float) -> dict[int, float]:
        """By day, the byte-seconds of ``size`` bytes from ``since`` to ``now``."""
        if size and now - since > DAY:
            # So it is after a stop, and where a process begins while the clock is wrong.
            _log.warning(
                "nobody looked for long: byte-hours are charged for all of this time",
                tenant=self._tenant.id,
                since=round(since),
                until=round(now),
            )
        return byte_seconds(size, since, now)

    def _used(self, found: Sequence[tuple[object, ...]]) -> Used:
        if not found:
            raise NoSuchTenant(f"there is no tenant {self._tenant.id}")
        size, stored, files, counted = found[0][:4]
        return Used(size, stored, files, counted)  # type: ignore[arg-type]


class NoDays(Invalid):
    """The first day asked for comes after the last."""


class Span(NamedTuple):
    """Days since 1970, both included."""

    first: int = _FIRST
    last: int = _LAST

    @classmethod
    def of(cls, first: str | None, last: str | None) -> Self:
        """From days like ``2031-12-31``, None for no bound. Raises Invalid, NoDays."""
        span = cls(
            _FIRST if first is None else _number(first), _LAST if last is None else _number(last)
        )
        if span.first > span.last:
            raise NoDays(f"the first day, {first}, comes after the last, {last}")
        return span

    def since(self, moment: float) -> Self:
        """Without what lies before the day of ``moment``, Unix seconds; perhaps nothing is left."""
        return self._replace(first=max(self.first, int(moment // DAY)))


def usage_days_of(rows: Rows, tenant_id: str | None, span: Span) -> list[UsageDay]:
    """What is kept of a tenant, or of all, by tenant and day; those that are gone too."""
    bounds = span._asdict()
    found = (
        rows.ask(_DAYS, **bounds)
        if tenant_id is None
        else rows.ask(_ITS_DAYS, tenant=tenant_id, **bounds)
    )
    return [
        UsageDay(
            tenant,
            bucket,
            partner or "",
            (_EPOCH + timedelta(days=day)).isoformat(),
            up,
            down,
            requests,
            stored / 3600,
        )
        for tenant, bucket, partner, day, up, down, requests, stored in found
    ]


def has_usage(rows: Rows, tenant_id: str) -> bool:
    """Whether anything is kept of a tenant of this name, which may be gone."""
    return bool(rows.ask(_ANY_DAY, tenant=tenant_id))


def _number(text: str) -> int:
    try:
        return (date.fromisoformat(text) - _EPOCH).days
    except ValueError:
        raise Invalid(f"{text!r} is no day: YYYY-MM-DD") from None
