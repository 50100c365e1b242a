"""A tenant's quota as clients meet it: before a body, on its way, by many at once, for copies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path as FilePath

import pytest

from bridge.state.api import Locks
from bridge.tenants.metered import MeteredTree
from bridge.tenants.usage import Ledger
from bridge.webdav import Quota
from tests.files.vault import Vault, check_clean, memory_vault
from tests.tenants.ledger import SharedUsage
from tests.webdav.client import Client, Reply
from tests.webdav.server import running

MIB = 1 << 20
QUOTA = 10 * MIB

ROOM = (
    b'<D:propfind xmlns:D="DAV:"><D:prop><D:quota-available-bytes/><D:quota-used-bytes/></D:prop>'
    b"</D:propfind>"
)


@dataclass
class House:
    """A tenant with a quota, and a client of it."""

    vault: Vault
    ledger: Ledger
    dav: Client

    def room(self) -> tuple[int, int]:
        """What is announced: bytes available and used."""
        props = self.dav("PROPFIND", "/", ROOM, Depth="0").props()
        available, used = (
            int(props[f"{{DAV:}}quota-{which}-bytes"].text or "") for which in ("available", "used")
        )
        return available, used


@pytest.fixture
def house(tmp_path: FilePath, locks: Locks) -> Iterator[House]:
    folder = tmp_path / "vault"
    folder.mkdir()
    with memory_vault(folder) as vault:
        ledger = Ledger(SharedUsage(time.time), quota=QUOTA)
        tree = MeteredTree(vault.tree(), ledger)
        ledger.count(tree.usage)

        def quota() -> Quota:
            return Quota(ledger.used.bytes, ledger.available)

        with running(tree, locks, quota=quota) as server:
            yield House(vault, ledger, server.client())


def chunks(mib: int) -> Iterator[bytes]:
    for _ in range(mib * 4):
        yield b"x" * (MIB // 4)


def test_is_announced(house: House) -> None:
    assert house.room() == (QUOTA, 0)
    house.dav("PUT", "/a", b"x" * 1000)
    assert house.room() == (QUOTA - 1000, 1000)
    house.dav("DELETE", "/a")
    assert house.room() == (QUOTA, 0)


def test_is_asked_before_a_body_of_known_length(house: House) -> None:
    with house.dav.raw() as raw:
        raw.send("PUT", "/a", f"Content-Length: {QUOTA + 1}", "Expect: 100-continue")
        assert raw.reply().status == 507
    assert house.dav("PUT", "/a", b"x" * QUOTA).status == 201
    assert house.dav("PUT", "/b", b"x").status == 507
    assert house.dav("PUT", "/a", b"y" * QUOTA).status == 204
    assert house.dav("PUT", "/b", b"").status == 201


def test_what_a_body_under_way_was_promised_is_no_longer_free(house: House) -> None:
    with house.dav.raw() as raw:
        raw.send("PUT", "/a", f"Content-Length: {QUOTA - 10}", "Expect: 100-continue")
        assert raw.reply().status == 100
        assert house.room() == (10, 0)
        assert house.dav("PUT", "/b", b"x" * 11).status == 507
        assert house.dav("PUT", "/c", b"x" * 10).status == 201
    until = time.monotonic() + 10
    while house.room() != (QUOTA - 10, 10):  # the client has gone, and what was kept for it too
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_body_of_unknown_length_is_stopped_on_its_way(house: House) -> None:
    reply = _put(house, "/a", 11)
    assert reply is None or reply.status == 507
    assert house.dav("HEAD", "/a").status == 404
    assert house.dav("PUT", "/a", chunks(10)).status == 201
    check_clean(house.vault)


def _put(house: House, path: str, mib: int) -> Reply | None:
    """A chunked upload; None where the server closed before it had read all."""
    try:
        return house.dav("PUT", path, chunks(mib))
    except (BrokenPipeError, ConnectionResetError):
        return None


def test_eight_at_once_of_unknown_length_never_pass_it(house: House) -> None:
    seen = []

    def upload(number: int) -> int:
        done = 0
        for turn in range(3):
            reply = _put(house, f"/{number}-{turn}", 2)
            assert reply is None or reply.status in (201, 507)
            done += reply is not None and reply.status == 201
            seen.append(house.vault.tree().usage().bytes)
        return done

    with ThreadPoolExecutor(8) as pool:
        done = sum(pool.map(upload, range(8)))
    assert max(seen) <= QUOTA
    assert house.vault.tree().usage().bytes == house.ledger.used.bytes == done * 2 * MIB
    assert house.room() == (QUOTA - done * 2 * MIB, done * 2 * MIB)
    # What is left after all of them is for whoever comes alone.
    for turn in range(5 - done):
        assert house.dav("PUT", f"/last-{turn}", chunks(2)).status == 201
    assert house.dav("PUT", "/more", b"x").status == 507
    check_clean(house.vault)


def test_copies_have_to_have_room_and_leave_nothing_where_they_have_not(house: House) -> None:
    dav = house.dav
    dav("MKCOL", "/d")
    dav("PUT", "/d/a", b"x" * (4 * MIB))
    dav("PUT", "/d/b", b"x" * (2 * MIB))
    assert dav("COPY", "/d", None, Destination=dav.url("/e")).status == 507
    assert dav("COPY", "/d/a", None, Destination=dav.url("/e")).status == 201
    assert dav("COPY", "/d/b", None, Destination=dav.url("/f")).status == 507
    assert dav("COPY", "/d/b", None, Destination=dav.url("/e")).status == 204
    assert dav("MOVE", "/d/a", None, Destination=dav.url("/f")).status == 201
    assert house.room() == (2 * MIB, 8 * MIB)
    check_clean(house.vault)


def test_a_folder_that_was_deleted_makes_room_at_once_and_is_counted(house: House) -> None:
    dav = house.dav
    dav("MKCOL", "/d")
    dav("PUT", "/d/a", b"x" * QUOTA)
    dav("DELETE", "/d")
    assert dav("PUT", "/a", b"x").status == 201
    assert house.ledger.to_be_counted
    house.ledger.count(house.vault.tree().usage)
    assert house.room() == (QUOTA - 1, 1)
