"""Jobs that begin at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bridge.files.errors import FileError

T = TypeVar("T")


def race(*jobs: Callable[[], T]) -> list[T | FileError]:
    """Start all jobs at one moment; their results, or the FileError each ended with."""
    gate = threading.Barrier(len(jobs))

    def work(job: Callable[[], T]) -> T | FileError:
        gate.wait()
        try:
            return job()
        except FileError as error:
            return error

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [done.result() for done in [pool.submit(work, job) for job in jobs]]
