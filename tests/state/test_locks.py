"""WebDAV locks: what conflicts, what covers, what expires (RFC 4918, sections 6 and 7)."""

from __future__ import annotations

import itertools
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from bridge.state.api import Lock, LockConflict, Locks, StateError
from bridge.state.database import DatabaseState
from tests.state.conftest import Clock, Database


def lock(
    root: str, *, deep: bool = True, exclusive: bool = True, token: str = "", timeout: int = 600
) -> Lock:
    return Lock(
        token=token or f"urn:uuid:{root}:{deep}:{exclusive}",
        root=root,
        deep=deep,
        exclusive=exclusive,
        owner="<D:href>me</D:href>",
        principal="anna",
        timeout=timeout,
        left=0.0,
    )


def roots(found: list[Lock]) -> set[str]:
    return {each.root for each in found}


@pytest.fixture
def locks(state: DatabaseState) -> Locks:
    return state.locks("tenant")


def conflicts(held: Lock, new: Lock) -> bool:
    """RFC 4918, section 6.1, said once more and differently."""

    def reaches(one: Lock, path: str) -> bool:
        return one.root == path or (one.deep and path.startswith(one.root.rstrip("/") + "/"))

    together = reaches(held, new.root) or reaches(new, held.root)
    return together and (held.exclusive or new.exclusive)


PATHS = ["/", "/a", "/a/b", "/a/b/c", "/a/bc", "/ab", "/a%", "/a_b", "/A"]


@pytest.mark.parametrize("held_root", PATHS)
def test_a_lock_conflicts_exactly_when_the_rfc_says(state: DatabaseState, held_root: str) -> None:
    kinds = list(itertools.product([False, True], [False, True]))
    number = 0
    for (held_deep, held_exclusive), (deep, exclusive) in itertools.product(kinds, kinds):
        for root in PATHS:
            number += 1
            locks = state.locks(f"tenant{number}")
            held = lock(held_root, deep=held_deep, exclusive=held_exclusive, token="held")
            new = lock(root, deep=deep, exclusive=exclusive, token="new")
            locks.add(held)
            if conflicts(held, new):
                with pytest.raises(LockConflict) as caught:
                    locks.add(new)
                assert caught.value.held.token == "held"
                assert locks.get("new") is None
            else:
                locks.add(new)
                assert locks.get("new") is not None


def test_a_lock_comes_back_as_it_was_given(locks: Locks, clock: Clock) -> None:
    given = lock("/Straße/日本\U0001f600;?#%+\"'", deep=False, exclusive=False, token="opaque:x")
    locks.add(given)
    found = locks.get("opaque:x")
    assert found is not None
    assert found.left == given.timeout
    clock.seconds += 400
    assert [each.left for each in locks.covering(given.root)] == [200]
    assert (found.token, found.root, found.deep, found.exclusive) == (
        given.token,
        given.root,
        False,
        False,
    )
    assert (found.owner, found.principal, found.timeout) == (given.owner, given.principal, 600)


@pytest.mark.parametrize("token", ["", chr(0xDCFF), chr(0xD800), "a\0b", "'; DROP TABLE locks; --"])
def test_any_token_a_client_sends_is_only_a_token(locks: Locks, token: str) -> None:
    assert locks.get(token) is None
    assert locks.refresh(token, 10) is None
    assert not locks.remove(token)
    locks.add(lock("/x", token=token or "empty"))
    assert locks.any()


def test_a_token_cannot_be_used_twice(locks: Locks) -> None:
    locks.add(lock("/a", token="same"))
    with pytest.raises(StateError):
        locks.add(lock("/b", token="same"))
    assert roots(locks.covering("/", children=True)) == {"/a"}


def test_covering_finds_the_path_deep_ancestors_and_on_request_all_below(locks: Locks) -> None:
    for root, deep in [
        ("/", False),
        ("/a", True),
        ("/a/b/c", True),
        ("/a/b/c/d", False),
        ("/a/bc", True),
        ("/a/b-", True),
        ("/a/b0", True),
    ]:
        locks.add(lock(root, deep=deep, exclusive=False))
    assert roots(locks.covering("/a/b")) == {"/a"}
    assert roots(locks.covering("/a/b", children=True)) == {"/a", "/a/b/c", "/a/b/c/d"}
    assert roots(locks.covering("/a/b/c/d")) == {"/a", "/a/b/c", "/a/b/c/d"}
    assert roots(locks.covering("/")) == {"/"}
    assert len(locks.covering("/", children=True)) == 7
    assert roots(locks.covering("/other")) == set()


@pytest.mark.parametrize("wild", ["%", "_", "*", "?", "[a-z]", "\\", "a%"])
def test_wild_characters_in_names_mean_themselves(locks: Locks, wild: str) -> None:
    locks.add(lock("/abc/x"))
    locks.add(lock(f"/{wild}/x"))
    assert roots(locks.covering(f"/{wild}", children=True)) == {f"/{wild}/x"}
    locks.remove_below(f"/{wild}")
    assert roots(locks.covering("/", children=True)) == {"/abc/x"}


def test_removing_below_takes_the_path_and_what_is_under_it_only(locks: Locks) -> None:
    for root in ["/a", "/a/b", "/a/b/c", "/ab", "/a.", "/a0"]:
        locks.add(lock(root, deep=False))
    locks.remove_below("/a")
    assert roots(locks.covering("/", children=True)) == {"/ab", "/a.", "/a0"}
    locks.remove_below("/")
    assert not locks.any()


