"""One peer, freshly started on an empty bucket, through its workloads."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import client, many
from bench.client import Timing
from bench.measure import Meter, Sample, started, touch_memory
from bench.network.peers import uplink_copy
from bench.network.plan import LARGE, MEDIUM, SMALL, Sizes, Workload
from bench.plan import MIB
from bench.servers import Running, Server, Target
from tests.network.client import Network

WARM_UP = 16 * MIB
MOVE_LIMIT = 1800.0
PEEKED = 50


@dataclass(frozen=True, slots=True)
class NetworkSample(Sample):
    """With what the network was asked meanwhile, for all requests of the workload together.

    Round trips to the satellite by their method, tokens of the request rate, and connections made
    to the satellite and to nodes; None where that is not known.
    """

    round_trips: dict[str, int] | None
    tokens: int | None
    connections: int | None


Samples = Iterator[tuple[Workload, NetworkSample]]


class _NetworkMeter:
    """A server's own cost, and what the satellite had to do for it."""

    def __init__(self, network: Network, running: Running) -> None:
        self._network = network
        self._before = network.requests()
        self._accepted = self._connections()
        self._meter = Meter(running)

    def sample(self, value: float, seconds: float, client_cpu: float) -> NetworkSample:
        sample = self._meter.sample(value, seconds, client_cpu)
        asked = self._network.requests() - self._before
        return NetworkSample(
            **asdict(sample),
            round_trips=asked.round_trips,
            tokens=asked.tokens,
            connections=self._connections() - self._accepted,
        )

    def _connections(self) -> int:
        return sum(proxy.accepted for proxy in self._network.proxies().values())

    def time(self, timing: Timing) -> NetworkSample:
        return self.sample(timing.seconds * 1e3, *timing)

    def rate(self, amount: float, timing: Timing) -> NetworkSample:
        return self.sample(amount / timing.seconds, *timing)

    def load(self, load: many.Load) -> NetworkSample:
        return self.sample(load.requests / load.seconds, load.seconds, load.client_cpu)


@dataclass(frozen=True, slots=True)
class Session:
    """What all peers meet alike."""

    network: Network
    sizes: Sizes
    source: client.Source
    wanted: Collection[Workload]

    def of_server(self, folder: Path, server: Server) -> Samples:
        """Through all workloads, with one restart before the listings."""
        touch_memory(self.sizes.large)
        with started(server, folder) as running:
            if set(LARGE) & set(self.wanted):
                yield from self._large(running)
            if set(MEDIUM) & set(self.wanted):
                yield from self._medium(running)
            if set(SMALL) & set(self.wanted):
                yield from self._small(running)
        if set(SMALL[2:]) & set(self.wanted):
            with started(server, folder) as running:
                yield from self._folder(running)

    def of_uplink(self, folder: Path, program: Path, grant_file: Path) -> Samples:
        """The two transfers of the plain client."""
        touch_memory(self.sizes.large)
        warm_up = min(WARM_UP, self.sizes.large)
        for took in uplink_copy(program, grant_file, folder.name, self.sizes.large, warm_up):
            yield (
                Workload(took.transfer),
                NetworkSample(
                    value=self.sizes.large / 1e6 / took.seconds,
                    client_share=0,
                    server_cpu=took.cpu,
                    server_peak=took.peak,
                    round_trips=None,
                    tokens=None,
                    connections=None,
                ),
            )

    def _large(self, running: Running) -> Samples:
        target, source, size = running.target, self.source, self.sizes.large
        warm_up = min(WARM_UP, size)
        client.upload(target, "/warm-up.bin", source, warm_up)
        client.download(target, "/warm-up.bin", source, warm_up, verify=True)
        meter = self._meter(running)
        timing = client.upload(target, "/large.bin", source, size)
        yield Workload.PUT, meter.rate(size / 1e6, timing)
        meter = self._meter(running)
        timing = client.download(target, "/large.bin", source, size, verify=True)
        yield Workload.GET, meter.rate(size / 1e6, timing)
        meter = self._meter(running)
        timing = _to(target, "COPY", "/large.bin", "/copy.bin")
        sample = meter.time(timing)
        client.download(target, "/copy.bin", source, size, verify=True)
        yield Workload.COPY, sample

    def _medium(self, running: Running) -> Samples:
        meant = (self.sizes.medium_files, self.sizes.medium)
        yield from self._many(running, "/medium", meant, Workload.PUT_MEDIUM, Workload.GET_MEDIUM)

    def _small(self, running: Running) -> Samples:
        meant = (self.sizes.small_files, self.sizes.small)
        yield from self._many(running, "/small", meant, Workload.PUT_SMALL, Workload.GET_SMALL)

    def _many(
        self, running: Running, folder: str, meant: tuple[int, int], put: Workload, get: Workload
    ) -> Samples:
        """``meant``: how many files, and of how many bytes each."""
        client.simple(running.target, "MKCOL", folder)
        what = (running.target, folder, *meant, self.sizes.connections)
        meter = self._meter(running)
        yield put, meter.load(many.put_many(*what))
        meter = self._meter(running)
        yield get, meter.load(many.get_each(*what))

    def _folder(self, running: Running) -> Samples:
        target, sizes = running.target, self.sizes
        meter = self._meter(running)
        timing = client.propfind(target, "/small/", sizes.small_files)
        yield Workload.LIST_COLD, meter.time(timing)
        meter = self._meter(running)
        timings = [
            client.propfind(target, "/small/", sizes.small_files)
            for _ in range(sizes.warm_listings)
        ]
        total = [sum(column) for column in zip(*timings, strict=True)]
        median = statistics.median(timing.seconds for timing in timings)
        yield Workload.LIST_WARM, meter.sample(median * 1e3, total[0], total[1])
        meter = self._meter(running)
        timing = _to(target, "MOVE", "/small", "/moved")
        sample = meter.time(timing)
        client.propfind(target, "/moved/", sizes.small_files)
        peeked = min(PEEKED, sizes.small_files)
        many.get_each(target, "/moved", peeked, sizes.small, sizes.connections)
        yield Workload.MOVE, sample

    def _meter(self, running: Running) -> _NetworkMeter:
        return _NetworkMeter(self.network, running)


def _to(target: Target, method: str, path: str, there: str) -> Timing:
    destination = f"http://{target.host}:{target.port}{target.base}{there}"
    headers = {"Destination": destination}
    return client.simple(target, method, path, headers, limit=MOVE_LIMIT)
