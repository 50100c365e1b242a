"""Transfers and calls while the network under them breaks, and after it has come back.

A call must end by its limit with what went wrong, nothing that was acknowledged may be lost, and
the same store must work again afterwards.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from bridge.store.api import Download, ObjectStore, StoreError, Unavailable, Upload, UploadBroken
from bridge.store.deadline import deadline
from bridge.store.retrying import RetryingStore
from bridge.store.storj.store import StorjStore
from tests.network.client import NODES, Network
from tests.network.values import Project
from tests.store.objects import exists, keys, read, write
from tests.store.storj.opening import open_bucket

CALL = 5.0
"""Seconds that a call of these tests may last."""

LATE = 30.0
"""Seconds after which a call that should have ended is taken for hanging."""

PIECE = 256 << 10
CONTENT = random.Random(1).randbytes(24 << 20)
SMALL = b"acknowledged"


@pytest.fixture
def store(network: Network, storj_project: Project) -> Iterator[StorjStore]:
    made = open_bucket(network, storj_project, call_seconds=CALL)
    yield made
    network.restore()
    made.close()


@contextmanager
def _faults(network: Network, change: Callable[[int], object], every: float) -> Iterator[None]:
    """``change(0)``, ``change(1)``, ... all the time; in the end the network is whole."""
    over = threading.Event()

    def work() -> None:
        for number in itertools.count():
            if over.is_set():
                return
            change(number)
            over.wait(every)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work)
        try:
            yield
        finally:
            over.set()
            running.result()
            network.restore()


def _send(store: StorjStore, key: str, pause: float = 0.0) -> None:
    """Put CONTENT in pieces."""
    upload = store.put(key)
    try:
        for start in range(0, len(CONTENT), PIECE):
            upload.write(CONTENT[start : start + PIECE])
            time.sleep(pause)  # a client has a speed of its own
        upload.commit({})
    except BaseException:
        upload.abort()
        raise


def _get(store: ObjectStore, key: str, pause: float = 0.0) -> bytes:
    content = bytearray()
    buffer = memoryview(bytearray(PIECE))
    with store.get(key) as download:
        while count := download.readinto(buffer):
            content += buffer[:count]
            time.sleep(pause)
    return bytes(content)


def _ended(call: Callable[[], object]) -> StoreError | None:
    """What ``call`` raised, in another thread: it must end, and with nothing but a StoreError."""
    done: Future[object] = Future()

    def work() -> None:
        try:
            done.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised below
            done.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    error = done.exception(LATE)
    if error is None or isinstance(error, StoreError):
        return error
    raise error


def _transfers(network: Network, store: StorjStore, change: Callable[[int], object]) -> None:
    """An upload and a download under ``change``: each whole, or Unavailable and done anew."""
    write(store, "there", CONTENT)
    got: list[bytes] = []
    with _faults(network, change, every=0.3):
        sent = _ended(lambda: _send(store, "new", pause=0.02))
        read_back = _ended(lambda: got.append(_get(store, "there", pause=0.02)))
    for error in (sent, read_back):
        assert error is None or isinstance(error, Unavailable), error
    assert read_back is not None or got == [CONTENT]
    print(f"\nupload: {sent!r}\ndownload: {read_back!r}")
    if sent is None or exists(store, "new"):  # the answer to its commit may have been lost
        assert read(store, "new") == CONTENT
    assert read(store, "there") == CONTENT


def _works(store: StorjStore) -> None:
    """The very same store does all it should."""
    _send(store, "after")
    assert read(store, "after") == CONTENT
    store.move("after", "moved")
    store.copy("moved", "copy")
    assert {"copy", "moved"} <= set(keys(store.list("")))
    store.delete_many(["copy", "moved"])
    assert not exists(store, "moved")


def _one_node_at_a_time(network: Network) -> Callable[[int], object]:
    """Cuts a node off, brings it back and cuts the next one off."""

    def change(number: int) -> None:
        network.restore(*NODES)
        network.cut(NODES[number % len(NODES)])

    return change


def _rounds(
    network: Network, store: StorjStore, change: Callable[[int], object], rounds: int
) -> None:
    for _ in range(rounds):
        _transfers(network, store, change)
        _works(store)
        store.delete("new")


def test_nodes_are_cut_off_one_by_one(network: Network, store: StorjStore) -> None:
    _rounds(network, store, _one_node_at_a_time(network), 1)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_nodes_are_cut_off_one_by_one_many_times(network: Network, store: StorjStore) -> None:
    _rounds(network, store, _one_node_at_a_time(network), 15)


def _without_one(network: Network, store: StorjStore, node: str) -> None:
    """A node gone in mid-transfer is one too few for nobody: any two of the four will do."""
    upload = store.put(node)
    upload.write(CONTENT[: 4 << 20])
    network.cut(node)
    for start in range(4 << 20, len(CONTENT), PIECE):
        upload.write(CONTENT[start : start + PIECE])
    upload.commit({})
    assert _get(store, node) == CONTENT  # it has a piece less
    network.restore()
    content = bytearray()
    buffer = memoryview(bytearray(PIECE))
    with store.get(node) as download:
        while count := download.readinto(buffer):
            content += buffer[:count]
            if len(content) <= PIECE:
                network.cut(node)
    network.restore()
    assert content == CONTENT


def test_one_node_less_is_not_noticed(network: Network, store: StorjStore) -> None:
    _without_one(network, store, NODES[1])


@pytest.mark.long
@pytest.mark.timeout(600)
def test_any_node_less_is_not_noticed(network: Network, store: StorjStore) -> None:
    for node in 5 * NODES:
        _without_one(network, store, node)


def _resets(network: Network) -> Callable[[int], object]:
    """Resets every connection."""

    def change(_number: int) -> None:
        network.reset(*NODES, "satellite")

    return change


def test_connections_are_reset(network: Network, store: StorjStore) -> None:
    _rounds(network, store, _resets(network), 1)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_connections_are_reset_many_times(network: Network, store: StorjStore) -> None:
    _rounds(network, store, _resets(network), 15)


@pytest.mark.long
def test_a_retried_download_goes_on_where_it_broke_off(network: Network, store: StorjStore) -> None:
    write(store, "there", CONTENT)
    content = bytearray()
    buffer = memoryview(bytearray(PIECE))
    with RetryingStore(store, longest=0.5).get("there") as download:
        while count := download.readinto(buffer):
            if len(content) // (8 << 20) != (len(content) + count) // (8 << 20):
                network.reset(*NODES, "satellite")
            content += buffer[:count]
    assert content == CONTENT


def test_without_any_node_transfers_are_unavailable(network: Network, store: StorjStore) -> None:
    write(store, "there", CONTENT)
    network.cut(*NODES)
    for call in (
        lambda: _send(store, "new"),
        lambda: write(store, "new", CONTENT[:70_000]),
        lambda: read(store, "there"),
    ):
        assert isinstance(_ended(call), Unavailable)
    assert store.stat("there").size == len(CONTENT)
    assert not exists(store, "new")
    network.restore()
    assert read(store, "there") == CONTENT
    _works(store)


def test_a_stalled_upload_ends_by_its_limit(network: Network, store: StorjStore) -> None:
    upload = store.put("new")
    upload.write(CONTENT[: 2 << 20])
    network.stall(*NODES)
    with pytest.raises(UploadBroken), deadline(2):
        _write_on(upload)
    with pytest.raises(UploadBroken):
        upload.commit({})
    upload.abort()
    assert not exists(store, "new")
    network.restore()
    _works(store)


def test_a_stalled_download_ends_by_its_limit(network: Network, store: StorjStore) -> None:
    write(store, "there", CONTENT)
    with store.get("there") as download:
        download.readinto(memoryview(bytearray(PIECE)))
        network.stall(*NODES)
        with pytest.raises(Unavailable), deadline(2):
            _read_on(download)
    network.restore()
    assert read(store, "there") == CONTENT


def test_a_satellite_that_says_nothing_is_given_up(network: Network, store: StorjStore) -> None:
    write(store, "there", SMALL)
    network.stall("satellite")
    with pytest.raises(Unavailable), deadline(1):
        store.stat("there")
    with pytest.raises(Unavailable):  # the store's own limit
        store.stat("there")
    network.restore()
    assert read(store, "there") == SMALL


def test_a_mute_connection_of_a_transfer_is_not_taken_again(
    network: Network, store: StorjStore
) -> None:
    """Whoever finds that a connection says nothing any more closes it: others are not to wait."""
    write(store, "there", CONTENT)
    network.lose("DownloadObject", silent=True)
    assert isinstance(_ended(lambda: read(store, "there")), Unavailable)
    with deadline(CALL / 2):
        assert store.stat("there").size == len(CONTENT)
    network.lose("BeginSegment", silent=True)
    assert isinstance(_ended(lambda: _send(store, "new")), Unavailable)
    with deadline(CALL / 2):
        assert not exists(store, "new")
    network.restore()
    _works(store)


def test_what_failed_is_not_cleaned_up_for_ever(network: Network, store: StorjStore) -> None:
    """uplink removes an upload that failed, and would wait without end for an answer to that."""
    network.cut(*NODES)
    network.lose("BeginDeleteObject", silent=True)
    assert isinstance(_ended(lambda: write(store, "new", CONTENT[:70_000])), Unavailable)
    assert network.proxies()["satellite"].lost > 0
    network.restore()
    assert not exists(store, "new")
    _works(store)


def _write_on(upload: Upload) -> None:
    while True:
        upload.write(CONTENT[:PIECE])


def _read_on(download: Download) -> None:
    buffer = memoryview(bytearray(PIECE))
    while download.readinto(buffer):
        pass


@pytest.fixture
def patient(network: Network, storj_project: Project) -> Iterator[StorjStore]:
    """A store whose calls last longer than these tests wait."""
    made = open_bucket(network, storj_project, call_seconds=4 * LATE)
    yield made
    network.restore()
    made.close()


def _interrupted(call: Callable[[], None], end: Callable[[], None]) -> StoreError:
    """What ``call``, which hangs, raises once ``end`` was called in another thread."""
    timer = threading.Timer(1.0, end)
    timer.start()
    error = _ended(call)
    timer.join(LATE)
    assert not timer.is_alive()
    assert error is not None
    return error


def test_an_abort_ends_a_write_that_hangs(network: Network, patient: StorjStore) -> None:
    upload = patient.put("new")
    upload.write(CONTENT[: 2 << 20])
    network.stall(*NODES)
    assert isinstance(_interrupted(lambda: _write_on(upload), upload.abort), UploadBroken)
    network.restore()
    assert not exists(patient, "new")


def test_an_abort_ends_an_upload_that_is_being_begun(network: Network, patient: StorjStore) -> None:
    network.stall(*NODES)
    network.delay(1_500, "satellite")  # each way: it is still being begun when it is aborted
    upload = patient.put("new")
    error = _interrupted(lambda: upload.write(CONTENT[: 2 << 20]), upload.abort)
    assert isinstance(error, UploadBroken)
    network.restore()
    assert not exists(patient, "new")
    assert list(patient.list_multiparts("")) == []


def test_a_close_ends_a_read_that_hangs(network: Network, patient: StorjStore) -> None:
    write(patient, "there", CONTENT)
    download = patient.get("there")
    download.readinto(memoryview(bytearray(PIECE)))
    network.stall(*NODES)
    assert isinstance(_interrupted(lambda: _read_on(download), download.close), Unavailable)


def test_a_closed_store_ends_all_that_hangs(network: Network, patient: StorjStore) -> None:
    write(patient, "there", SMALL)
    network.stall("satellite")
    error = _interrupted(lambda: _stat(patient), patient.close)
    assert isinstance(error, Unavailable)


def _stat(store: StorjStore) -> None:
    store.stat("there")


def _without_satellite(network: Network, store: StorjStore, seconds: float) -> None:
    """Every kind of call while it is gone: Unavailable, and nothing lost afterwards."""
    write(store, "there", SMALL)
    write(store, "moved0", SMALL)
    calls: list[Callable[[], object]] = [
        lambda: store.stat("there"),
        lambda: list(store.list("")),
        lambda: write(store, "new", SMALL),
        lambda: _send(store, "new"),
        lambda: store.move("moved0", "moved1"),
        lambda: store.copy("there", "copy"),
        lambda: store.delete("there"),
        lambda: store.get("there"),
        store.probe,
    ]
    network.cut("satellite")
    ends = time.monotonic() + seconds
    with ThreadPoolExecutor(len(calls)) as pool:
        while time.monotonic() < ends:
            for error in pool.map(_ended, calls):
                assert isinstance(error, Unavailable)
    network.restore()
    assert set(keys(store.list(""))) == {"there", "moved0"}
    assert read(store, "there") == read(store, "moved0") == SMALL
    _works(store)


def test_the_satellite_is_gone_for_a_while(network: Network, store: StorjStore) -> None:
    _without_satellite(network, store, 3)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_satellite_is_gone_for_30_seconds(network: Network, store: StorjStore) -> None:
    _without_satellite(network, store, 30)


def _puts_with_lost_answers(network: Network, inner: StorjStore, count: int) -> None:
    """Puts by several writers, with the satellite's connections cut again and again."""
    store = RetryingStore(inner, limit=20.0, longest=0.5)
    acknowledged: dict[str, bytes] = {}
    refused: dict[str, bytes] = {}

    def put(number: int) -> None:
        key, content = f"key{number}", f"{number} ".encode() * (1 if number % 2 else 20_000)
        try:
            write(store, key, content)
        except Unavailable:
            refused[key] = content
        else:
            acknowledged[key] = content

    def change(number: int) -> None:
        network.cut("satellite")
        time.sleep(0.1)
        network.restore("satellite")

    with _faults(network, change, every=0.2), ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(count)))
    print(f"\n{len(acknowledged)} acknowledged, {len(refused)} refused")
    assert len(acknowledged) + len(refused) == count
    assert len(acknowledged) > count / 2
    for key, content in acknowledged.items():
        assert read(inner, key) == content
    for key, content in refused.items():
        assert not exists(inner, key) or read(inner, key) == content


def test_no_acknowledged_put_is_lost(network: Network, store: StorjStore) -> None:
    _puts_with_lost_answers(network, store, 60)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_no_acknowledged_put_of_many_is_lost(network: Network, store: StorjStore) -> None:
    _puts_with_lost_answers(network, store, 1_000)
