"""Failed sign-ins are counted by address and name, and by address."""

from __future__ import annotations

import pytest

from bridge.http import failures
from bridge.http.failures import (
    FORGIVEN_BY_NAME,
    FREE_BY_ADDRESS,
    FREE_BY_NAME,
    LONGEST_WAIT,
    Failures,
    client_of,
)

HOME = client_of("192.0.2.1")
OTHER = client_of("192.0.2.2")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counted(clock: Clock) -> Failures:
    return Failures(clock)


def fail(counted: Failures, times: int, name: str = "alice", client: bytes = HOME) -> None:
    for _ in range(times):
        counted.add(client, name)


def test_a_few_mistakes_cost_nothing(counted: Failures) -> None:
    fail(counted, FREE_BY_NAME - 1)
    assert counted.wait(HOME, "alice") == 0


def test_the_wait_grows_to_its_longest_and_no_further(counted: Failures) -> None:
    waits = []
    for _ in range(FREE_BY_NAME + 50):
        fail(counted, 1)
        waits.append(counted.wait(HOME, "alice"))
    assert waits == sorted(waits)
    assert waits[FREE_BY_NAME - 1 : FREE_BY_NAME + 2] == [0.5, 1, 2]
    assert waits[-1] == LONGEST_WAIT < 30  # seconds after which clients give up


def test_other_names_and_other_addresses_do_not_wait(counted: Failures) -> None:
    fail(counted, FREE_BY_NAME + 1)
    assert counted.wait(HOME, "alice") > 0
    assert counted.wait(HOME, "bob") == 0
    assert counted.wait(OTHER, "alice") == 0


def test_an_address_that_tries_many_names_waits_for_all_of_them(counted: Failures) -> None:
    for number in range(FREE_BY_ADDRESS):
        counted.add(HOME, f"user{number}")
    assert counted.wait(HOME, "somebody else") > 0
    assert counted.wait(OTHER, "somebody else") == 0


def test_a_success_forgives_the_name_but_not_the_address(counted: Failures) -> None:
    fail(counted, FREE_BY_NAME)
    counted.succeeded(HOME, "alice")
    assert counted.wait(HOME, "alice") == 0
    for number in range(FREE_BY_ADDRESS):
        counted.add(HOME, f"user{number}")
    counted.succeeded(HOME, "own account")
    assert counted.wait(HOME, "victim") > 0


def test_failures_are_forgiven_with_time(counted: Failures, clock: Clock) -> None:
    fail(counted, 10_000)
    clock.now += 11 * FORGIVEN_BY_NAME  # however many they were
    assert counted.wait(HOME, "alice") == 0


def test_no_table_grows_beyond_its_bound(
    counted: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "MOST_KEPT", 100)
    for number in range(1000):
        counted.add(client_of(f"10.0.{number // 250}.{number % 250}"), "x" * 16_000)
    assert len(counted._names) == len(counted._addresses) == 100
    assert all(len(key) == 16 for key in counted._names._counts)


def test_who_goes_on_failing_is_not_pushed_out_by_others(
    counted: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "MOST_KEPT", 50)
    fail(counted, FREE_BY_NAME)
    for number in range(200):
        counted.add(OTHER, f"user{number}")
        if number % 20 == 0:
            fail(counted, 1)
    assert counted.wait(HOME, "alice") > 0


@pytest.mark.parametrize(
    ("one", "another", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "unix", True),
    ],
)
def test_an_ipv6_address_counts_as_its_64(one: str, another: str, same: bool) -> None:
    assert (client_of(one) == client_of(another)) is same
