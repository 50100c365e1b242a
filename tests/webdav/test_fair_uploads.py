"""Memory for uploads: neither wrong passwords nor one tenant's slow clients take all of it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from bridge.cli import main
from tests.cli.service import Configured, authorization, begin_upload
from tests.processes import BridgeProcess

LARGE = bytes(3 << 20)
"""Longer than what is short: seven of these hold all the memory that there is for them."""

UPLOADS = 70
"""Slow uploads of whoever would have it all."""

LIMITS = "[limits]\nupload_bytes = 16_777_216\nqueue_seconds = 4.0\n"

ELSEWHERE = "127.0.0.2"
"""Another address than that of the slow clients."""


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    return Configured(tmp_path / "bridge", LIMITS)


@pytest.fixture
def service(configured: Configured) -> Iterator[BridgeProcess]:
    with configured.service() as process:
        yield process


def signed_in(configured: Configured, tenant: str) -> dict[str, str]:
    """The header that signs in to a new tenant."""
    told(configured, "tenant", "create", tenant)
    made = told(configured, "credential", "create", tenant)
    return authorization(made["username"], made["secret"])


def told(configured: Configured, group: str, command: str, name: str) -> dict[str, Any]:
    arguments = [group, command, "--config", str(configured.file), "--json", name]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def put(url: str, headers: Mapping[str, str], body: bytes) -> int:
    """The status of a PUT from elsewhere."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=30, source_address=(ELSEWHERE, 0)
    )
    try:
        connection.request("PUT", parts.path, body=body, headers=dict(headers))
        return connection.getresponse().status
    finally:
        connection.close()


def slow_uploads(url: str, headers: Mapping[str, str], stack: ExitStack) -> None:
    """Begin uploads of which a byte comes, and then nothing."""
    for number in range(UPLOADS):
        stack.enter_context(begin_upload(f"{url}slow{number}", headers, len(LARGE), b"x"))


def test_slow_uploads_with_wrong_passwords_keep_nobody_from_uploading(
    configured: Configured, service: BridgeProcess
) -> None:
    url = service.ready["webdav_url"]
    right = signed_in(configured, "right")
    with ExitStack() as stack:
        slow_uploads(url, authorization("right", "wrong"), stack)
        for number in range(3):
            assert put(f"{url}large{number}", right, LARGE) == 201
            assert put(f"{url}short{number}", right, b"short") == 201


def test_slow_uploads_of_one_tenant_leave_memory_to_another(
    configured: Configured, service: BridgeProcess
) -> None:
    url = service.ready["webdav_url"]
    greedy, other = signed_in(configured, "greedy"), signed_in(configured, "other")
    with ExitStack() as stack:
        slow_uploads(url, greedy, stack)
        for number in range(3):
            assert put(f"{url}large{number}", other, LARGE) == 201
            assert put(f"{url}short{number}", other, b"short") == 201
    assert put(f"{url}large", greedy, LARGE) == 201
