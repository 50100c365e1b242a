"""The test network itself: what its commands promise, shown by Storj's own Go client."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.network.client import NODES, PEERS, Network
from tests.network.errors import NetworkError
from tests.network.values import Project, Requests, Transferred
from tests.processes import clean_environment

MIB = 1 << 20

LIMIT = 60.0
"""Seconds that a transfer or something waited for may take."""


def wait_until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.005)


def carried_by_nodes(network: Network) -> int:
    proxies = network.proxies()
    return sum(proxies[node].carried for node in NODES)


def connected(network: Network, peer: str) -> socket.socket:
    """A connection that the proxy of ``peer`` has taken."""
    state = network.proxies()[peer]
    host, port = state.address.split(":")
    connection = socket.create_connection((host, int(port)), LIMIT)
    wait_until(lambda: network.proxies()[peer].accepted > state.accepted)
    return connection


def begun_upload(network: Network, project: Project) -> Future[Transferred]:
    """An upload to bucket/key in mid transfer, which the nodes' distance makes last."""
    before = carried_by_nodes(network)
    network.delay(100, *NODES)
    put = network.upload(project, "bucket", "key", 64 * MIB)
    wait_until(lambda: carried_by_nodes(network) > before + MIB)
    return put


def test_what_is_put_comes_back_and_all_of_it_goes_by_the_proxies(
    network: Network, storj_project: Project
) -> None:
    before = network.proxies()
    put = network.upload(storj_project, "bucket", "key", MIB).result(LIMIT)
    got = network.download(storj_project, "bucket", "key").result(LIMIT)
    after = network.proxies()
    assert got == put
    assert after["satellite"].accepted > before["satellite"].accepted
    carried = sum(after[node].carried - before[node].carried for node in NODES)
    assert carried > 3 * MIB  # two copies at least, and one back


def test_a_project_sees_nothing_of_another(network: Network, storj_project: Project) -> None:
    network.upload(storj_project, "bucket", "key", 1000).result(LIMIT)
    with pytest.raises(NetworkError, match="not found"):
        network.download(network.new_project(), "bucket", "key").result(LIMIT)


def test_the_grant_is_what_key_and_passphrase_give(
    network: Network, storj_project: Project
) -> None:
    put = network.upload(storj_project, "bucket", "key", 1000).result(LIMIT)
    ungranted = Project(
        storj_project.id,
        storj_project.satellite,
        storj_project.api_key,
        storj_project.passphrase,
        grant="",
    )
    assert network.download(ungranted, "bucket", "key").result(LIMIT) == put


def test_a_delay_holds_each_way_until_it_is_taken_back(
    network: Network, storj_project: Project
) -> None:
    network.upload(storj_project, "bucket", "key", 1000).result(LIMIT)
    network.delay(200, *PEERS)
    assert {state.delay_ms for state in network.proxies().values()} == {200}
    began = time.monotonic()
    network.download(storj_project, "bucket", "key").result(LIMIT)
    # A connection's handshake, that of TLS, and the request: there and back for each.
    assert time.monotonic() - began >= 3 * 2 * 0.2
    network.restore()
    assert {state.delay_ms for state in network.proxies().values()} == {0}


def test_what_is_delayed_arrives_whole(network: Network, storj_project: Project) -> None:
    network.delay(20, *PEERS)
    put = network.upload(storj_project, "bucket", "key", 16 * MIB).result(LIMIT)
    assert network.download(storj_project, "bucket", "key").result(LIMIT) == put


def test_a_stalled_satellite_takes_connections_and_carries_nothing(
    network: Network, storj_project: Project
) -> None:
    network.stall("satellite")
    before = network.proxies()["satellite"]
    put = network.upload(storj_project, "bucket", "key", 1000)
    wait_until(lambda: network.proxies()["satellite"].accepted > before.accepted)
    assert network.proxies()["satellite"].carried == before.carried
    assert not put.done()
    network.restore("satellite")
    assert put.result(LIMIT).size == 1000


