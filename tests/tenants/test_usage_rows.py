"""Where the deltas of all processes meet: usage in the state database, SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path as FilePath

import pytest

from bridge.files.api import Usage
from bridge.files.errors import StorageFull
from bridge.state.database import DatabaseState, open_state
from bridge.tenants.api import Invalid, NoSuchTenant, Tenant, Used
from bridge.tenants.records import Records
from bridge.tenants.tenant_rows import TenantRow
from bridge.tenants.usage import DAY, Change, Ledger, Traffic
from bridge.tenants.usage_rows import TenantUsage, usage_days_of
from tests.files.vault import Clock
from tests.postgres import new_schema

START = 20_000 * DAY
"""2024-10-04, 00:00 UTC."""

Process = Callable[[], DatabaseState]


@pytest.fixture
def clock() -> Clock:
    return Clock(float(START))


@pytest.fixture(params=["sqlite", "postgresql"])
def process(request: pytest.FixtureRequest, tmp_path: FilePath, clock: Clock) -> Iterator[Process]:
    """Opens the database once more, as another process does. It has the tenant ``acme``."""
    where = (
        str(tmp_path / "state.db")
        if request.param == "sqlite"
        else new_schema(request.getfixturevalue("postgresql"))
    )
    opened: list[DatabaseState] = []

    def another() -> DatabaseState:
        opened.append(open_state(where, clock=clock))
        return opened[-1]

    Records(another().rows, clock).add_tenant(TenantRow(Tenant("acme", bucket="files")))
    yield another
    for state in opened:
        state.close()


def usage_of(state: DatabaseState, tenant: str = "acme") -> TenantUsage:
    return TenantUsage(state.rows, Tenant(tenant, bucket="files"))


def figures(used: Used) -> tuple[int, int, int]:
    return used.bytes, used.stored, used.files


def test_what_processes_add_is_summed(process: Process) -> None:
    states = [process() for _ in range(2)]

    def add(number: int) -> None:
        usage = usage_of(states[number % 2])
        for _ in range(10):
            usage.add(Change(3, 5, 1), {20_000: Traffic(1, 2, 1)})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    assert figures(usage_of(states[0]).read()) == (120, 200, 40)
    assert figures(usage_of(states[1]).add(Change(-20, -50, -4), {})) == (100, 150, 36)
    (day,) = usage_days_of(states[0].rows, "acme", None, None)
    assert (day.up, day.down, day.requests) == (40, 80, 40)
    assert (day.tenant, day.bucket, day.day) == ("acme", "files", "2024-10-04")


def test_byte_hours_are_reckoned_once_and_over_midnight(process: Process, clock: Clock) -> None:
    one, other = usage_of(process()), usage_of(process())
    one.add(Change(0, 1_000, 1), {})
    for _ in range(3):
        clock.forward(4 * 3_600)
        one.add(Change(), {20_000: Traffic(requests=1)})
        other.add(Change(), {20_000: Traffic(requests=1)})
    clock.forward(20 * 3_600)
    other.add(Change(0, -1_000, -1), {})
    clock.forward(DAY)
    one.add(Change(1, 1, 1), {})
    days = usage_days_of(process().rows, "acme", None, None)
    hours = {day.day: day.byte_hours for day in days if round(day.byte_hours)}
    assert hours == {
        "2024-10-04": pytest.approx(24_000, rel=1e-3),
        "2024-10-05": pytest.approx(8_000, rel=1e-3),
    }


def test_days_are_told_from_first_to_last(process: Process) -> None:
    state = process()
    usage_of(state).add(Change(), {day: Traffic(up=day) for day in range(19_998, 20_003)})
    found = usage_days_of(state.rows, None, "2024-10-03", "2024-10-05")
    assert [day.up for day in found] == [19_999, 20_000, 20_001]
    assert usage_days_of(state.rows, "other", None, None) == []
    with pytest.raises(Invalid):
        usage_days_of(state.rows, None, "yesterday", None)


def test_a_count_is_believed_once(process: Process) -> None:
    one, other = usage_of(process()), usage_of(process())
    one.add(Change(10, 20, 1), {})
    assert figures(one.correct(Change(5, 6, 1), counted=None)) == (15, 26, 2)
    late = other.correct(Change(5, 6, 1), counted=None)
    assert figures(late) == (15, 26, 2)
    assert late.counted is not None
    assert figures(other.correct(Change(-5, -6, -1), counted=late.counted)) == (10, 20, 1)
    assert figures(one.add(Change(1, 1, 1), {})) == (11, 21, 2)
    assert one.read().counted == other.read().counted


def test_a_tenant_that_is_gone_has_none(process: Process) -> None:
    gone = usage_of(process(), "gone")
    for ask in (
        gone.read,
        lambda: gone.add(Change(1, 1, 1), {20_000: Traffic(1, 1, 1)}),
        lambda: gone.correct(Change(1, 1, 1), counted=None),
    ):
        with pytest.raises(NoSuchTenant):
            ask()
    assert usage_days_of(process().rows, None, None, None) == []


def test_a_quota_holds_between_processes_once_both_have_told(
    process: Process, clock: Clock
) -> None:
    one, other = (Ledger(usage_of(process()), quota=100, clock=clock) for _ in range(2))
    one.count(lambda: Usage(30, 1, 40))
    other.flush()
    assert (one.available, other.available) == (70, 70)
    one.reserve().settle(Change(60, 70, 1))
    one.flush()
    other.flush()
    room = other.reserve()
    room.require(10)
    with pytest.raises(StorageFull):
        room.require(11)
    assert figures(other.used) == (90, 110, 2)
