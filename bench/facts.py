"""What a figure depends on besides the servers: the machine, the file system, the clients."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.servers import Server


def machine_facts(folder: Path, servers: Sequence[Server], rounds: int) -> dict[str, str]:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    facts = {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "cores": f"{len(os.sched_getaffinity(0))} ({model[1] if model else platform.machine()})",
        "memory": f"{memory:.0f} GiB",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "file system": _file_system(folder),
        "load before": f"{os.getloadavg()[0]:.1f} (above about 0.3, others share the machine)",
        "rounds": f"{rounds}, the servers in turn in each",
    }
    return facts | {s.name: s.version for s in servers if s.version is not None}


def small_get_client() -> str:
    """What sends the many small downloads of ``many.get_many``."""
    wrk = shutil.which("wrk")
    return _version(wrk) if wrk else "own loop (wrk is missing)"


def _file_system(folder: Path) -> str:
    """The type of the file system that holds ``folder``: its mount has the longest path."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [m for m in mounts if folder.resolve().is_relative_to(m[1])]
    return max(holding, key=lambda mount: len(mount[1]))[2]


def _version(wrk: str) -> str:
    said = subprocess.run([wrk, "-v"], check=False, capture_output=True, text=True)
    return " ".join((said.stdout + said.stderr).partition("\n")[0].split()[:2])
