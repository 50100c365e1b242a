"""The retrying wrapper: what it tries again, for how long, and what it leaves to the caller."""

from __future__ import annotations

import random

import pytest

from bridge.store.api import (
    Changed,
    Exists,
    Forbidden,
    NotFound,
    ObjectStore,
    RateLimited,
    StoreError,
    Unavailable,
    UploadBroken,
)
from bridge.store.deadline import deadline
from bridge.store.memory import MemoryStore
from bridge.store.retrying import RetryingStore
from tests.store.faulty import FAILED, LOST, CountingStore, Fault, FaultyStore, RandomFaults, Script
from tests.store.objects import keys, read, write

REFUSED = Fault(RateLimited)
BROKEN = Fault(UploadBroken)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


def retrying(inner: ObjectStore, time: Time | None = None, limit: float = 20.0) -> RetryingStore:
    time = time or Time()
    return RetryingStore(
        inner,
        limit=limit,
        first=0.1,
        longest=2.0,
        sleep=time.sleep,
        clock=lambda: time.now,
        chance=lambda: 0.0,
    )


def test_a_call_that_fails_for_now_is_tried_until_it_succeeds() -> None:
    time = Time()
    script = Script(stat=[FAILED, REFUSED, FAILED, REFUSED, FAILED, FAILED, FAILED])
    memory = MemoryStore()
    info = write(memory, "k")
    assert retrying(FaultyStore(memory, script), time).stat("k") == info
    assert script.done
    assert time.pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_jitter_takes_away_up_to_half_of_a_pause() -> None:
    time = Time()
    store = RetryingStore(
        FaultyStore(MemoryStore(), Script(probe=[FAILED] * 40)),
        limit=1000,
        sleep=time.sleep,
        clock=lambda: time.now,
        chance=random.Random(5).random,
    )
    store.probe()
    assert all(2.5 <= pause <= 5.0 for pause in time.pauses[6:])
    assert len(set(time.pauses)) == 40


def test_it_gives_up_with_the_last_error_when_its_time_is_over() -> None:
    time = Time()
    store = retrying(FaultyStore(MemoryStore(), lambda _operation, _key: REFUSED), time, limit=5)
    with pytest.raises(RateLimited):
        store.stat("k")
    assert 3 < time.now <= 5


def test_it_never_sleeps_beyond_the_ambient_deadline() -> None:
    time = Time()
    store = retrying(FaultyStore(MemoryStore(), lambda _operation, _key: FAILED), time)
    with deadline(0.5), pytest.raises(Unavailable):
        store.stat("k")
    assert max(time.pauses, default=0) < 0.5


@pytest.mark.parametrize("error", [Forbidden, NotFound, Changed, Exists, StoreError])
def test_what_will_not_change_is_not_tried_again(error: type[StoreError]) -> None:
    time = Time()
    counting = CountingStore(FaultyStore(MemoryStore(), Script(stat=[Fault(error)])))
    with pytest.raises(error):
        retrying(counting, time).stat("k")
    assert counting.take() == {"stat": 1}
    assert time.pauses == []


def test_a_write_is_not_tried_again_and_its_upload_is_never_committed() -> None:
    memory = MemoryStore()
    for fault in (FAILED, LOST):
        counting = CountingStore(FaultyStore(memory, Script(write=[None, fault])))
        upload = retrying(counting).put("k")
        upload.write(b"one")
        with pytest.raises(Unavailable):
            upload.write(b"two")
        assert counting.take()["write"] == 2
        with pytest.raises(UploadBroken):
            upload.commit({})
        upload.abort()
    assert keys(memory.list("")) == []


def test_an_upload_whose_content_is_lost_ends_at_once() -> None:
    time = Time()
    memory = MemoryStore()
    upload = retrying(FaultyStore(memory, Script(commit=[BROKEN])), time).put("k")
    upload.write(b"content")
    with pytest.raises(UploadBroken):
        upload.commit({})
    assert time.pauses == []
    assert keys(memory.list("")) == []


def test_an_empty_object_is_begun_anew_when_its_upload_broke() -> None:
    time = Time()
    memory = MemoryStore()
    script = Script(commit=[BROKEN, FAILED, BROKEN, None], put=[None, FAILED])
    counting = CountingStore(FaultyStore(memory, script))
    info = retrying(counting, time).put("k").commit({"n": "1"})
    assert memory.stat("k") == info
    assert (counting.take(), len(time.pauses)) == ({"put": 3, "commit": 4}, 3)


