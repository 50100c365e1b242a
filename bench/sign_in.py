"""``python -m bench.sign_in``: what a sign-in takes, alone and beside thousands that fail.

Against a demo of its own. One client signs in so that its secret is looked at, and again while it
is remembered, by OPTIONS, which does nothing else; another process fails from another address as
fast as it is answered.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import click

from bench.process import ServerFailed, stop_by_sigterm
from bench.servers import Target, start_bridge

ATTACKER = "127.0.0.2"

_numbers = itertools.count()


class Times(NamedTuple):
    """Milliseconds of requests whose secret is looked at, and of those that are remembered."""

    looked_at: list[float]
    remembered: list[float]

    def lines(self) -> Iterator[str]:
        for name, values in zip(self._fields, self, strict=True):
            ordered = sorted(values)
            shares = {"median": 0.5, "99 of 100": 0.99, "worst": 1.0}
            said = ", ".join(
                f"{word} {ordered[min(int(len(ordered) * share), len(ordered) - 1)]:.2f} ms"
                for word, share in shares.items()
            )
            yield f"  {name:10} {len(values):6,} requests: {said}"


@click.command()
@click.option("--failures", default=10_000, show_default=True, type=click.IntRange(1))
@click.option("--connections", default=400, show_default=True, help="Of whoever fails.")
@click.option("--seconds", default=10.0, show_default=True, help="Of measuring without an attack.")
def main(failures: int, connections: int, seconds: float) -> None:
    """Sign in alone, then beside the attack."""
    stop_by_sigterm()
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/dev/shm") as place:
        running = start_bridge(Path(place))
        with running.process:
            target = running.target
            _measure(target, _for(1.0))  # warm
            print("alone", *_measure(target, _for(seconds)).lines(), sep="\n", flush=True)
            ours, theirs = multiprocessing.Pipe()
            attack = multiprocessing.get_context("spawn").Process(
                target=_attack, args=(target, failures, connections, theirs), daemon=True
            )
            attack.start()
            ours.recv()  # it begins
            beside = _measure(target, ours.poll)
            statuses, took = ours.recv()
            attack.join()
    said = ", ".join(f"{count:,} x {status}" for status, count in sorted(statuses.items()))
    print(f"beside {failures:,} failed sign-ins of one address in {took:.1f} s ({said})")
    print(*beside.lines(), sep="\n")


def _for(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def _measure(target: Target, ended: Callable[[], bool]) -> Times:
    """Sign in until ``ended``, in turn by a header never seen before and by the same again."""
    times = Times([], [])
    with closing(HTTPConnection(target.host, target.port, timeout=30)) as link:
        while not ended():
            header = _another(target.authorization)
            for values in times:
                begun = time.perf_counter()
                link.request("OPTIONS", f"{target.base}/", headers={"Authorization": header})
                answer = link.getresponse()
                answer.read()
                values.append((time.perf_counter() - begun) * 1e3)
                if answer.status != 200:
                    raise ServerFailed(f"a good sign-in was answered {answer.status}")
    return times


def _another(authorization: str) -> str:
    """A header never sent before that holds the same user name and secret: of 16,000."""
    scheme, _, token = authorization.partition(" ")
    blanks, capitals = divmod(next(_numbers), 1 << len(scheme))
    letters = (
        letter.upper() if capitals >> place & 1 else letter.lower()
        for place, letter in enumerate(scheme)
    )
    return "".join(letters) + " " * (1 + blanks % 500) + token


def _attack(target: Target, failures: int, connections: int, told: Connection) -> None:
    """Fail so often, by the true user name and by others; tell the statuses and the seconds."""
    told.send(None)
    begun = time.perf_counter()
    statuses = asyncio.run(_fail(target, failures, connections))
    told.send((statuses, time.perf_counter() - begun))


async def _fail(target: Target, failures: int, connections: int) -> Counter[int]:
    statuses: Counter[int] = Counter()
    numbers = iter(range(failures))
    true_name = base64.b64decode(target.authorization.partition(" ")[2]).decode().partition(":")[0]

    async def one_after_another() -> None:
        for number in numbers:
            user = true_name if number % 2 else f"nobody{number}"
            token = base64.b64encode(f"{user}:wrong{number}".encode()).decode()
            reader, writer = await asyncio.open_connection(
                target.host, target.port, local_addr=(ATTACKER, 0)
            )
            writer.write(
                f"OPTIONS {target.base}/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                f"Authorization: Basic {token}\r\n\r\n".encode()
            )
            line = await reader.readline()
            await reader.read()
            writer.close()
            statuses[int(line.split()[1])] += 1

    await asyncio.gather(*(one_after_another() for _ in range(connections)))
    return statuses


if __name__ == "__main__":
    main()