def test_a_transfer_that_is_stalled_goes_on_after_it(
    network: Network, storj_project: Project
) -> None:
    put = begun_upload(network, storj_project)
    network.stall(*NODES)
    assert not put.done()
    network.restore()
    sent = put.result(LIMIT)
    assert network.download(storj_project, "bucket", "key").result(LIMIT) == sent


def test_a_satellite_that_is_cut_off_refuses_until_it_is_back(
    network: Network, storj_project: Project
) -> None:
    network.upload(storj_project, "bucket", "key", 1000).result(LIMIT)
    network.cut("satellite")
    assert network.proxies()["satellite"].open == 0
    with pytest.raises(NetworkError, match="uplink: "):
        network.download(storj_project, "bucket", "key").result(LIMIT)
    network.restore("satellite")
    assert network.download(storj_project, "bucket", "key").result(LIMIT).size == 1000


@pytest.mark.parametrize("node", NODES)
def test_the_network_works_without_any_one_node(
    network: Network, storj_project: Project, node: str
) -> None:
    put = network.upload(storj_project, "bucket", "before", MIB).result(LIMIT)
    network.cut(node)
    assert network.download(storj_project, "bucket", "before").result(LIMIT) == put
    network.upload(storj_project, "bucket", "while", MIB).result(LIMIT)
    network.restore(node)
    assert network.download(storj_project, "bucket", "while").result(LIMIT).size == MIB


def test_nodes_cut_off_in_mid_transfer_end_it(network: Network, storj_project: Project) -> None:
    put = begun_upload(network, storj_project)
    network.cut(*NODES)
    with pytest.raises(NetworkError, match="upload"):
        put.result(LIMIT)


def test_a_reset_ends_what_is_there_and_nothing_that_comes(
    network: Network, storj_project: Project
) -> None:
    with connected(network, "node0") as connection:
        assert network.reset("node0") > 0
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    connected(network, "node0").close()


def test_a_cut_closes_what_is_there_and_refuses_what_comes(
    network: Network, storj_project: Project
) -> None:
    with connected(network, "node0") as connection:
        network.cut("node0")
        assert connection.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        connected(network, "node0")
    network.restore()
    connected(network, "node0").close()


def test_the_network_is_whole_after_a_reset_in_mid_transfer(
    network: Network, storj_project: Project
) -> None:
    put = begun_upload(network, storj_project)
    assert network.reset(*PEERS) > 0
    network.restore()
    put.exception(LIMIT)  # or none: sometimes the client finds nodes enough to go on with
    sent = network.upload(storj_project, "bucket", "key", MIB).result(LIMIT)
    assert network.download(storj_project, "bucket", "key").result(LIMIT) == sent


def test_an_answer_is_lost_after_what_was_asked_is_done(
    network: Network, storj_project: Project
) -> None:
    network.upload(storj_project, "bucket", "first", 5_000).result(LIMIT)
    before = network.proxies()["satellite"].lost
    network.lose("CommitObject")
    with pytest.raises(NetworkError):
        network.upload(storj_project, "bucket", "second", 5_000).result(LIMIT)
    assert network.proxies()["satellite"].lost - before == 1
    network.upload(storj_project, "bucket", "third", 5_000).result(LIMIT)
    network.restore()
    assert network.bucket(storj_project, "bucket").objects == 3
    with pytest.raises(NetworkError, match="no method"):
        network.lose("Nothing")


def test_requests_are_counted_exactly(network: Network, storj_project: Project) -> None:
    before = network.requests()
    network.upload(storj_project, "bucket", "key", MIB).result(LIMIT)
    uploaded = network.requests()
    assert uploaded - before == Requests(
        {"CreateBucket": 1, "CompressedBatch": 2},
        {
            "CreateBucket": 1,
            "BeginObject": 1,
            "BeginSegment": 1,
            "CommitSegment": 1,
            "CommitObject": 1,
        },
        tokens=5,
    )
    network.download(storj_project, "bucket", "key").result(LIMIT)
    downloaded = network.requests()
    assert downloaded - uploaded == Requests({"CompressedBatch": 1}, {"DownloadObject": 1}, 1)
    assert network.requests() == downloaded


