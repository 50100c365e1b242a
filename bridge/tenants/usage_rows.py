"""Usage in the state database, where the deltas of all processes meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from sqlalchemy import bindparam, select, update

from bridge.state.api import Rows, Transaction
from bridge.state.core import insert
from bridge.state.schema import tenants, usage_days
from bridge.tenants.api import Invalid, NoSuchTenant, Tenant, UsageDay, Used
from bridge.tenants.usage import Change, Traffic, byte_seconds

_EPOCH = date(1970, 1, 1)
_FIRST, _LAST = 0, 2_932_896
"""Days that a date can name: until the end of the year 9999."""

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
        metered=bindparam("now"),
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


class TenantUsage:
    """Implements ``UsageStore`` for one tenant.

    Raises NoSuchTenant once that is gone, though another has its name.
    """

    def __init__(self, rows: Rows, tenant: Tenant) -> None:
        self._rows = rows
        self._tenant_id = tenant.id
        self._this = {"tenant": tenant.id, "made": tenant.created}

    def read(self) -> Used:
        """See ``UsageStore``."""
        return self._used(self._rows.ask(_READ, **self._this))

    def add(self, change: Change, days: Mapping[int, Traffic]) -> Used:
        """See ``UsageStore``."""
        return self._rows.write(lambda it: self._add(it, change, days))

    def correct(self, change: Change, *, counted: float | None) -> Used:
        """See ``UsageStore``."""

        def correct(transaction: Transaction) -> Used:
            used = self._used(transaction.execute(_READ, **self._this).rows)
            if used.counted != counted:
                return used
            return self._add(transaction, change, {}, dated=transaction.now)

        return self._rows.write(correct)

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
        stored = byte_seconds(used.stored, now if metered is None else metered, now)
        for day in sorted(stored.keys() | days.keys()):
            traffic = days.get(day, Traffic())
            transaction.execute(
                _ADD_DAY,
                tenant=self._tenant_id,
                day=day,
                bucket=bucket,
                partner=partner or "",
                bytes_up=traffic.up,
                bytes_down=traffic.down,
                requests=traffic.requests,
                byte_seconds=stored.get(day, 0.0),
            )
        transaction.execute(
            _ADD,
            **self._this,
            more_bytes=change.bytes,
            more_stored=change.stored,
            more_files=change.files,
            dated=used.counted if dated is None else dated,
            now=now,
        )
        return self._used(transaction.execute(_READ, **self._this).rows)

    def _used(self, found: Sequence[tuple[object, ...]]) -> Used:
        if not found:
            raise NoSuchTenant(f"there is no tenant {self._tenant_id}")
        size, stored, files, counted = found[0][:4]
        return Used(size, stored, files, counted)  # type: ignore[arg-type]


def usage_days_of(
    rows: Rows, tenant_id: str | None, first: str | None, last: str | None
) -> list[UsageDay]:
    """See ``Administration.usage``."""
    span = {
        "first": _FIRST if first is None else _number(first),
        "last": _LAST if last is None else _number(last),
    }
    found = (
        rows.ask(_DAYS, **span)
        if tenant_id is None
        else rows.ask(_ITS_DAYS, tenant=tenant_id, **span)
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


def _number(text: str) -> int:
    try:
        return (date.fromisoformat(text) - _EPOCH).days
    except ValueError:
        raise Invalid(f"{text!r} is no day: YYYY-MM-DD") from None
