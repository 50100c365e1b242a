"""A plain WebDAV client: prepares what a real client will meet, and checks what it left.

It sends names exactly as given (UTF-8, everything but letters, digits and ``/`` percent-encoded)
and opens a connection for each request, so that it hides no fault of the server.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree as ET

from defusedxml.ElementTree import fromstring

from tests import secrecy

Body = bytes | IO[bytes] | Iterable[bytes] | None


@dataclass(frozen=True)
class Answer:
    """A response; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def etag(self) -> str:
        """The ETag header, quotes included; ``""`` without one."""
        return self.headers.get("etag", "")


class Dav:
    """Requests below ``url``, signed in with Basic authentication. ``timeout`` in seconds."""

    def __init__(self, url: str, username: str, password: str, *, timeout: float = 60) -> None:
        self.url = url.rstrip("/") + "/"
        self.username = username
        self.password = password
        self._timeout = timeout
        parts = urlsplit(self.url)
        self.address = (parts.hostname or "", parts.port or 80)
        self.root = parts.path
        token = base64.b64encode(f"{username}:{password}".encode()).decode()
        self.authorization = f"Basic {token}"

    def target(self, path: str) -> str:
        """``path`` (relative to the root, not encoded) as a request target."""
        return self.root + quote(path.lstrip("/"), safe="/")

    def href(self, path: str) -> str:
        """``path`` as an absolute URL."""
        return self.url + quote(path.lstrip("/"), safe="/")

    def request(
        self, method: str, path: str, body: Body = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request and read the whole response. Raises OSError, HTTPException."""
        connection = http.client.HTTPConnection(*self.address, timeout=self._timeout)
        try:
            sent = {"Authorization": self.authorization, **(headers or {})}
            connection.request(method, self.target(path), body=body, headers=sent)
            response = connection.getresponse()
            content = response.read()
            names = {name.lower(): value for name, value in response.getheaders()}
            if response.status >= 400:
                secrecy.require_none(f"an answer to {method}", content)
            return Answer(response.status, names, content)
        finally:
            connection.close()

    def get(self, path: str) -> bytes:
        """The content of a file."""
        answer = self.request("GET", path)
        assert answer.status == 200, (answer.status, path)
        return answer.body

    def sha256(self, path: str) -> str:
        """The SHA-256 of a file, read in blocks of 1 MiB."""
        connection = http.client.HTTPConnection(*self.address, timeout=self._timeout)
        try:
            headers = {"Authorization": self.authorization}
            connection.request("GET", self.target(path), headers=headers)
            response = connection.getresponse()
            assert response.status == 200, (response.status, path)
            digest = hashlib.sha256()
            while block := response.read(1 << 20):
                digest.update(block)
            return digest.hexdigest()
        finally:
            connection.close()

    def put(self, path: str, body: Body, headers: Mapping[str, str] | None = None) -> Answer:
        """Write a file."""
        answer = self.request("PUT", path, body, headers)
        assert answer.status in (200, 201, 204), (answer.status, path, answer.body)
        return answer

    def mkcol(self, path: str) -> None:
        """Make a folder."""
        answer = self.request("MKCOL", path)
        assert answer.status == 201, (answer.status, path, answer.body)

    def delete(self, path: str) -> None:
        """Remove a file or folder; a missing one is no error."""
        answer = self.request("DELETE", path)
        assert answer.status in (204, 404), (answer.status, path, answer.body)

    def move(self, source: str, target: str) -> None:
        """Rename, replacing what is at the target."""
        answer = self.request("MOVE", source, headers={"Destination": self.href(target)})
        assert answer.status in (201, 204), (answer.status, source, target, answer.body)

    def exists(self, path: str) -> bool:
        """Whether something is at ``path``."""
        status = self.request("PROPFIND", path, headers={"Depth": "0"}).status
        assert status in (207, 404), (status, path)
        return status == 207

    def propfind(self, path: str, depth: str = "1") -> list[ET.Element]:
        """The ``response`` elements of a PROPFIND for all properties."""
        answer = self.request("PROPFIND", path, headers={"Depth": depth})
        assert answer.status == 207, (answer.status, path, answer.body)
        found: list[ET.Element] = fromstring(answer.body).findall("{DAV:}response")
        return found

    def names(self, path: str) -> list[str]:
        """The names of a folder's children, sorted, decoded from their hrefs."""
        own = unquote(self.target(path)).rstrip("/")
        names = []
        for response in self.propfind(path):
            href = unquote(urlsplit(response.findtext("{DAV:}href") or "").path).rstrip("/")
            if href != own:
                names.append(href.rsplit("/", 1)[1])
        return sorted(names)

    def tree(self, path: str) -> dict[str, bytes | None]:
        """Everything below ``path``: relative paths to content, None for a folder."""
        found: dict[str, bytes | None] = {}
        own = unquote(self.target(path)).rstrip("/")
        for response in self.propfind(path):
            href = unquote(urlsplit(response.findtext("{DAV:}href") or "").path).rstrip("/")
            if href == own:
                continue
            name = href.rsplit("/", 1)[1]
            child = f"{path.rstrip('/')}/{name}"
            if response.find(".//{DAV:}collection") is None:
                found[name] = self.get(child)
                continue
            found[name] = None
            found.update({f"{name}/{below}": data for below, data in self.tree(child).items()})
        return found
