"""A configured service as a process, and plain requests to it."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from click.testing import CliRunner

from bridge.cli import main
from tests import secrecy
from tests.processes import BridgeProcess


@dataclass
class Configured:
    """What ``init`` made in ``folder``, with ``extra`` tables appended; port 0."""

    folder: Path
    extra: str = ""
    listen: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    identity: str = ""
    fingerprint: str = ""

    def __post_init__(self) -> None:
        made = CliRunner().invoke(main, ["init", "--config", str(self.file), "--json"])
        assert made.exit_code == 0, made.output
        shown = json.loads(made.stdout)
        self.identity, self.fingerprint = shown["recovery_identity"], shown["fingerprint"]
        text = self.file.read_text()
        text = text.replace('address = "127.0.0.1:8080"', f'address = "127.0.0.1:0"\n{self.listen}')
        self.file.write_text(text + self.extra)

    @property
    def file(self) -> Path:
        return self.folder / "bridge.toml"

    @property
    def secret(self) -> str:
        return (self.folder / "secret").read_text().strip()

    def service(self) -> BridgeProcess:
        return BridgeProcess(
            ["serve", "--json", "--config", str(self.file)],
            self.folder / "service.log",
            env=self.env,
        )


def authorization(username: str, secret: str) -> dict[str, str]:
    """The header that signs in."""
    return {"Authorization": f"Basic {secrecy.note_sign_in(username, secret)}"}


def ask(
    url: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    *,
    tls: ssl.SSLContext | None = None,
) -> tuple[int, Mapping[str, str], bytes]:
    """One request on a connection of its own: status, headers in lower case, body."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, port, timeout=30, context=tls)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.request(method, parts.path or "/", body=body, headers=dict(headers or {}))
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        content = answer.read()
        if answer.status >= 400:
            secrecy.require_none(f"an answer to {method}", content)
        return answer.status, names, content
    finally:
        connection.close()


def begin_upload(url: str, headers: Mapping[str, str], length: int, first: bytes) -> socket.socket:
    """A connection on which a PUT of ``length`` bytes has sent ``first``."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=30)
    lines = [
        f"PUT {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Content-Length: {length}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + first)
    return connection


def wait_until(met: Callable[[], bool], *, limit: float = 20.0) -> bool:
    """Whether ``met`` became true within ``limit`` seconds; asked every 20 ms."""
    ends = time.monotonic() + limit
    while not met():
        if time.monotonic() > ends:
            return False
        time.sleep(0.02)
    return True
