"""A client that sends exactly what a test says, byte for byte."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from xml.etree.ElementTree import Element, fromstring


@dataclass(frozen=True)
class Reply:
    """One answer. Header names as sent; look up in any case by ``header``."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return None

    @property
    def xml(self) -> Element:
        return fromstring(self.body)

    @property
    def hrefs(self) -> list[str]:
        """The href of each response of a multistatus, in order."""
        return [r.findtext("{DAV:}href") or "" for r in self.xml.findall("{DAV:}response")]

    def props(self, index: int = 0, status: int = 200) -> dict[str, Element]:
        """Properties by Clark name of the response at ``index``, of those with ``status``."""
        found: dict[str, Element] = {}
        for stat in self.xml.findall("{DAV:}response")[index].findall("{DAV:}propstat"):
            if f" {status} " in (stat.findtext("{DAV:}status") or ""):
                prop = stat.find("{DAV:}prop")
                assert prop is not None
                found.update({element.tag: element for element in prop})
        return found


class Client:
    """Requests to one server as one user, one connection for each; paths are quoted already."""

    def __init__(self, port: int, authorization: str | None, root: str) -> None:
        self.port = port
        self.authorization = authorization
        self.root = root

    def __call__(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        **more: str | bytes,
    ) -> Reply:
        """``more`` are headers too, with ``_`` for ``-``. ``path`` is below the root, or absolute
        when it begins with ``//``."""
        target = path[1:] if path.startswith("//") else self.root + path
        sent: dict[str, str | bytes] = dict(headers or {})
        sent.update({name.replace("_", "-"): value for name, value in more.items()})
        if self.authorization is not None:
            sent.setdefault("Authorization", self.authorization)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            chunked = body is not None and not isinstance(body, bytes)
            if chunked:
                connection.putheader("Transfer-Encoding", "chunked")
            elif body is not None and "Content-Length" not in sent:
                connection.putheader("Content-Length", str(len(body)))  # type: ignore[arg-type]
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders(body, encode_chunked=chunked)
            response = connection.getresponse()
            return Reply(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def url(self, path: str) -> str:
        """Absolute URL of a path below the root, as Destination has it."""
        return f"http://127.0.0.1:{self.port}{self.root}{path}"

    @contextmanager
    def raw(self) -> Iterator[Raw]:
        """A socket on which a test writes its own bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as sock:
            yield Raw(sock, self)


class Raw:
    """One connection at the level of bytes."""

    def __init__(self, sock: socket.socket, client: Client) -> None:
        self.sock = sock
        self.client = client
        self._rest = b""

    def send(self, method: str, path: str, *headers: str, body: bytes = b"") -> None:
        """Send a request with just these headers besides Host and Authorization."""
        lines = [
            f"{method} {self.client.root}{path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.client.port}",
            f"Authorization: {self.client.authorization}",
            *headers,
        ]
        self.sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def line(self) -> str:
        """The next line, without its end."""
        while b"\r\n" not in self._rest:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(self._rest)
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line.decode("latin-1")

    def reply(self, *, head: bool = False) -> Reply:
        """The next answer, with its body by Content-Length."""
        status = int(self.line().split()[1])
        headers = []
        while line := self.line():
            name, _, value = line.partition(":")
            headers.append((name, value.strip()))
        reply = Reply(status, headers, b"")
        bodiless = head or status in (100, 204, 304)
        length = 0 if bodiless else int(reply.header("Content-Length") or 0)
        while len(self._rest) < length:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("the body is cut")
            self._rest += data
        body, self._rest = self._rest[:length], self._rest[length:]
        return Reply(status, headers, body)

    def ended(self) -> bool:
        """Whether the server closes the connection with nothing more to say."""
        try:
            return not self._rest and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True