@pytest.mark.parametrize(
    ("limit", "says"),
    [
        ({"storage": 1000}, "storage limit exceeded"),
        ({"segments": 0}, "segments limit exceeded"),
        ({"rate": 1}, "too many requests"),
    ],
)
def test_a_limit_holds_as_soon_as_it_is_given_and_until_it_is_taken(
    network: Network, storj_project: Project, limit: dict[str, int], says: str
) -> None:
    network.upload(storj_project, "bucket", "before", MIB).result(LIMIT)
    network.limit(storj_project, **limit)
    with pytest.raises(NetworkError, match=says):
        network.upload(storj_project, "bucket", "while", MIB).result(LIMIT)
    network.limit(storj_project)
    network.upload(storj_project, "bucket", "after", MIB).result(LIMIT)


def test_a_limit_of_bandwidth_is_one_of_downloads(network: Network, storj_project: Project) -> None:
    network.upload(storj_project, "bucket", "key", MIB).result(LIMIT)
    network.download(storj_project, "bucket", "key").result(LIMIT)
    network.limit(storj_project, bandwidth=1000)
    with pytest.raises(NetworkError, match="bandwidth limit exceeded"):
        network.download(storj_project, "bucket", "key").result(LIMIT)


def test_production_limits_are_those_of_storj(network_program: Path) -> None:
    with Network(production_limits=True) as network:
        project = network.new_project()
        for _ in range(3):  # the burst
            network.upload(project, "bucket", "key", 1000).result(LIMIT)
        more = [network.upload(project, "bucket", "key", 1000) for _ in range(5)]
        refused = [str(error) for put in more if (error := put.exception(LIMIT)) is not None]
        assert len(refused) >= 3
        assert set(refused) == {"uplink: too many requests"}


def test_the_satellite_tells_what_is_in_a_bucket_and_whose_it_is(
    network: Network, storj_project: Project
) -> None:
    bucket = network.new_bucket_name()
    network.upload(storj_project, bucket, "a", MIB, user_agent="Partner/1.2").result(LIMIT)
    network.upload(storj_project, bucket, "b", 1000, user_agent="Other/1").result(LIMIT)
    state = network.bucket(storj_project, bucket)
    assert (state.user_agent, state.attribution) == ("Partner/1.2", "Partner/1.2")
    assert (state.objects, state.pending, state.segments) == (2, 0, 2)
    assert MIB + 1000 < state.bytes < 1.1 * MIB


def test_a_wrong_command_is_an_error_and_the_next_one_works(network: Network) -> None:
    with pytest.raises(NetworkError, match="no peer"):
        network.cut("node9")
    assert set(network.proxies()) == set(PEERS)


STARTS_ONE = """
import json, sys, time
from tests.network.client import Network

with Network() as network:
    print(json.dumps([network.pid, str(network._directory), network._postgres._process.pid]))
    sys.stdout.flush()
    time.sleep(600)
"""


def test_it_ends_with_whoever_started_it_even_by_a_kill(network_program: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTS_ONE],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    ) as starter:
        assert starter.stdout is not None
        program, directory, postgres = json.loads(starter.stdout.readline())
        assert Path(directory).is_dir()
        starter.kill()
    wait_until(lambda: not Path(directory).exists())
    wait_until(lambda: not runs(program) and not runs(postgres))


def test_it_ends_in_good_order_in_mid_transfer(network_program: Path) -> None:
    with Network() as network:
        put = begun_upload(network, network.new_project())
        network.stall(*PEERS)
    with pytest.raises(NetworkError):
        put.result(LIMIT)


def test_what_its_log_says_is_told_when_it_has_died(network_program: Path) -> None:
    network = Network()
    network.start()
    os.kill(network.pid, signal.SIGKILL)
    with pytest.raises(NetworkError, match=r"has ended; the end of its log:(.|\n)*TestNetwork"):
        network.proxies()
    with pytest.raises(NetworkError, match="exit code -9"):
        network.stop()


def runs(pid: int) -> bool:
    """Whether a process runs, other than as a zombie that nobody has waited for."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
