"""Locks end with the credential that took them, and none is taken by one that has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path as FilePath

import pytest

from bridge.files.errors import NotAllowed
from bridge.state.api import Lock, Locks
from bridge.tenants.standing import Standing, StandingLocks
from tests.tenants.test_standing import Scene, every_end


@pytest.fixture
def house(tmp_path: FilePath) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


def _lock(token: str, root: str, principal: str = "acme.a") -> Lock:
    return Lock(token, root, True, True, "", principal, 86_400, 0.0)


def _kept(house: Scene) -> list[str]:
    """The tokens of all that the database has for a tenant of this name."""
    held = house.state.locks("acme").covering("/", children=True)
    return sorted(lock.token for lock in held)


@every_end
def test_none_is_taken_kept_or_given_back_at_the_last_moment(
    house: Scene, end: Callable[[Scene], None], words: str
) -> None:
    """Nothing is remembered, and the next one of the name is not touched."""
    locks = house.tenants.locks(house.credential)
    end(house)
    tenant = house.state.locks("acme")
    tenant.add(_lock("t:1", "/file"))
    with pytest.raises(NotAllowed, match=words):
        locks.add(_lock("t:new", "/new"))
    with pytest.raises(NotAllowed, match=words):
        locks.refresh("t:1", 10)
    with pytest.raises(NotAllowed, match=words):
        locks.remove("t:1")
    assert _kept(house) == ["t:1"]
    held = tenant.get("t:1")
    assert held is not None
    assert held.timeout == 86_400


class _Meanwhile:
    """A tenant's locks, before each of which something happens that nobody asks about."""

    def __init__(self, locks: Locks, happens: Callable[[], None]) -> None:
        self._locks = locks
        self._happens = happens

    def add(self, lock: Lock) -> None:
        self._happens()
        self._locks.add(lock)

    def remove(self, token: str) -> bool:
        return self._locks.remove(token)


@every_end
def test_one_that_comes_just_behind_the_end_is_not_left(
    house: Scene, end: Callable[[Scene], None], words: str
) -> None:
    standing = Standing(
        house.service.records.credentials,
        house.credential,
        clock=house.clock,
        monotonic=house.clock,
    )
    late = _Meanwhile(house.state.locks("acme"), lambda: end(house))
    locks = StandingLocks(late, standing)  # type: ignore[arg-type]
    with pytest.raises(NotAllowed, match=words):
        locks.add(_lock("t:1", "/"))
    assert _kept(house) == []


@every_end
def test_one_that_was_just_taken_is_taken_back_though_its_credential_has_ended(
    house: Scene, end: Callable[[Scene], None], words: str
) -> None:
    """As where the empty file that it stands for is refused: nobody was told its token."""
    locks = house.tenants.locks(house.credential)
    locks.add(_lock("t:1", "/new"))
    end(house)
    locks.remove("t:1")
    assert _kept(house) == []
    house.state.locks("acme").add(_lock("t:2", "/new"))
    with pytest.raises(NotAllowed, match=words):
        locks.remove("t:2")


def test_those_of_a_revoked_credential_are_gone_and_no_others(house: Scene) -> None:
    house.service.create_credential("acme")
    house.service.create_credential("acme", "ab")
    house.service.create_tenant("beta", root_grant="root")
    house.tenants.locks(house.credential).add(_lock("t:mine", "/file"))
    other = house.state.locks("acme")
    other.add(_lock("t:main", "/other", "acme"))
    other.add(_lock("t:ab", "/folder", "acme.ab"))
    house.state.locks("beta").add(_lock("t:beta", "/", "acme.a"))
    house.service.revoke_credential("acme", "a")
    assert _kept(house) == ["t:ab", "t:main"]
    assert house.state.locks("beta").any()
    house.service.revoke_credential("acme")
    assert _kept(house) == ["t:ab"]


def test_one_that_takes_its_name_has_none_of_them(house: Scene) -> None:
    house.tenants.locks(house.credential).add(_lock("t:mine", "/"))
    house.service.revoke_credential("acme", "a")
    again = house.service.create_credential("acme", "a").credential
    locks = house.tenants.locks(again)
    assert not locks.any()
    locks.add(_lock("t:1", "/"))
    assert _kept(house) == ["t:1"]


@pytest.mark.parametrize("purge", [False, True])
def test_those_of_a_deleted_tenant_are_gone(house: Scene, purge: bool) -> None:
    house.tenants.locks(house.credential).add(_lock("t:mine", "/"))
    house.service.delete_tenant("acme", purge=purge)
    assert _kept(house) == []