def test_an_empty_object_that_never_gets_through_is_given_up() -> None:
    time = Time()
    upload = retrying(
        FaultyStore(MemoryStore(), lambda o, _: BROKEN if o == "commit" else None), time
    )
    with pytest.raises(Unavailable):
        upload.put("k").commit({})
    assert 10 < time.now <= 20


def test_an_empty_object_that_was_there_after_all_is_found_behind_exists() -> None:
    memory = MemoryStore()
    lost = Fault(UploadBroken, after=True)
    upload = retrying(FaultyStore(memory, Script(commit=[lost]))).put("k")
    with pytest.raises(Exists):
        upload.commit({"id": "mine"}, if_absent=True)
    assert memory.stat("k").metadata == {"id": "mine"}


def test_an_aborted_upload_is_not_begun_anew() -> None:
    memory = MemoryStore()
    upload = retrying(memory).put("k")
    upload.abort()
    with pytest.raises(UploadBroken):
        upload.commit({})
    assert keys(memory.list("")) == []


def test_a_commit_whose_answer_was_lost_is_repeated() -> None:
    memory = MemoryStore()
    store = retrying(FaultyStore(memory, Script(commit=[FAILED, LOST])))
    info = write(store, "k", b"content")
    assert memory.stat("k") == info


def test_after_a_lost_answer_the_caller_finds_its_own_object_behind_exists() -> None:
    memory = MemoryStore()
    store = retrying(FaultyStore(memory, Script(commit=[LOST], copy=[LOST])))
    with pytest.raises(Exists):
        write(store, "k", b"content", {"id": "mine"}, if_absent=True)
    assert store.stat("k").metadata == {"id": "mine"}
    with pytest.raises(Exists):
        store.copy("k", "copy", if_absent=True)
    assert store.stat("copy").metadata == {"id": "mine"}


def test_after_a_lost_answer_the_caller_finds_its_object_moved_behind_not_found() -> None:
    memory = MemoryStore()
    info = write(memory, "a", b"content")
    upload_id = memory.create_multipart("m")
    store = retrying(FaultyStore(memory, Script(move=[LOST], complete_multipart=[LOST])))
    with pytest.raises(NotFound):
        store.move("a", "b")
    assert store.stat("b").version == info.version
    with pytest.raises(NotFound):
        store.complete_multipart("m", upload_id, {"id": "mine"})
    assert store.stat("m").metadata == {"id": "mine"}


def test_a_download_that_breaks_off_goes_on_where_it_was() -> None:
    memory = MemoryStore()
    content = random.Random(1).randbytes(1_000_000)
    write(memory, "k", content)
    counting = CountingStore(
        FaultyStore(memory, Script(read=[None, FAILED, None, REFUSED, FAILED], get=[FAILED]))
    )
    assert read(retrying(counting), "k", 1000, 500_000) == content[1000:501_000]
    assert counting.take()["get"] == 5


def test_a_download_never_goes_on_in_another_version() -> None:
    memory = MemoryStore()
    write(memory, "k", b"a" * 100)
    store = retrying(FaultyStore(memory, Script(read=[None, FAILED])))
    buffer = bytearray(10)
    with store.get("k") as download:
        assert download.readinto(memoryview(buffer)) == 10
        write(memory, "k", b"b" * 100)
        with pytest.raises(Changed):
            download.readinto(memoryview(buffer))
    assert buffer == b"a" * 10


def test_a_listing_that_breaks_off_goes_on_after_its_last_key() -> None:
    memory = MemoryStore()
    for number in range(3500):
        write(memory, f"d/{number:04}")
    store = retrying(FaultyStore(memory, Script(list=[FAILED, None, FAILED, None, None, FAILED])))
    assert keys(store.list("d/")) == [f"d/{number:04}" for number in range(3500)]


def test_under_random_faults_all_calls_succeed_in_the_end() -> None:
    memory = MemoryStore()
    faults = RandomFaults(random.Random(3), 0.2, errors=(Unavailable, RateLimited))
    store = retrying(FaultyStore(memory, lambda o, k: None if o == "write" else faults(o, k)))
    for number in range(200):
        write(store, f"d/{number}", b"%d" % number)
        assert read(store, f"d/{number}") == b"%d" % number
    assert faults.count > 50
    assert len(keys(memory.list("d/"))) == 200


def test_a_closed_store_is_not_waited_for() -> None:
    time = Time()
    store = retrying(MemoryStore(), time)
    store.close()
    with pytest.raises(Unavailable):
        store.stat("k")
    assert time.pauses == []