def test_expired_locks_are_gone_for_every_question(locks: Locks, clock: Clock) -> None:
    locks.add(lock("/a", token="t", timeout=10))
    clock.seconds += 9.9
    assert locks.any()
    clock.seconds += 0.1
    assert not locks.any()
    assert locks.get("t") is None
    assert locks.covering("/a", children=True) == []
    assert locks.refresh("t", 10) is None
    assert not locks.remove("t")
    locks.add(lock("/a", token="u"))
    assert locks.purge() == 1
    assert locks.purge() == 0
    assert locks.get("u") is not None


def test_a_refreshed_lock_lives_from_now(locks: Locks, clock: Clock) -> None:
    locks.add(lock("/a", token="t", timeout=10))
    clock.seconds += 9
    refreshed = locks.refresh("t", 20)
    assert refreshed is not None
    assert refreshed.timeout == 20
    assert refreshed.left == 20
    clock.seconds += 19
    assert locks.get("t") == replace(refreshed, left=1)


def test_a_path_of_thousands_of_folders_is_only_a_long_path(locks: Locks) -> None:
    locks.add(lock("/a/a"))
    assert roots(locks.covering("/a" * 5000, children=True)) == {"/a/a"}


def test_long_roots_that_differ_only_at_their_end_are_different(locks: Locks) -> None:
    # Beyond what an index of PostgreSQL takes, and with nothing in it to compress.
    folder = "/" + random.Random(1).randbytes(4000).hex()
    ends = ["", "/a", "/a/b", "/ab", "b", "/b"]
    for end in ends:
        locks.add(lock(folder + end, deep=False, token=f"token {end}"))
    assert roots(locks.covering(folder + "/a")) == {folder + "/a"}
    below = {folder + end for end in ("/a", "/a/b")}
    assert roots(locks.covering(folder + "/a", children=True)) == below
    assert roots(locks.covering("/", children=True)) == {folder + end for end in ends}
    locks.remove_below(folder + "/a")
    assert roots(locks.covering("/", children=True)) == {folder + end for end in ends} - below
    deep = lock(folder + "/deep", token="deep")
    locks.add(deep)
    with pytest.raises(LockConflict):
        locks.add(lock(deep.root + "/c", token="below"))
    assert roots(locks.covering(deep.root + "/c")) == {deep.root}
    assert roots(locks.covering(folder + "/deeper")) == set()


def test_a_lock_is_removed_once(locks: Locks) -> None:
    locks.add(lock("/a", token="t"))
    assert locks.remove("t")
    assert not locks.remove("t")
    assert not locks.any()


def test_tenants_do_not_see_each_others_locks(state: DatabaseState) -> None:
    mine, theirs = state.locks("mine"), state.locks("theirs")
    mine.add(lock("/", token="t"))
    assert not theirs.any()
    assert theirs.get("t") is None
    assert not theirs.remove("t")
    theirs.remove_below("/")
    theirs.add(lock("/", token="t"))
    assert mine.any()


def test_of_many_who_ask_at_once_one_gets_the_exclusive_lock(database: Database) -> None:
    tables = [database.open().locks("tenant") for _ in range(2)]

    def ask(number: int) -> bool:
        try:
            tables[number % 2].add(lock("/a", token=str(number)))
        except LockConflict:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(ask, range(32))) == 1


def test_another_process_sees_a_lock_at_once(database: Database) -> None:
    mine, theirs = database.open().locks("tenant"), database.open().locks("tenant")
    assert not theirs.any()
    mine.add(lock("/a", token="t"))
    assert theirs.any()
    mine.remove("t")
    assert not theirs.any()


def test_locks_survive_a_restart(database: Database) -> None:
    first = database.open()
    first.locks("tenant").add(lock("/a", token="t"))
    held = first.locks("tenant").get("t")
    first.close()
    assert database.open().locks("tenant").get("t") == held


def test_questions_stay_quick_beside_ten_thousand_locks(locks: Locks) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: locks.add(lock(f"/d{n % 100}/f{n}")), range(10_000)))
    start = time.process_time()  # of other processes' load it knows nothing
    for number in range(100):
        assert locks.any()
        path = f"/d{number}/f{number}"
        assert roots(locks.covering(path)) == {path}
        assert roots(locks.covering(f"/d{number}/none", children=True)) == set()
        assert len(locks.covering(f"/d{number}", children=True)) == 100
    assert time.process_time() - start < 1


@pytest.mark.parametrize("wrong", [-86_400, 86_400])
def test_a_wrong_clock_of_this_machine_shortens_and_lengthens_no_lock(
    on_postgresql: Database, monkeypatch: pytest.MonkeyPatch, wrong: int
) -> None:
    right, own = on_postgresql.open(real=True), time.time
    right.locks("tenant").add(lock("/theirs", token="theirs", timeout=600))
    monkeypatch.setattr(time, "time", lambda: own() + wrong)
    locks = on_postgresql.open(real=True).locks("tenant")
    locks.add(lock("/mine", token="mine", timeout=600))
    held = [*locks.covering("/", children=True), locks.get("mine"), locks.refresh("theirs", 600)]
    assert [each is not None and 540 < each.left < 601 for each in held] == [True] * 4
    assert locks.purge() == 0
