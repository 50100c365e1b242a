"""One server, freshly started on an empty folder, through its workloads."""

from __future__ import annotations

import mmap
import statistics
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import client, many
from bench.plan import LARGE, MIB, Sizes, Workload
from bench.servers import Running, Server

WARM_UP = 16 * MIB
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure. ``value`` in the workload's unit; processor time in seconds, memory in bytes.

    ``client_share``: the client's processor time by the clock, where 1.0 would make the client
    what was measured.
    """

    value: float
    client_share: float
    server_cpu: float
    server_peak: int


@contextmanager
def started(server: Server, folder: Path) -> Iterator[Running]:
    """The server on this folder; it is stopped at the end."""
    running = server.start(folder)
    with running.process:
        yield running


class Meter:
    """The server's own cost of what happens between its construction and ``sample``."""

    def __init__(self, running: Running) -> None:
        self._process = running.process
        self._process.reset_peak()
        self._cpu = self._process.cpu_seconds()

    def sample(self, value: float, seconds: float, client_cpu: float) -> Sample:
        return Sample(
            value=value,
            client_share=client_cpu / seconds,
            server_cpu=self._process.cpu_seconds() - self._cpu,
            server_peak=self._process.peak_bytes(),
        )


def large_files(
    server: Server, folder: Path, sizes: Sizes, source: client.Source
) -> Iterator[tuple[Workload, Sample]]:
    """One large file up and down. Before it a smaller one, read back and compared."""
    touch_memory(sizes.large)
    with started(server, folder) as running:
        target = running.target
        warm_up = min(WARM_UP, sizes.large)
        client.upload(target, "/warm-up.bin", source, warm_up)
        client.download(target, "/warm-up.bin", source, warm_up, verify=True)
        meter = Meter(running)
        timing = client.upload(target, "/large.bin", source, sizes.large)
        yield Workload.PUT, meter.sample(sizes.large / 1e6 / timing.seconds, *timing)
        meter = Meter(running)
        timing = client.download(target, "/large.bin", source, sizes.large, verify=False)
        yield Workload.GET, meter.sample(sizes.large / 1e6 / timing.seconds, *timing)


def touch_memory(size: int) -> None:
    """Use and free as much memory as the files will take.

    A virtual machine's host takes free pages away after a while, and whichever server came
    first would pay for getting them back (a quarter of its PUT's speed was seen).
    """
    with mmap.mmap(-1, size) as pages:
        pages[::_PAGE] = bytes(len(pages) // _PAGE)


def small_files(
    server: Server, folder: Path, sizes: Sizes, wanted: Collection[Workload]
) -> Iterator[tuple[Workload, Sample]]:
    """A folder filled with small files, listed after a restart and again, and read."""
    with started(server, folder) as running:
        client.simple(running.target, "MKCOL", "/small")
        meter = Meter(running)
        load = many.put_many(
            running.target, "/small", sizes.files, sizes.small, sizes.put_connections
        )
        yield Workload.SMALL_PUT, meter.sample(load.requests / load.seconds, *load[1:])
    if not {*wanted} - {Workload.SMALL_PUT, *LARGE}:
        return
    with started(server, folder) as running:
        if server.lists:
            meter = Meter(running)
            timing = client.propfind(running.target, "/small/", sizes.files)
            yield Workload.LIST_COLD, meter.sample(timing.seconds * 1e3, *timing)
            meter = Meter(running)
            timings = [
                client.propfind(running.target, "/small/", sizes.files)
                for _ in range(sizes.warm_listings)
            ]
            total = [sum(column) for column in zip(*timings, strict=True)]
            median = statistics.median(timing.seconds for timing in timings)
            yield Workload.LIST_WARM, meter.sample(median * 1e3, total[0], total[1])
        if Workload.SMALL_GET in wanted:
            meter = Meter(running)
            load = many.get_many(
                running.target,
                "/small",
                sizes.files,
                sizes.small,
                sizes.get_connections,
                sizes.get_seconds,
            )
            yield Workload.SMALL_GET, meter.sample(load.requests / load.seconds, *load[1:])
