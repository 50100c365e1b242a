"""What is measured on a Storj network: the bridge, rclone, and Storj's plain Go client.

Each takes the same access grant, and the name of its folder as its bucket.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.process import ServerFailed
from bench.servers import OURS, RCLONE, Running, Server, find_rclone, packages, start_bridge
from bench.servers import start_rclone as start_rclone_on
from bridge.store.storj.native.toolchain import find_go, go_environment

SOURCES = Path(__file__).resolve().parents[1] / "uplink_copy"

BUILD_LIMIT = 1800.0
COPY_LIMIT = 600.0


class Copied(NamedTuple):
    """One transfer of the plain client; ``cpu`` in seconds, ``peak`` of its memory in bytes."""

    transfer: str
    seconds: float
    cpu: float
    peak: int


def servers(grant_file: Path) -> list[Server]:
    """The servers that work with the grant in this file."""
    rclone, rclone_version = find_rclone()
    return [
        Server("bridge", packages("storj-bridge"), OURS, partial(_bridge, grant_file)),
        Server("rclone", rclone_version, RCLONE, partial(_rclone, rclone, grant_file)),
    ]


def uplink_version() -> str:
    found = re.search(r"storj\.io/uplink (\S+)", (SOURCES / "go.mod").read_text())
    assert found is not None, "go.mod names no uplink"
    return found[1]


def build_uplink_copy(folder: Path) -> Path:
    """The program, compiled into this folder; Go keeps what it is made of in its own caches."""
    go = find_go()
    if go is None:
        raise ServerFailed("uplink-copy needs Go: pip install -e '.[dev]'")
    program = folder / "uplink-copy"
    done = subprocess.run(
        [go, "build", "-trimpath", "-buildvcs=false", "-o", program, "."],
        cwd=SOURCES,
        env=go_environment() | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BUILD_LIMIT,
        check=False,
    )
    if done.returncode:
        raise ServerFailed(f"uplink-copy did not build: {done.stderr[-1000:]}")
    return program


def uplink_copy(
    program: Path, grant_file: Path, bucket: str, size: int, warm_up: int
) -> Iterator[Copied]:
    """Put and get ``size`` bytes; it compares what it gets."""
    done = subprocess.run(
        [
            *(program, "-grant-file", grant_file, "-bucket", bucket),
            *("-size", str(size), "-warm-up", str(warm_up)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COPY_LIMIT,
        check=False,
    )
    for line in done.stdout.splitlines():
        yield Copied(**json.loads(line))
    if done.returncode:
        raise ServerFailed(f"uplink-copy: {done.stderr[-500:]}")


def _bridge(grant_file: Path, folder: Path) -> Running:
    where = ("--storj-grant-file", grant_file, "--storj-bucket", folder.name)
    return start_bridge(folder, *where)


def _rclone(binary: str, grant_file: Path, folder: Path) -> Running:
    configuration = {
        "RCLONE_CONFIG_NETWORK_TYPE": "storj",
        "RCLONE_CONFIG_NETWORK_ACCESS_GRANT": grant_file.read_text().strip(),
    }
    bucket = f"network:{folder.name}"
    # It refuses uploads into a bucket that is not there.
    made = subprocess.run(
        [binary, "mkdir", bucket],
        env={**os.environ, "RCLONE_CONFIG": os.devnull, **configuration},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COPY_LIMIT,
        check=False,
    )
    if made.returncode:
        raise ServerFailed(f"rclone mkdir: {made.stderr[-500:]}")
    return start_rclone_on(binary, folder, bucket, configuration)
