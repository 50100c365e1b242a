"""``python -m bench.tenants``: what many tenants cost: start, memory, and signing in.

On a local store in memory, each tenant with three credentials. Each credential signs in once, which
opens its tenant at the first of them, and again at once, when it is remembered.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import click

from bench.process import Process, ServerFailed, stop_by_sigterm
from bridge.app import Services
from bridge.settings import load
from bridge.tenants.api import ALL_RIGHTS, Right
from bridge.tenants.keks import new_kek
from tests.cli.service import authorization

START_LIMIT = 60.0

CREDENTIALS = {"": ALL_RIGHTS, "reader": Right.READ | Right.LIST, "writer": Right.WRITE}

CONFIGURATION = """
[listen]
address = "127.0.0.1:0"
[store]
kind = "local"
path = "store"
[state]
path = "state.db"
[keys]
kek_file = "kek"
[log]
level = "warning"
"""


@click.command()
@click.option(
    "--tenants", "counts", multiple=True, type=click.IntRange(1), default=(1, 10, 100, 1_000)
)
def main(counts: tuple[int, ...]) -> None:
    """Print a line for each number of tenants."""
    stop_by_sigterm()
    print("tenants  made each  start     memory     all open   first sign-in  again")
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="bench-", dir="/dev/shm") as place:
            print(_measure(Path(place), count), flush=True)


def _measure(folder: Path, count: int) -> str:
    file = folder / "bridge.toml"
    file.write_text(CONFIGURATION)
    begun = time.perf_counter()
    headers = _make(file, count)
    made = (time.perf_counter() - begun) / count
    begun = time.perf_counter()
    command = [sys.executable, "-m", "bridge", "serve", "--json", "--config", str(file)]
    with Process(command, folder / "log") as process:
        said = json.loads(process.first_line(START_LIMIT))
        start = time.perf_counter() - begun
        empty = process.resident_bytes()
        first: list[float] = []
        again: list[float] = []
        url = urlsplit(said["webdav_url"])
        with closing(HTTPConnection(url.hostname or "", url.port, timeout=30)) as link:
            for header in headers:
                for times in (first, again):
                    begun = time.perf_counter()
                    link.request("OPTIONS", url.path, headers=header)
                    answer = link.getresponse()
                    answer.read()
                    if answer.status != 200:
                        raise ServerFailed(f"a sign-in was answered {answer.status}")
                    times.append((time.perf_counter() - begun) * 1e3)
        full = process.resident_bytes()
    return (
        f"{count:7,}  {made * 1e3:6.1f} ms  {start:6.2f} s  {empty / 2**20:5.0f} MiB  "
        f"{full / 2**20:6.0f} MiB  {statistics.median(first):9.2f} ms  "
        f"{statistics.median(again):5.2f} ms"
    )


def _make(file: Path, count: int) -> list[dict[str, str]]:
    """Make the tenants; returns the header of each credential, a tenant's after each other."""
    headers = []
    with Services.open(load(file), new_key=new_kek()) as services:
        administration = services.administration
        for number in range(count):
            name = f"tenant-{number}"
            administration.create_tenant(name)
            for label, rights in CREDENTIALS.items():
                made = administration.create_credential(name, label, rights=rights)
                headers.append(authorization(made.credential.name, made.secret))
    return headers


if __name__ == "__main__":
    main()
