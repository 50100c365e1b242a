"""Where the deltas of all processes meet: usage in the state database, SQLite and PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path as FilePath

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from bridge.files.api import Usage
from bridge.files.errors import StorageFull
from bridge.state.api import Rows, StateUnavailable, Transaction
from bridge.state.database import DatabaseState, open_state
from bridge.tenants.api import Invalid, NoSuchTenant, Tenant, UsageDay, Used
from bridge.tenants.clock_steps import ClockSteps
from bridge.tenants.records import Records
from bridge.tenants.tenant_rows import TenantRow
from bridge.tenants.usage import DAY, Change, Ledger, Traffic
from bridge.tenants.usage_rows import NoDays, Span, TenantUsage, usage_days_of
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


def usage_of(
    state: DatabaseState, tenant: str = "acme", *, steps: ClockSteps | None = None
) -> TenantUsage:
    return TenantUsage(state.rows, Tenant(tenant, bucket="files"), steps=steps)


def days_of(state: DatabaseState, tenant: str | None = "acme") -> list[UsageDay]:
    return usage_days_of(state.rows, tenant, Span())


def hours_of(state: DatabaseState) -> dict[str, float]:
    """By day, of ``acme``."""
    return {day.day: day.byte_hours for day in days_of(state) if round(day.byte_hours)}


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
    (day,) = days_of(states[0])
    assert (day.up, day.down, day.requests) == (40, 80, 40)
    assert (day.tenant, day.bucket, day.day) == ("acme", "files", "2024-10-04")


def test_byte_hours_are_reckoned_once_and_over_midnight(process: Process, clock: Clock) -> None:
    one, other = (usage_of(process(), steps=ClockSteps(lambda: clock.now)) for _ in range(2))
    one.add(Change(0, 1_000, 1), {})
    for _ in range(3):
        clock.forward(4 * 3_600)
        one.add(Change(), {20_000: Traffic(requests=1)})
        other.add(Change(), {20_000: Traffic(requests=1)})
    clock.forward(20 * 3_600)
    other.add(Change(0, -1_000, -1), {})
    clock.forward(DAY)
    one.add(Change(1, 1, 1), {})
    assert hours_of(process()) == {
        "2024-10-04": pytest.approx(24_000, rel=1e-3),
        "2024-10-05": pytest.approx(8_000, rel=1e-3),
    }


class TestAClockThatIsWrong:
    """``clock`` is the database's and can be set; ``own`` passes as time does."""

    @pytest.fixture
    def own(self, clock: Clock) -> Clock:
        return Clock(50.0)

    def test_and_right_again_after_seconds_charges_seconds(
        self, process: Process, clock: Clock, own: Clock
    ) -> None:
        """In two processes: each has looked at the clock before."""
        states = [process() for _ in range(2)]
        usages = [usage_of(state, steps=ClockSteps(own)) for state in states]
        usages[0].add(Change(0, 1_000, 1), {})
        usages[1].add(Change(), {})

        def wait(seconds: float) -> None:
            own.forward(seconds)
            clock.forward(seconds)

        wait(3_600)
        clock.forward(365 * DAY)
        with capture_logs() as told:
            for usage in usages:
                usage.add(Change(), {})
            wait(13)
            clock.forward(-365 * DAY)
            for _ in range(2):
                for usage in usages:
                    usage.add(Change(), {})
                wait(3_600)
            usages[1].add(Change(), {})
        assert sum(hours_of(states[0]).values()) == pytest.approx(3_000, abs=10)
        assert {line["log_level"] for line in told} == {"error"}
        assert [line["event"].split(":")[0] for line in told] == [
            "the clock was set forward",
            "byte-hours were charged up to a time that is still to come",
        ]

    def test_is_not_believed_for_a_tenant_that_was_not_looked_at_since(
        self, process: Process, clock: Clock, own: Clock
    ) -> None:
        state, steps = process(), ClockSteps(own)
        other = TenantUsage(state.rows, Tenant("other", bucket="files"), steps=steps)
        Records(state.rows, clock).add_tenant(TenantRow(Tenant("other", bucket="files")))
        usage = usage_of(state, steps=steps)
        usage.add(Change(0, 1_000, 1), {})
        for _ in range(2):
            own.forward(900)
            clock.forward(900)
            other.add(Change(), {})
            clock.forward(30 * DAY)
            other.add(Change(), {})
        usage.add(Change(), {})
        assert sum(hours_of(state).values()) == pytest.approx(500, abs=1)

    def test_charges_what_passes_while_it_stays_wrong(
        self, process: Process, clock: Clock, own: Clock
    ) -> None:
        """As where a machine starts in 1970 and then asks what time it is: that is right now."""
        state, steps = process(), ClockSteps(own)
        usage = usage_of(state, steps=steps)
        usage.add(Change(0, 1_000, 1), {})
        clock.forward(365 * DAY)
        for _ in range(3):
            usage.add(Change(), {})
            own.forward(3_600)
            clock.forward(3_600)
        usage.add(Change(), {})
        assert hours_of(state) == {"2025-10-04": pytest.approx(3_000, abs=1)}

    def test_and_behind_while_another_process_looks_charges_what_has_passed(
        self, process: Process, clock: Clock, own: Clock
    ) -> None:
        """The service has seen nothing of it; a command that began meanwhile has."""
        serving = usage_of(process(), steps=ClockSteps(own))
        serving.add(Change(0, 1_000, 1), {})
        own.forward(3_000)
        clock.forward(3_000)
        serving.add(Change(), {})
        own.forward(600)
        clock.forward(60 - 365 * DAY)
        usage_of(process(), steps=ClockSteps(own)).add(Change(), {})
        clock.forward(540 + 365 * DAY)
        serving.add(Change(), {})
        assert hours_of(process()) == {"2024-10-04": pytest.approx(1_000, abs=1)}

    def test_and_behind_takes_nothing_from_a_tenant_that_was_not_looked_at_meanwhile(
        self, process: Process, clock: Clock, own: Clock
    ) -> None:
        state, steps = process(), ClockSteps(own)
        Records(state.rows, clock).add_tenant(TenantRow(Tenant("other", bucket="files")))
        other = usage_of(state, "other", steps=steps)
        usage = usage_of(state, steps=steps)
        for each in (usage, other):
            each.add(Change(0, 1_000, 1), {})
        own.forward(4_200)
        clock.forward(3_600 - 365 * DAY)
        other.add(Change(), {})
        clock.forward(600 + 365 * DAY)
        for each in (usage, other):
            each.add(Change(), {})
        assert hours_of(state) == {"2024-10-04": pytest.approx(4_200 / 3.6, abs=1)}

    def test_is_judged_by_what_was_charged_not_by_what_was_tried(
        self, process: Process, clock: Clock, own: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A change that was not made, and a count that another had made, charge nothing."""
        state = process()
        usage = usage_of(state, steps=ClockSteps(own))
        usage.add(Change(0, 1_000, 1), {})
        own.forward(3_600)
        clock.forward(3_600)
        usage.correct(Change(0, 5, 5), counted=1.0)
        with monkeypatch.context() as patch:
            patch.setattr(type(state.rows), "write", _away)
            with pytest.raises(StateUnavailable):
                usage.add(Change(), {})
        usage.add(Change(), {})
        assert hours_of(state) == {"2024-10-04": pytest.approx(1_000, abs=1)}

    def test_is_not_judged_by_what_a_former_tenant_of_the_name_was_charged(
        self, process: Process, clock: Clock, own: Clock
    ) -> None:
        """What this process charged the former one says nothing of it."""
        state, steps = process(), ClockSteps(own)
        usage_of(state, steps=steps).add(Change(0, 1_000, 1), {})
        Records(state.rows, clock).drop_tenant(Tenant("acme", bucket="files"))
        made = Tenant("acme", bucket="files", created=clock.now)
        Records(state.rows, clock).add_tenant(TenantRow(made))
        # Another process, on another machine, charges it first.
        elsewhere = TenantUsage(process().rows, made, steps=ClockSteps(own))
        elsewhere.add(Change(0, 1_000, 1), {})
        clock.forward(3_600)
        TenantUsage(state.rows, made, steps=steps).add(Change(), {})
        assert hours_of(state) == {"2024-10-04": pytest.approx(1_000, abs=1)}

    def test_and_was_wrong_when_it_dated_a_count_has_it_made_again(
        self, process: Process, clock: Clock
    ) -> None:
        usage = usage_of(process())
        clock.forward(365 * DAY)
        assert usage.correct(Change(10, 20, 1), counted=None).counted == pytest.approx(clock.now)
        clock.forward(-365 * DAY)
        used = usage.add(Change(), {})
        assert (figures(used), used.counted) == ((10, 20, 1), None)

    def test_by_little_is_believed(self, process: Process, clock: Clock, own: Clock) -> None:
        """And what it showed twice is charged once."""
        state, steps = process(), ClockSteps(own)
        usage = usage_of(state, steps=steps)
        usage.correct(Change(0, 3_600_000, 1), counted=None)
        with capture_logs() as told:
            for seconds in (200, -100, 100):
                clock.forward(seconds)
                usage.add(Change(), {})
        assert told == []
        assert usage.read().counted == pytest.approx(START, abs=1)
        assert hours_of(state) == {"2024-10-04": pytest.approx(200_000, abs=100)}


def test_a_week_in_which_no_process_ran_is_charged_and_told(process: Process, clock: Clock) -> None:
    usage_of(process()).add(Change(0, 1_000, 1), {})
    clock.forward(7 * DAY)
    state = process()
    with capture_logs() as told:
        usage_of(state).add(Change(), {})
    assert sum(hours_of(state).values()) == pytest.approx(7 * 24_000, abs=1)
    assert [(line["log_level"], line["tenant"]) for line in told] == [("warning", "acme")]


def test_days_are_told_from_first_to_last(process: Process) -> None:
    state = process()
    usage_of(state).add(Change(), {day: Traffic(up=day) for day in range(19_998, 20_003)})
    found = usage_days_of(state.rows, None, Span.of("2024-10-03", "2024-10-05"))
    assert [day.up for day in found] == [19_999, 20_000, 20_001]
    (one,) = usage_days_of(state.rows, "acme", Span.of("2024-10-05", "2024-10-05"))
    assert one.up == 20_001
    assert days_of(state, "other") == []


def test_days_that_cannot_be_are_refused() -> None:
    with pytest.raises(Invalid, match="YYYY"):
        Span.of("yesterday", None)
    with pytest.raises(NoDays, match="2024-10-05, comes after the last, 2024-10-04"):
        Span.of("2024-10-05", "2024-10-04")


def test_wrong_days_are_corrected_as_the_documentation_says(process: Process) -> None:
    told = (FilePath(__file__).resolve().parents[2] / "docs" / "tenants.md").read_text()
    block = told.partition("**Wrong days**")[2].partition("    --")[2].partition("\n\n")[0]
    statements = re.findall(r"\b(?:SELECT|UPDATE|DELETE) [^;]*;", block)
    assert len(statements) == 4
    state = process()
    traffic = {22_299: Traffic(1, 1, 1), 22_300: Traffic(2, 2, 2), 22_665: Traffic(512, 0, 3)}
    usage_of(state).add(Change(), traffic)
    found = [state.rows.write(partial(_run, each)) for each in statements]
    assert [row[1] for row in found[0]] == [22_665]
    assert [(day.day, day.up, day.down, day.requests) for day in days_of(state)] == [
        ("2031-01-20", 1, 1, 1),
        ("2031-01-21", 514, 2, 5),
    ]
    assert [day.byte_hours for day in days_of(state)] == [2e12 * 24, 0.0]


def _away(_rows: Rows, _work: Callable[[Transaction], object]) -> None:
    raise StateUnavailable("away")


def _run(statement: str, transaction: Transaction) -> Sequence[tuple[object, ...]]:
    return transaction.execute(text(statement)).rows


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
    assert days_of(process(), None) == []


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
