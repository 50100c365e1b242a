"""Locks of one tenant, as credentials with folders and rights of their own meet them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath

import pytest

from bridge.files.errors import NotAllowed
from bridge.files.path import Path
from bridge.state.api import Lock, LockConflict, Locks
from bridge.state.database import open_state
from bridge.tenants.api import ALL_RIGHTS, Right
from bridge.tenants.confined import ConfinedLocks, folder_path


@pytest.fixture
def tenant(tmp_path: FilePath) -> Iterator[Locks]:
    """The locks as they are kept, by the tenant's paths."""
    with open_state(tmp_path / "state.db") as state:
        yield state.locks("tenant")


def confined(tenant: Locks, root: str = "/a/b", rights: Right = ALL_RIGHTS) -> ConfinedLocks:
    return ConfinedLocks(tenant, rights, folder_path(root))


def lock(token: str, root: str, *, deep: bool = True, exclusive: bool = True) -> Lock:
    return Lock(token, root, deep, exclusive, "<owner/>", "somebody", 600, 0.0)


def test_are_kept_by_the_tenants_paths_and_shown_by_the_credentials(tenant: Locks) -> None:
    locks = confined(tenant)
    locks.add(lock("t:1", "/d", exclusive=False))
    locks.add(lock("t:2", "/d/f", exclusive=False))
    locks.add(lock("t:3", "/", exclusive=False))
    assert sorted(held.root for held in tenant.covering("/", children=True)) == [
        "/a/b",
        "/a/b/d",
        "/a/b/d/f",
    ]
    assert [held.root for held in locks.covering("/d")] == ["/", "/d"]
    assert sorted(held.root for held in locks.covering("/", children=True)) == ["/", "/d", "/d/f"]
    found = locks.get("t:2")
    assert found is not None
    assert (found.root, found.owner, found.principal) == ("/d/f", "<owner/>", "somebody")
    refreshed = locks.refresh("t:2", 1000)
    assert refreshed is not None
    assert (refreshed.root, refreshed.timeout) == ("/d/f", 1000)
    locks.remove_below("/d")
    assert [held.root for held in tenant.covering("/a/b", children=True)] == ["/a/b"]
    assert locks.remove("t:3")
    assert not locks.any()


def test_of_two_credentials_conflict_wherever_their_folders_meet(tenant: Locks) -> None:
    inner, outer = confined(tenant, "/a/b"), confined(tenant, "/a")
    inner.add(lock("t:1", "/f"))
    with pytest.raises(LockConflict) as raised:
        outer.add(lock("t:2", "/b"))
    assert raised.value.held.root == "/b/f"
    outer.add(lock("t:3", "/b", deep=False))
    with pytest.raises(LockConflict) as raised:
        inner.add(lock("t:4", "/"))
    assert raised.value.held.root in ("/", "/f")


def test_on_a_folder_above_are_on_the_root_and_tell_nothing_more(tenant: Locks) -> None:
    tenant.add(lock("t:outside", "/a"))
    locks = confined(tenant)
    for where in ("/", "/d/f"):
        (held,) = locks.covering(where)
        assert (held.root, held.deep, held.exclusive) == ("/", True, True)
        assert (held.token, held.owner, held.principal) == ("", "", "")
    with pytest.raises(LockConflict) as raised:
        locks.add(lock("t:1", "/f"))
    assert raised.value.held.root == "/"
    assert "/a" not in str(raised.value)
    assert raised.value.held.token == ""


@pytest.mark.parametrize("root", ["/", "/a", "/a/bc", "/a/b2/f", "/other", "/f", "/d"])
def test_outside_are_unknown(tenant: Locks, root: str) -> None:
    tenant.add(lock("t:outside", root))
    locks = confined(tenant)
    assert locks.get("t:outside") is None
    assert locks.refresh("t:outside", 10) is None
    assert not locks.remove("t:outside")
    assert not locks.remove("")
    locks.remove_below("/")
    held = tenant.get("t:outside")
    assert held is not None
    assert held.timeout == 600


def test_on_the_parent_alone_are_not_seen(tenant: Locks) -> None:
    tenant.add(lock("t:outside", "/a", deep=False))
    assert confined(tenant).covering("/", children=True) == []


def test_of_a_folder_whose_name_has_two_forms_are_found_by_both(tenant: Locks) -> None:
    composed, decomposed = (
        ConfinedLocks(tenant, ALL_RIGHTS, Path((name,))) for name in ("caf\u00e9", "cafe\u0301")
    )
    composed.add(lock("t:1", "/f"))
    assert [held.token for held in decomposed.covering("/f")] == ["t:1"]


@pytest.mark.parametrize(
    "rights", [Right.READ, Right.LIST | Right.READ | Right.DELETE], ids=["READ", "all but WRITE"]
)
def test_are_taken_kept_and_given_back_by_who_may_write(tenant: Locks, rights: Right) -> None:
    confined(tenant).add(lock("t:1", "/f"))
    locks = confined(tenant, rights=rights)
    with pytest.raises(NotAllowed):
        locks.add(lock("t:2", "/g"))
    with pytest.raises(NotAllowed):
        locks.refresh("t:1", 10)
    with pytest.raises(NotAllowed):
        locks.remove("t:1")
    assert [held.token for held in locks.covering("/", children=True)] == ["t:1"]
    locks.remove_below("/f")  # as a DELETE does
    assert not tenant.any()
