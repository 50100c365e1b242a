"""Chores for all tenants: one whose store hangs holds up the others seldom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from structlog.testing import capture_logs

from bridge.crypto.keyring import Kek
from bridge.serve.rounds import LONGEST_REST, REMEMBERED, Rounds
from bridge.state.api import StateError
from bridge.state.database import open_state
from bridge.store.api import ObjectStore, Unavailable
from bridge.store.wrapping import Operation, WrappedStore
from bridge.tenants.api import Tenant
from bridge.tenants.opened import OpenTenant, OpenTenants
from bridge.tenants.service import TenantService
from tests.tenants.storage import Storage

T = TypeVar("T")

HANGS = 60.0
"""Seconds that a call of a store hangs which is away."""

NAMES = ("a", "away", "z")


class Time:
    """Seconds that pass only when told to."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class AwayStore(WrappedStore):
    """A store of a tenant; while that is ``away``, each call hangs and then fails."""

    def __init__(self, inner: ObjectStore, name: str, away: set[str], time: Time) -> None:
        super().__init__(inner)
        self._name = name
        self._away = away
        self._time = time

    def around(self, operation: Operation, key: str, call: Callable[[], T]) -> T:
        if self._name in self._away:
            self._time.now += HANGS
            raise Unavailable("no answer", key=key)
        return call()


class AwayStorage(Storage):
    """One store for all, away for some."""

    def __init__(self, time: Time) -> None:
        super().__init__()
        self.gone: set[str] = set()
        self._time = time

    def open(self, tenant: Tenant, grant: str) -> ObjectStore:
        return AwayStore(super().open(tenant, grant), tenant.id, self.gone, self._time)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def storage(time: Time) -> AwayStorage:
    return AwayStorage(time)


@pytest.fixture
def tenants(storage: AwayStorage, tmp_path: Path) -> Iterator[OpenTenants]:
    with open_state(tmp_path / "state.db") as state:
        keks = (Kek(bytes(range(32))),)
        service = TenantService(state, storage, keks)
        opened = OpenTenants(service.records, storage, state, keks, cache_names=1_000)
        for name in NAMES:
            service.create_tenant(name, root_grant="root")
            opened.tenant(name)
        yield opened
        opened.close()


class Watched:
    """The reaper's look at each tenant, counted; ``rounds`` goes round every second."""

    def __init__(self, tenants: OpenTenants, time: Time) -> None:
        self.looks: Counter[str] = Counter()
        self.rounds = Rounds(tenants, lambda: False, time)
        self._time = time

    def look(self, opened: OpenTenant) -> None:
        self.looks[opened.tenant.id] += 1
        opened.tree.reaper.reap()

    def go_round(self, seconds: float) -> Counter[str]:
        """How often each was looked at within so many seconds."""
        self.looks.clear()
        ends = self._time.now + seconds
        while self._time.now < ends:
            self.rounds.each("reaper", self.look, asks_store=True)
            self._time.now += 1.0
        return Counter(self.looks)


@pytest.fixture
def watched(tenants: OpenTenants, time: Time) -> Watched:
    return Watched(tenants, time)


def test_a_tenant_whose_store_hangs_is_asked_ever_less_often(
    watched: Watched, storage: AwayStorage
) -> None:
    storage.gone.add("away")
    hour = watched.go_round(3_600.0)
    assert hour["away"] <= 14  # by the clock it could be 60 times, and the others as seldom
    assert hour["a"] == hour["z"] > 3_600 - 15 * HANGS
    day = watched.go_round(86_400.0)
    assert day["away"] >= 86_400 // (LONGEST_REST + HANGS) - 2  # it is never given up
    assert day["a"] > 70_000


def test_it_is_told_once_for_each_wait(watched: Watched, storage: AwayStorage) -> None:
    storage.gone.add("away")
    with capture_logs() as logs:
        looks = watched.go_round(1_000.0)
    assert len(logs) == looks["away"] > 3
    assert {entry["tenant"] for entry in logs} == {"away"}
    assert [entry["rests"] for entry in logs[:4]] == [1.0, 2.0, 4.0, 8.0]


def test_when_its_store_is_back_it_is_as_the_others(watched: Watched, storage: AwayStorage) -> None:
    storage.gone.add("away")
    watched.go_round(3_600.0)
    storage.gone.clear()
    watched.go_round(LONGEST_REST)
    after = watched.go_round(REMEMBERED)
    assert after == dict.fromkeys(NAMES, REMEMBERED)
    storage.gone.add("away")
    assert watched.go_round(70.0)["away"] == 2  # it begins with a short rest again


def test_rounds_in_which_there_is_nothing_to_do_are_no_success(
    watched: Watched, storage: AwayStorage, tenants: OpenTenants, time: Time
) -> None:
    """The reaper looks every 30 s, however often it is called."""
    storage.gone.add("away")
    due = dict.fromkeys(NAMES, time.now)

    def look(opened: OpenTenant) -> None:
        name = opened.tenant.id
        if due[name] <= time.now:
            try:
                watched.look(opened)
            finally:
                due[name] = time.now + 30.0

    ends = time.now + 3_600.0
    while time.now < ends:
        watched.rounds.each("reaper", look, asks_store=True)
        time.now += 1.0
    assert watched.looks["away"] <= 14  # it could be 40
    assert watched.looks["a"] > 60


def test_what_takes_long_rests_too_though_it_succeeds(tenants: OpenTenants, time: Time) -> None:
    rounds, done = Rounds(tenants, lambda: False, time), Counter[str]()

    def count(opened: OpenTenant) -> None:
        done[opened.tenant.id] += 1
        time.now += 30.0 if opened.tenant.id == "a" else 0.0

    for _ in range(100):
        rounds.each("count", count, asks_store=True)
        time.now += 1.0
    assert done["z"] == 100
    assert done["a"] < 10


def test_a_database_that_was_away_is_asked_again_in_the_next_round(
    tenants: OpenTenants, time: Time
) -> None:
    rounds, done = Rounds(tenants, lambda: False, time), Counter[str]()

    def flush(opened: OpenTenant) -> None:
        done[opened.tenant.id] += 1
        if done.total() <= 30:
            raise StateError("the database is away")

    for _ in range(20):
        rounds.each("usage", flush, asks_store=False)
    assert done == dict.fromkeys(NAMES, 20)


def test_chores_rest_by_themselves(tenants: OpenTenants, time: Time) -> None:
    rounds, done = Rounds(tenants, lambda: False, time), Counter[str]()

    def fail(opened: OpenTenant) -> None:
        raise Unavailable("no answer", key="")

    rounds.each("reaper", fail, asks_store=True)
    rounds.each("count", lambda opened: done.update([opened.tenant.id]), asks_store=True)
    assert done == dict.fromkeys(NAMES, 1)


def test_what_nobody_foresaw_for_one_keeps_the_others_from_nothing(
    tenants: OpenTenants, time: Time
) -> None:
    rounds, done = Rounds(tenants, lambda: False, time), Counter[str]()

    def stumble(opened: OpenTenant) -> None:
        done[opened.tenant.id] += 1
        if opened.tenant.id == "a":
            raise ZeroDivisionError("nobody foresaw this")

    with capture_logs() as logs:
        rounds.each("reaper", stumble, asks_store=True)
    assert done == dict.fromkeys(NAMES, 1)
    assert [(entry["tenant"], type(entry["exc_info"])) for entry in logs] == [
        ("a", ZeroDivisionError)
    ]
