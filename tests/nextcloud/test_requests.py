"""What Nextcloud's mount asks of the bridge for each thing a user does, by the access log.

The table that this prints (``pytest -s``) stands in ``docs/``; what is asserted is what the bridge
relies on: which methods come at all, and that none of them is answered by what would take the
whole mount offline.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import groupby

import pytest

from tests.clients.names import content
from tests.nextcloud.conftest import MOUNT, Mounted
from tests.nextcloud.server import ADMIN
from tests.processes import Demo

pytestmark = pytest.mark.timeout(300)

METHODS = frozenset({"DELETE", "GET", "MKCOL", "MOVE", "PROPFIND", "PROPPATCH", "PUT"})

HARMLESS = frozenset({401, 403, 405, 423})
"""Errors that leave the mount online, on every method; 404 does on PROPFIND and DELETE too."""


def test_the_mount_asks_for_known_things_and_gets_nothing_that_takes_it_offline(
    mounted: Mounted, place: str, demo: Demo
) -> None:
    files, here = mounted.files, f"{MOUNT}/{place}"
    data = content("requests", 100_000)
    dated = {"X-OC-Mtime": "1234567890"}

    def thirty_files() -> None:
        files.mkcol(f"{here}/folder")
        for number in range(30):
            files.put(f"{here}/folder/{number}", data)

    steps: dict[str, Callable[[], object]] = {
        "upload": lambda: files.put(f"{here}/file", data),
        "upload with its time": lambda: files.put(f"{here}/dated", data, dated),
        "overwrite": lambda: files.put(f"{here}/file", data),
        "download": lambda: files.get(f"{here}/file"),
        "range": lambda: files.request("GET", f"{here}/file", headers={"Range": "bytes=0-9"}),
        "rename": lambda: files.move(f"{here}/file", f"{here}/renamed"),
        "new folder": lambda: files.mkcol(f"{here}/new"),
        "browse": lambda: files.names(here),
        "delete a file": lambda: files.delete(f"{here}/renamed"),
        "30 uploads": thirty_files,
        "delete a folder of 30": lambda: files.delete(f"{here}/folder"),
        "scan": lambda: mounted.cloud.occ("files:scan", "--path", f"/{ADMIN}/files/{here}"),
    }
    for name, step in steps.items():
        before = len(requests(demo))
        step()
        made = requests(demo)[before:]
        print(f"| {name} | {len(made)} | {in_short(made)} |")
        assert made
        assert {method for method, _ in made} <= METHODS
        for method, status in made:
            missing = status == 404 and method in {"PROPFIND", "DELETE", "GET"}
            assert status < 400 or status in HARMLESS or missing, (name, method, status)


def requests(demo: Demo) -> list[tuple[str, int]]:
    """Method and status of every request that the demo has answered so far."""
    lines = [json.loads(line) for line in demo.log_text().splitlines() if line.startswith("{")]
    return [(line["method"], line["status"]) for line in lines if line.get("event") == "request"]


def in_short(made: list[tuple[str, int]]) -> str:
    """Requests in order, repetitions counted, without the 401 that comes before most of them."""
    runs = [
        (f"{method} {status}", len(list(same)))
        for (method, status), same in groupby(one for one in made if one[1] != 401)
    ]
    words = [request + (f" x {count}" if count > 1 else "") for request, count in runs]
    return ", ".join(words if len(words) < 20 else [*words[:20], "..."])
