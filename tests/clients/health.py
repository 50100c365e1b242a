"""What must hold of a bridge during an outage, and afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from http.client import HTTPConnection

from tests.clients.dav import Answer, Dav
from tests.clients.waiting import wait_until

OUTAGE = 10.0
"""Seconds for which a store or a database fails or hangs."""

PATIENCE = 30.0
"""Seconds after the last byte of a request within which there is an answer (Nextcloud's limit)."""


def all_acknowledged_and_there(dav: Dav, answers: Sequence[Answer]) -> None:
    """An outage this short is ridden out: ``new 0``, ``new 1``, … and ``file`` are written."""
    assert [answer.status for answer in answers] == [201] * (len(answers) - 1) + [204]
    for number in range(len(answers) - 1):
        assert dav.get(f"new {number}") == b"new"
    assert dav.get("file") == b"new"


def process_answers(dav: Dav) -> bool:
    """Whether the process itself answers, whatever its store does."""
    return plain_get(dav, "/healthz") == 200


def healthy(dav: Dav) -> bool:
    """Whether process, store, database and keys are all well."""
    wait_until(lambda: plain_get(dav, "/readyz") == 200, "readiness", limit=PATIENCE)
    return plain_get(dav, "/healthz") == 200


def plain_get(dav: Dav, path: str) -> int:
    connection = HTTPConnection(*dav.address, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()
