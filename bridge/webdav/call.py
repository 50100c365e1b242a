"""One request on its way through a verb: what was asked, of whom, and what may be used for it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import cached_property

from aiohttp import web

from bridge.files.api import Entry
from bridge.files.errors import NoSuchFile
from bridge.files.path import Path
from bridge.http.answer import SERVER
from bridge.http.body import Body
from bridge.http.conditions import Conditions
from bridge.http.errors import Refused
from bridge.http.limits import Limits
from bridge.http.origin import Origin, Origins
from bridge.http.pool import TenantWorkers, Workers
from bridge.http.turns import Turn, Turns
from bridge.webdav.if_header import IfHeader, parse_if
from bridge.webdav.mount import Mount
from bridge.webdav.share import Share


@dataclass(frozen=True, slots=True)
class Settings:
    """What the WebDAV door can be told.

    ``infinity``: most entries that PROPFIND with Depth infinity answers with, before it refuses.
    ``lock_default`` and ``lock_longest``: seconds a lock lasts, when the client does not say and at
    most.
    """

    infinity: int = 10_000
    lock_default: int = 600
    lock_longest: int = 86_400


@dataclass(frozen=True, slots=True)
class Tools:
    """What every request shares."""

    limits: Limits
    settings: Settings
    mount: Mount
    workers: Workers
    turns: Turns


@dataclass(eq=False)
class Call:
    """One request. ``path`` is in the share's tree; ``agent`` the client's name for itself."""

    request: web.BaseRequest
    method: str
    path: Path
    share: Share
    body: Body
    tools: Tools
    origins: Origins
    agent: str
    extra: dict[str, str] = field(default_factory=dict)

    @cached_property
    def workers(self) -> TenantWorkers:
        """The threads in which to block."""
        return self.tools.workers.of(self.share.tenant)

    def upload(self, size: int | None) -> AbstractAsyncContextManager[Turn]:
        """A turn to upload ``size`` bytes, None if it is unknown: to be taken before the body."""
        return self.tools.turns.turn(self.share.tenant, size)

    @cached_property
    def conditions(self) -> Conditions | None:
        """The HTTP conditions, None where there are none."""
        return Conditions.of(self.request.headers)

    @cached_property
    def origin(self) -> Origin:
        """Whence the request came, and the names by which it may call this server."""
        request = self.request
        return self.origins.of(request.remote or "", request.scheme, request.headers)

    @cached_property
    def if_header(self) -> IfHeader | None:
        """The ``If`` header, None where there is none; raises Refused 400."""
        header = self.request.headers.get("If")
        return None if header is None else parse_if(header)

    @cached_property
    def tokens(self) -> frozenset[str]:
        """The lock tokens submitted: in ``If``, or in ``Lock-Token``, where Office 2016 puts them.

        The header is defined for UNLOCK alone; to know the token is what counts.
        """
        submitted = frozenset() if self.if_header is None else self.if_header.tokens
        coded = self.request.headers.get("Lock-Token")
        return submitted | {coded.strip().strip("<>")} if coded else submitted

    def header(self, name: str) -> str | None:
        """A request header, or None."""
        return self.request.headers.get(name)

    def href(self, path: Path, *, directory: bool) -> str:
        """The public href of a path."""
        return self.tools.mount.href(path, directory=directory)

    def stat(self, path: Path | None = None) -> Entry | None:
        """What is at ``path`` (None: the request's own), or None. Blocks."""
        try:
            return self.share.tree.stat(self.path if path is None else path)
        except NoSuchFile:
            return None

    def depth(self, default: str, *allowed: str) -> str:
        """The Depth header in lower case; raises Refused 400 when it is not one of ``allowed``."""
        value = (self.header("Depth") or default).strip().lower()
        if value not in allowed:
            raise Refused(400, f"Depth must be {' or '.join(allowed)} here")
        return value

    def answer(
        self,
        status: int,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> web.Response:
        """A whole answer."""
        return web.Response(
            status=status, body=body, headers={"Server": SERVER, **self.extra, **(headers or {})}
        )

    def xml(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> web.Response:
        """A whole answer in XML."""
        kind = {"Content-Type": "application/xml; charset=utf-8"}
        return self.answer(status, body=body, headers={**kind, **(headers or {})})
