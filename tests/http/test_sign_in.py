"""The gate: who failed waits, who is known does not, and what was revoked is forgotten."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from bridge.http import sign_in
from bridge.http.basic import Gate
from bridge.http.bearer import TokenGate, parse_bearer
from bridge.http.errors import Overloaded, Refused
from bridge.http.failures import FREE_BY_ADDRESS, FREE_BY_NAME
from bridge.http.line import AT_ONCE
from bridge.http.pool import Pool
from bridge.http.sign_in import REMEMBERED, Opening


def basic(user: str, secret: str = "right") -> str:
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - worker threads make it true
            await asyncio.sleep(0.001)


class Time:
    """A clock that stands still but for those who sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class House:
    """Users whose secret is ``right``, whatever their names, but for those who moved out."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gone: set[str] = set()
        self.inside = 0
        self.most_inside = 0
        self.door = threading.Event()
        self.door.set()
        self._lock = threading.Lock()

    def admit(self, username: str, secret: str, address: str) -> str | None:
        with self._lock:
            self.asked.append(username)
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        self.door.wait(10)
        with self._lock:
            self.inside -= 1
        return username if secret == "right" and username not in self.gone else None


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool("test", 32)
    yield pool
    pool.close()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def gate(pool: Pool, time: Time, house: House) -> Gate[str]:
    return Gate(house.admit, pool, realm="r", clock=time, sleep=time.sleep)


async def fails(gate: Gate[str], times: int, user: str = "alice", address: str = "::1") -> None:
    for _ in range(times):
        with pytest.raises(Refused) as refused:
            await gate.enter(basic(user, "wrong"), address)
        assert refused.value.status == 401


async def test_the_right_secret_gets_in_after_the_wait(gate: Gate[str], time: Time) -> None:
    await fails(gate, FREE_BY_NAME)
    assert time.slept == []
    assert await gate.enter(basic("alice"), "::1") == "alice"
    assert len(time.slept) == 1
    assert await gate.enter(basic("alice"), "::1") == "alice"
    assert len(time.slept) == 1


async def test_failures_of_one_user_slow_no_other_of_the_same_address(
    gate: Gate[str], time: Time
) -> None:
    await fails(gate, FREE_BY_NAME)
    assert await gate.enter(basic("bob"), "::1") == "bob"
    assert await gate.enter(basic("alice"), "2001:db8::1") == "alice"
    assert time.slept == []


async def test_whom_the_gate_knows_never_waits_though_the_address_fails_all_the_time(
    gate: Gate[str], time: Time, house: House
) -> None:
    assert await gate.enter(basic("bob"), "::1") == "bob"
    for number in range(FREE_BY_ADDRESS):
        await fails(gate, 1, f"user{number}")
    await fails(gate, FREE_BY_NAME + 3, "bob")
    slept = len(time.slept)
    assert await gate.enter(basic("bob"), "::1") == "bob"
    time.now += 100 * REMEMBERED  # not remembered, but proven: asked about, without a wait
    asked = len(house.asked)
    assert await gate.enter(basic("bob"), "::1") == "bob"
    assert len(house.asked) == asked + 1
    assert len(time.slept) == slept


async def test_what_proved_right_is_a_guess_like_others_once_it_was_revoked(
    gate: Gate[str], time: Time, house: House
) -> None:
    assert await gate.enter(basic("bob"), "::1") == "bob"
    house.gone.add("bob")
    gate.forget()
    for _ in range(FREE_BY_NAME + 1):
        with pytest.raises(Refused):
            await gate.enter(basic("bob"), "::1")
    assert time.slept != []


async def test_unknown_names_wait_as_long_as_known_ones(
    gate: Gate[str], time: Time, house: House
) -> None:
    house.gone.add("nobody")
    waits: list[list[float]] = []
    for name in ("alice", "nobody"):
        time.slept.clear()
        await fails(gate, 3 * FREE_BY_NAME, name, f"192.0.2.{len(waits)}")
        waits.append(list(time.slept))
    assert waits[0] == waits[1] != []


async def test_nothing_that_tests_no_secret_counts(gate: Gate[str], time: Time) -> None:
    for header in [None, "Basic ???", "Bearer abc"] * 100:
        with pytest.raises(Refused):
            await gate.enter(header, "::1")
    assert await gate.enter(basic("alice"), "::1") == "alice"
    assert time.slept == []


async def test_one_address_takes_a_few_threads_at_most(gate: Gate[str], house: House) -> None:
    house.door.clear()
    tries = [asyncio.create_task(fails(gate, 1, f"user{n}")) for n in range(100)]
    await until(lambda: gate.waiting == 100 and house.inside == AT_ONCE)
    assert house.inside == AT_ONCE
    house.door.set()
    await asyncio.gather(*tries)
    assert house.most_inside == AT_ONCE
    assert len(house.asked) == 100
    assert gate.waiting == 0
    assert gate._line._addresses == {}


async def test_a_burst_is_slowed_though_nothing_had_failed_when_it_came(
    gate: Gate[str], time: Time
) -> None:
    await asyncio.gather(*(fails(gate, 1) for _ in range(200)))
    assert len(time.slept) >= 200 - FREE_BY_NAME - AT_ONCE


async def test_only_so_many_of_one_address_wait_and_the_next_is_told_when_to_come_again(
    pool: Pool, house: House
) -> None:
    gate: Gate[str] = Gate(house.admit, pool, realm="r", waiting=10)
    house.door.clear()
    tries = [asyncio.create_task(gate.enter(basic(f"user{n}"), "192.0.2.1")) for n in range(10)]
    await until(lambda: gate.waiting == 10)
    with pytest.raises(Overloaded) as refused:
        await gate.enter(basic("one more"), "192.0.2.1")
    assert refused.value.headers["Retry-After"]
    assert refused.value.close
    other = asyncio.create_task(gate.enter(basic("bob"), "192.0.2.2"))
    house.door.set()
    assert await other == "bob"
    assert len(await asyncio.gather(*tries)) == 10


async def test_whoever_stops_waiting_leaves_the_line(pool: Pool, house: House) -> None:
    gate: Gate[str] = Gate(house.admit, pool, realm="r")
    house.door.clear()
    tries = [asyncio.create_task(gate.enter(basic(f"user{n}"), "192.0.2.1")) for n in range(50)]
    await until(lambda: gate.waiting == 50 and house.inside == AT_ONCE)
    for one in tries:
        one.cancel()
    await asyncio.gather(*tries, return_exceptions=True)
    assert gate.waiting == 0
    house.door.set()
    assert await gate.enter(basic("bob"), "192.0.2.1") == "bob"


async def test_what_goes_wrong_in_the_house_is_no_failed_sign_in(pool: Pool, time: Time) -> None:
    down = True

    def admit(username: str, secret: str, address: str) -> str:
        if down:
            raise OSError("the database is away")
        return username

    gate: Gate[str] = Gate(admit, pool, realm="r", clock=time, sleep=time.sleep)
    for _ in range(FREE_BY_ADDRESS):
        with pytest.raises(OSError, match="away"):
            await gate.enter(basic("alice"), "::1")
    down = False
    assert await gate.enter(basic("alice"), "::1") == "alice"
    assert time.slept == []


async def test_opening_holds_up_nobody_who_signs_in(pool: Pool) -> None:
    opened = threading.Event()

    def admit(username: str, secret: str, address: str) -> Opening[str] | None:
        def call() -> str:
            opened.wait(10)
            return username

        return Opening(call, username) if secret == "right" else None

    gate: Gate[str] = Gate(admit, pool, realm="r")
    slow = [asyncio.create_task(gate.enter(basic(f"user{n}"), "::1")) for n in range(2 * AT_ONCE)]
    await until(lambda: gate.waiting == 0 and pool.outstanding == 2 * AT_ONCE)
    await fails(gate, 1)  # looked at, though so many are being opened
    opened.set()
    assert len(await asyncio.gather(*slow)) == 2 * AT_ONCE
    assert await gate.enter(basic("user0"), "::1") == "user0"


async def test_opening_one_tenant_that_hangs_holds_up_no_other_tenant(pool: Pool) -> None:
    hangs = threading.Event()

    def admit(username: str, secret: str, address: str) -> Opening[str]:
        tenant = username.partition(".")[0]

        def call() -> str:
            if tenant == "slow":
                hangs.wait(10)
            return username

        return Opening(call, tenant)

    opening = Pool("opening", 32)
    gate: Gate[str] = Gate(admit, pool, realm="r", opening=opening)
    slow = [asyncio.create_task(gate.enter(basic(f"slow.{n}"), "::1")) for n in range(100)]
    await until(lambda: gate.waiting == 0 and opening.outstanding == 100)
    async with asyncio.timeout(5):
        assert await gate.enter(basic("quick"), "::1") == "quick"
    assert not any(each.done() for each in slow)
    hangs.set()
    assert len(await asyncio.gather(*slow)) == 100
    opening.close()


async def test_what_cannot_be_opened_is_neither_remembered_nor_a_failed_sign_in(
    pool: Pool, time: Time
) -> None:
    away = [True]

    def call() -> str:
        if away:
            raise OSError("the store is away")
        return "opened"

    gate: Gate[str] = Gate(
        lambda *_: Opening(call, "alice"), pool, realm="r", clock=time, sleep=time.sleep
    )
    for _ in range(2 * FREE_BY_NAME):
        with pytest.raises(OSError, match="away"):
            await gate.enter(basic("alice"), "::1")
    away.clear()
    assert await gate.enter(basic("alice"), "::1") == "opened"
    assert time.slept == []


async def test_the_many_forms_of_one_header_push_nobody_out(
    gate: Gate[str], time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "_MOST_REMEMBERED", 10)
    assert await gate.enter(basic("bob"), "::1") == "bob"
    for blanks in range(1, 30):
        assert await gate.enter(basic("eve").replace(" ", " " * blanks), "::1") == "eve"
    await fails(gate, FREE_BY_NAME + 1, "bob")
    time.slept.clear()
    time.now += 2 * REMEMBERED
    assert await gate.enter(basic("bob"), "::1") == "bob"
    assert time.slept == []
    assert len(gate._known) <= 10


async def test_forget_holds_from_the_next_request_on(gate: Gate[str], house: House) -> None:
    await gate.enter(basic("alice"), "::1")
    house.gone.add("alice")
    assert await gate.enter(basic("alice"), "::1") == "alice"  # remembered
    gate.forget()
    with pytest.raises(Refused):
        await gate.enter(basic("alice"), "::1")


async def test_an_answer_on_its_way_when_all_is_forgotten_lets_nobody_in(
    gate: Gate[str], house: House
) -> None:
    house.door.clear()
    asking = asyncio.create_task(gate.enter(basic("alice"), "::1"))
    await until(lambda: house.inside == 1)
    gate.forget()
    house.gone.add("alice")
    house.door.set()
    with pytest.raises(Refused):
        await asking
    house.gone.clear()
    assert await gate.enter(basic("alice"), "::1") == "alice"


async def test_forget_may_be_called_from_any_thread(gate: Gate[str], house: House) -> None:
    stop = threading.Event()

    def forget() -> None:
        while not stop.is_set():
            gate.forget()

    thread = threading.Thread(target=forget)
    thread.start()
    try:
        for number in range(300):
            assert await gate.enter(basic(f"user{number % 7}"), "::1") == f"user{number % 7}"
    finally:
        stop.set()
        thread.join()
    house.gone.add("user1")
    gate.forget()
    with pytest.raises(Refused):
        await gate.enter(basic("user1"), "::1")


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc_D-1.~+/==", "abc_D-1.~+/=="),
        ("bEARER abc", "abc"),
        ("Bearer  abc ", "abc"),
        ("Bearer", None),
        ("Bearer ", None),
        ("Bearer a b", None),
        ("Bearer a,b", None),
        ("Bearer é", None),
        ("Bearer " + "a" * 513, None),
        ("Basic abc", None),
        ("", None),
    ],
)
def test_bearer_tokens_are_read(header: str, token: str | None) -> None:
    assert parse_bearer(header) == token


async def test_tokens_go_through_the_same_gate(pool: Pool, time: Time) -> None:
    gate = TokenGate(
        lambda text: text if text == "right" else None,
        pool,
        realm="r",
        clock=time,
        sleep=time.sleep,
    )
    assert await gate.enter("Bearer right", "::1") == "right"
    with pytest.raises(Refused) as refused:
        await gate.enter(None, "::1")
    assert refused.value.headers["WWW-Authenticate"] == 'Bearer realm="r"'
    for number in range(FREE_BY_NAME + 1):
        with pytest.raises(Refused) as refused:
            await gate.enter(f"Bearer wrong{number}", "::1")
        assert refused.value.status == 401
        challenge = 'Bearer realm="r", error="invalid_token"'
        assert refused.value.headers["WWW-Authenticate"] == challenge
    assert time.slept == [0.5]
