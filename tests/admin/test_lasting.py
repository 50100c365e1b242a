"""Calls that may take hours: joined, begun once, and withdrawn while nobody was told of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from bridge.admin import lasting
from bridge.admin.lasting import AT_ONCE, Lasting
from bridge.http.errors import Overloaded


class Worker:
    """Begins nothing before ``free``."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.begun: list[str] = []

    def work(self, name: str) -> Callable[[], str]:
        def call() -> str:
            self.begun.append(name)
            return name

        return call

    async def run(self, call: Callable[[], str]) -> str:
        await self.free.wait()
        return call()


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_no_worker_has_begun_is_refused_and_never_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls, worker = Lasting[str](), Worker()
    with monkeypatch.context() as hurried:
        hurried.setattr(lasting, "PATIENCE", 0.01)
        for name in (*(f"first-{n}" for n in range(AT_ONCE)), "late"):
            with pytest.raises(Overloaded):
                await calls.join(name, worker.work(name), worker.run)
    worker.free.set()
    assert await calls.join("late", worker.work("again"), worker.run) == "again"
    assert worker.begun == ["again"]


async def test_one_is_not_withdrawn_while_another_still_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls, worker = Lasting[str](), Worker()
    patient = asyncio.create_task(calls.join("x", worker.work("x"), worker.run))
    await _settle()
    with monkeypatch.context() as hurried:
        hurried.setattr(lasting, "PATIENCE", 0.01)
        with pytest.raises(Overloaded):
            await calls.join("x", worker.work("other"), worker.run)
    worker.free.set()
    assert await patient == "x"
    assert worker.begun == ["x"]


async def test_one_is_withdrawn_when_whoever_waited_for_it_has_gone() -> None:
    calls, worker = Lasting[str](), Worker()
    gone = asyncio.create_task(calls.join("x", worker.work("gone"), worker.run))
    await _settle()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    worker.free.set()
    assert await calls.join("x", worker.work("x"), worker.run) == "x"
    assert worker.begun == ["x"]
