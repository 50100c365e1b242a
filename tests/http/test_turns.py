"""Turns of uploads: by memory, in order, and never lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from bridge.http.errors import Overloaded
from bridge.http.turns import SHORT, Lane, Turns

SOON = 5.0
"""Seconds that a turn waits which must come."""

LONG = (64 + 2) << 20
"""What a long upload is taken to hold: content and buffers."""

NEVER = 0.05
"""Seconds that a turn waits which must not come."""


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


_numbers = itertools.count()


def somebody() -> str:
    """A tenant that has asked for nothing yet."""
    return f"tenant {next(_numbers)}"


async def has_turn(turns: Turns, size: int | None, tenant: str | None = None) -> bool:
    try:
        async with turns.turn(tenant or somebody(), size):
            return True
    except Overloaded:
        return False


@asynccontextmanager
async def waiting(
    lane: Lane, size: int, order: list[int], tenant: str | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    """A task that waits for ``size`` bytes, and then adds them to ``order``."""

    async def wait() -> None:
        async with lane.turn(tenant or somebody(), size, SOON):
            order.append(size)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    yield task
    await asyncio.gather(task, return_exceptions=True)


def test_what_is_lent_never_exceeds_the_total() -> None:
    async def work() -> None:
        lane = Lane(100)
        most = 0

        async def one(size: int) -> None:
            nonlocal most
            async with lane.turn(somebody(), size, SOON):
                most = max(most, lane.lent)
                await asyncio.sleep(0)

        await asyncio.gather(*(one(size % 60) for size in range(500)))
        assert 60 <= most <= 100
        assert lane.lent == 0

    run(work())


def test_who_asked_first_is_served_first() -> None:
    async def work() -> None:
        lane, order = Lane(10), list[int]()
        async with AsyncExitStack() as stack, lane.turn(somebody(), 8, SOON):
            for size in (5, 6, 3, 4):
                await stack.enter_async_context(waiting(lane, size, order))
            await asyncio.sleep(NEVER)
            assert order == []
        assert order == [5, 3, 6, 4]  # the 3 fits beside the 5

    run(work())


def test_who_asks_for_less_may_pass_until_as_much_has_passed() -> None:
    async def work() -> None:
        lane, order = Lane(10), list[int]()
        async with AsyncExitStack() as stack, lane.turn(somebody(), 6, SOON):
            for size in (8, 3, 3, 3):
                await stack.enter_async_context(waiting(lane, size, order))
            await asyncio.sleep(NEVER)
            assert order == [3, 3]  # one more would make 9
        assert order == [3, 3, 8, 3]

    run(work())


def test_more_than_there_is_takes_all() -> None:
    async def work() -> None:
        lane = Lane(10)
        async with lane.turn(somebody(), 1_000, SOON):
            assert lane.lent == 10
        assert lane.lent == 0

    run(work())


def test_who_gives_up_lets_the_next_one_pass() -> None:
    async def work() -> None:
        lane, order = Lane(10), list[int]()
        async with AsyncExitStack() as stack, lane.turn(somebody(), 6, SOON):
            gone = await stack.enter_async_context(waiting(lane, 8, order))
            await stack.enter_async_context(waiting(lane, 4, order))
            gone.cancel()
            await asyncio.sleep(NEVER)
            assert order == [4]
        assert lane.lent == 0

    run(work())


def test_a_turn_that_comes_to_one_just_cancelled_is_not_lost() -> None:
    async def work() -> None:
        lane, order = Lane(10), list[int]()
        async with AsyncExitStack() as stack:
            async with lane.turn(somebody(), 10, SOON):
                gone = await stack.enter_async_context(waiting(lane, 10, order))
            gone.cancel()  # it has been given its turn, and has not run since
        assert order == []
        assert lane.lent == 0

    run(work())


def test_who_is_cancelled_while_another_ends_takes_nothing_and_hurts_nobody() -> None:
    async def work() -> None:
        lane, order = Lane(10), list[int]()
        async with AsyncExitStack() as stack:
            async with lane.turn(somebody(), 10, SOON):
                gone = await stack.enter_async_context(waiting(lane, 6, order))
                await stack.enter_async_context(waiting(lane, 7, order))
                gone.cancel()  # the turn ends before the cancelled task has run again
            await asyncio.sleep(NEVER)
            with pytest.raises(asyncio.CancelledError):
                await gone
        assert order == [7]
        assert lane.lent == 0

    run(work())


def test_many_that_time_out_at_once_leave_nothing_taken() -> None:
    async def work() -> None:
        lane = Lane(10)

        async def one(size: int) -> bool:
            try:
                async with lane.turn(somebody(), size, NEVER):
                    await asyncio.sleep(NEVER / 3)
                    return True
            except TimeoutError:
                return False

        told = await asyncio.gather(*(one(1 + number % 9) for number in range(300)))
        assert any(told)
        assert not all(told)
        assert lane.lent == 0
        async with lane.turn(somebody(), 10, SOON):
            pass

    run(work())


def test_no_turn_in_time_is_a_timeout_and_holds_nothing() -> None:
    async def work() -> None:
        lane = Lane(10)
        async with lane.turn(somebody(), 10, SOON):
            with pytest.raises(TimeoutError):
                async with lane.turn(somebody(), 1, NEVER):
                    pass
        assert lane.lent == 0

    run(work())


def test_an_error_in_a_turn_gives_it_back() -> None:
    async def work() -> None:
        lane = Lane(10)
        with pytest.raises(ZeroDivisionError):
            async with lane.turn(somebody(), 10, SOON):
                raise ZeroDivisionError
        assert lane.lent == 0

    run(work())


def test_a_turn_lasts_until_all_that_holds_it_is_done_however_that_ends() -> None:
    async def work() -> None:
        lane, order = Lane(10), list[int]()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        failed: asyncio.Future[None] = loop.create_future()
        cancelled: asyncio.Future[None] = loop.create_future()
        async with AsyncExitStack() as stack:
            async with lane.turn(somebody(), 10, SOON) as turn:
                for each in (done, failed, cancelled):
                    assert turn.held_by(each) is each
                await stack.enter_async_context(waiting(lane, 4, order))
            done.set_result(None)
            failed.set_exception(ZeroDivisionError())
            await asyncio.sleep(NEVER)
            assert (lane.lent, lane.turns, order) == (10, 1, [])
            cancelled.cancel()
            await asyncio.sleep(NEVER)
            assert order == [4]
        assert (lane.lent, lane.turns) == (0, 0)

    run(work())


def test_what_is_done_before_its_turn_ends_does_not_hold_it() -> None:
    async def work() -> None:
        lane = Lane(10)
        async with lane.turn(somebody(), 10, SOON) as turn:
            held = turn.held_by(asyncio.get_running_loop().create_future())
            held.set_result(None)
            await asyncio.sleep(NEVER)
            assert (lane.lent, lane.turns) == (10, 1)
        assert (lane.lent, lane.turns) == (0, 0)

    run(work())


def test_short_uploads_do_not_wait_for_long_ones() -> None:
    async def work() -> None:
        turns = Turns(256 << 20, 64 << 20, 2 << 20, NEVER)
        async with AsyncExitStack() as stack:
            while await has_turn(turns, None):
                await stack.enter_async_context(turns.turn(somebody(), None))
            assert turns.lent == 3 * LONG
            assert not await has_turn(turns, 64 << 20)
            assert await has_turn(turns, SHORT)
            assert await has_turn(turns, 0)
        assert turns.lent == 0

    run(work())


def test_a_long_upload_holds_its_content_up_to_the_most_and_its_buffers() -> None:
    async def work() -> None:
        turns = Turns(256 << 20, 64 << 20, 2 << 20, NEVER)
        for size, held in ((5 << 20, 7 << 20), (1 << 40, LONG), (None, LONG)):
            async with turns.turn(somebody(), size):
                assert turns.lent == held

    run(work())


def test_even_empty_uploads_are_counted() -> None:
    async def work() -> None:
        turns = Turns(16 << 20, 0, 2 << 20, NEVER)
        async with AsyncExitStack() as stack:
            for _ in range(32):
                await stack.enter_async_context(turns.turn(somebody(), 0))
            assert not await has_turn(turns, 0)

    run(work())


async def take_all(turns: Turns, tenant: str, size: int | None, held: AsyncExitStack) -> int:
    """How many turns a tenant gets that gives none back."""
    for number in itertools.count():
        try:
            await held.enter_async_context(turns.turn(tenant, size))
        except Overloaded:
            return number
    raise AssertionError


@pytest.mark.parametrize("size", [0, SHORT, 2 << 20, 1 << 40, None])
def test_a_tenant_that_holds_all_it_can_leaves_the_next_one_some(size: int | None) -> None:
    async def work() -> None:
        turns = Turns(1 << 30, 128 << 20, 6 << 20, 0.001)
        async with AsyncExitStack() as held:
            greedy = await take_all(turns, "greedy", size, held)
            assert greedy >= 4
            assert await has_turn(turns, size, "next")
            assert not await has_turn(turns, size, "greedy")

    run(work())


def test_a_tenant_alone_sends_four_of_the_five_large_uploads_that_storj_has_room_for() -> None:
    async def work() -> None:
        turns = Turns(768 << 20, 128 << 20, 6 << 20, NEVER)
        async with AsyncExitStack() as held:
            assert await take_all(turns, "first", None, held) == 4
            assert await take_all(turns, "second", None, held) == 1
            assert turns.uploads == 5
        assert turns.uploads == turns.lent == 0

    run(work())


def test_what_a_tenant_gives_back_goes_to_whoever_holds_less() -> None:
    async def work() -> None:
        lane, order = Lane(10), list[int]()
        async with AsyncExitStack() as held, lane.turn("greedy", 4, SOON):
            give_back = await held.enter_async_context(AsyncExitStack())
            await give_back.enter_async_context(lane.turn("greedy", 4, SOON))
            await held.enter_async_context(waiting(lane, 5, order, "greedy"))
            await held.enter_async_context(waiting(lane, 6, order, "other"))
            assert order == []
            await give_back.aclose()
            await asyncio.sleep(NEVER)
            assert order == [6]
        assert order == [6, 5]

    run(work())


def test_those_of_a_tenant_who_wait_for_its_share_hold_up_only_their_own() -> None:
    async def work() -> None:
        lane, order = Lane(20), list[int]()
        async with AsyncExitStack() as held, lane.turn("greedy", 12, SOON):
            await held.enter_async_context(waiting(lane, 7, order, "greedy"))
            for size in (3, 3, 2):
                async with waiting(lane, size, order, "other"):
                    pass
            assert order == [3, 3, 2]  # more than the 7, and one after another
            for size in (4, 4):
                await held.enter_async_context(waiting(lane, size, order, "greedy"))
            await asyncio.sleep(NEVER)
            assert order == [3, 3, 2, 4]  # of its own, no more than the 7 in all
        assert order == [3, 3, 2, 4, 7, 4]

    run(work())


def test_one_upload_larger_than_all_shares_is_still_possible() -> None:
    async def work() -> None:
        turns = Turns(16 << 20, 128 << 20, 6 << 20, NEVER)
        assert await has_turn(turns, None, "alone")

    run(work())
