"""Signing in."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest

from bridge.http.basic import Gate, parse_basic
from bridge.http.errors import Refused
from bridge.http.pool import Pool
from bridge.http.sign_in import REMEMBERED


def basic(text: str, encoding: str = "utf-8") -> str:
    return "Basic " + base64.b64encode(text.encode(encoding)).decode()


@pytest.mark.parametrize(
    ("header", "parsed"),
    [
        (basic("alice:s3cret"), ("alice", "s3cret")),
        (basic("alice:s3:cret").replace("Basic", "bAsIc"), ("alice", "s3:cret")),
        (basic("jörg:ü"), ("jörg", "ü")),
        (basic("jörg:ü", "latin-1"), ("jörg", "ü")),
        (basic("alice"), None),
        ("Basic ???", None),
        ("Bearer abc", None),
        ("", None),
        (None, None),
    ],
)
def test_basic_credentials_are_read(header: str | None, parsed: tuple[str, str] | None) -> None:
    assert parse_basic(header) == parsed


class Door:
    def __init__(self) -> None:
        self.asked = 0
        self.open = True

    def admit(self, username: str, secret: str, address: str) -> str | None:
        self.asked += 1
        return username if self.open and secret == "right" else None


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool("test", 1)
    yield pool
    pool.close()


async def test_a_success_is_remembered_for_less_than_five_seconds(pool: Pool) -> None:
    door, now = Door(), [0.0]
    gate: Gate[str] = Gate(door.admit, pool, realm="r", clock=lambda: now[0])
    assert REMEMBERED < 5
    assert await gate.enter(basic("alice:right"), "::1") == "alice"
    assert await gate.enter(basic("alice:right"), "::1") == "alice"
    assert door.asked == 1
    door.open = False  # revoked
    now[0] = 4.9
    with pytest.raises(Refused) as refused:
        await gate.enter(basic("alice:right"), "::1")
    assert refused.value.status == 401


async def test_a_failure_is_never_remembered_and_carries_the_challenge(pool: Pool) -> None:
    door = Door()
    gate: Gate[str] = Gate(door.admit, pool, realm="r")
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            await gate.enter(basic("alice:wrong"), "::1")
        assert refused.value.headers["WWW-Authenticate"] == 'Basic realm="r", charset="UTF-8"'
    assert door.asked == 2


async def test_no_secret_is_kept_in_memory(pool: Pool) -> None:
    gate: Gate[str] = Gate(Door().admit, pool, realm="r")
    await gate.enter(basic("alice:right"), "::1")
    assert "right" not in repr(gate._known)
    assert basic("alice:right") not in repr(gate._known)
