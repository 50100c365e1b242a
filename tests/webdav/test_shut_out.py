"""A suspended tenant, a revoked credential, in a running service: their slow uploads end soon."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bridge.cli import main
from tests.cli.service import Configured, authorization, begin_upload, wait_until
from tests.processes import BridgeProcess

SIZES = (300_000, 3 << 20, 50 << 20)
"""Of bodies that are taken whole, and in blocks."""


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    return Configured(tmp_path / "bridge")


@pytest.fixture
def service(configured: Configured) -> Iterator[BridgeProcess]:
    with configured.service() as process:
        yield process


def told(configured: Configured, *command: str) -> dict[str, Any]:
    group, name, *rest = command
    arguments = [group, name, "--config", str(configured.file), "--json", *rest]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def answered(connection: socket.socket) -> bool:
    """Whether an answer has come; else send one byte more."""
    if select.select([connection], [], [], 0.2)[0]:
        return True
    connection.sendall(b"x")
    return False


@pytest.mark.parametrize("end", ["suspend", "revoke"])
def test_what_a_slow_client_sends_is_refused_soon_after_it_was_shut_out(
    configured: Configured, service: BridgeProcess, end: str
) -> None:
    url = service.ready["webdav_url"]
    told(configured, "tenant", "create", "slow")
    made = told(configured, "credential", "create", "slow")
    signed_in = authorization(made["username"], made["secret"])
    with ExitStack() as stack:
        slow = [
            stack.enter_context(begin_upload(f"{url}slow{size}", signed_in, size, b"x" * 1000))
            for size in SIZES
        ]
        for connection in slow:
            assert not answered(connection)
        if end == "suspend":
            told(configured, "tenant", "suspend", "slow")
        else:
            told(configured, "credential", "revoke", made["username"])
        for connection in slow:
            assert wait_until(lambda c=connection: answered(c))  # type: ignore[misc]
            assert connection.recv(100).split()[1] == b"403"
