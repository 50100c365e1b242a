"""What is measured on a Storj network: the bridge, rclone, and Storj's plain Go client.

Each takes the same access grant, and the name of its folder as its bucket.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.process import ServerFailed
from bench.servers import (
    OURS,
    RCLONE,
    Running,
    Server,
    find_rclone,
    packages,
    start_bridge,
    start_rclone,
)
from bridge.store.storj.native.toolchain import find_go, go_environment

SOURCES = Path(__file__).resolve().parents[1] / "uplink_copy"

LIMIT = 1800.0
"""Seconds that a program which ends by itself may take."""


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
    """The version of Storj's Go client that the plain copy is made of."""
    found = re.search(r"storj\.io/uplink (\S+)", (SOURCES / "go.mod").read_text())
    assert found is not None, "go.mod names no uplink"
    return found[1]


def build_uplink_copy(folder: Path) -> Path:
    """The program, compiled into this folder; Go keeps what it is made of in its own caches."""
    go = find_go()
    if go is None:
        raise ServerFailed("uplink-copy needs Go: pip install -e '.[dev]'")
    program = folder / "uplink-copy"
    build = [go, "-C", str(SOURCES), "build", "-trimpath", "-buildvcs=false", "-o", str(program)]
    _output(
        [*build, "."],
        go_environment() | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
    )
    return program


def uplink_copy(
    program: Path, grant_file: Path, bucket: str, size: int, warm_up: int
) -> list[Copied]:
    """Put and get ``size`` bytes, after ``warm_up``; it compares what it gets."""
    said = _output(
        [
            *(str(program), "-grant-file", str(grant_file), "-bucket", bucket),
            *("-size", str(size), "-warm-up", str(warm_up)),
        ],
        {},
    )
    return [Copied(**json.loads(line)) for line in said.splitlines()]


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
    _output([binary, "mkdir", bucket], {"RCLONE_CONFIG": os.devnull, **configuration})
    return start_rclone(binary, folder, bucket, configuration)


def _output(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run a program to its end; what it said."""
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise ServerFailed(f"{command[0]} took over {LIMIT:.0f} s") from late
    if done.returncode:
        raise ServerFailed(f"{' '.join(command)}: {done.stderr[-1000:]}")
    return done.stdout
