"""The WebDAV door: signs clients in, finds the verb, and turns what goes wrong into answers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

from aiohttp import web

from bridge.files.api import FileTree
from bridge.files.errors import Busy, FileError
from bridge.files.path import Path
from bridge.http.answer import CutOff, forwarded_request_id, new_request_id, refusal
from bridge.http.basic import Authenticator, Credential, Gate
from bridge.http.body import Body
from bridge.http.errors import Refused
from bridge.http.limits import Limits
from bridge.http.origin import Origins, PublicURL
from bridge.http.pool import Workers
from bridge.http.served import Served
from bridge.http.sign_in import Opening
from bridge.http.turns import Turns
from bridge.state.api import LeaseBusy, Locks, StateError
from bridge.tenants.api import ALL_RIGHTS, Right
from bridge.webdav.call import Call, Settings, Tools
from bridge.webdav.delete import delete
from bridge.webdav.deviations import status_for
from bridge.webdav.errors import refused_by
from bridge.webdav.get import get
from bridge.webdav.lock import lock, unlock
from bridge.webdav.mkcol import mkcol
from bridge.webdav.mount import Above, Mount
from bridge.webdav.options import METHODS, options
from bridge.webdav.propfind import propfind, propfind_above
from bridge.webdav.proppatch import proppatch
from bridge.webdav.put import put
from bridge.webdav.share import Quota, Share, forever, no_quota
from bridge.webdav.transfer import copy, move

C = TypeVar("C", bound=Credential)

log = logging.getLogger("bridge.webdav")

Verb = Callable[[Call], Awaitable[web.StreamResponse]]

VERBS: dict[str, Verb] = {
    "GET": get,
    "HEAD": get,
    "PUT": put,
    "PROPFIND": propfind,
    "PROPPATCH": proppatch,
    "MKCOL": mkcol,
    "DELETE": delete,
    "COPY": copy,
    "MOVE": move,
    "LOCK": lock,
    "UNLOCK": unlock,
}


class WebDAVDoor(Generic[C]):
    """A WebDAV service over one FileTree for each credential.

    ``tree_for``, ``locks_for``, ``quota_for``, ``rights_for`` and ``still_for`` are called in
    worker threads, at most every few seconds for each signed-in client; the first two must give
    trees and locks of the same tenant, which hold the client to what ``rights_for`` only lets it be
    told. What ``still_for`` gives is ``Share.still``, and must not ask the tenant's store, which
    may hang. ``tenant_for``, which must not block, says in whose name it uses threads and memory
    (``bridge.fair``).
    Give ``handle`` to ``bridge.http.server.Server``, alone or behind a dispatcher by path (not
    to an aiohttp Application, which would send 100 Continue too early). Made and used in one event
    loop; ``workers`` are closed by their owner, after the server has shut down.
    """

    def __init__(
        self,
        *,
        authenticator: Authenticator[C],
        tree_for: Callable[[C], FileTree],
        locks_for: Callable[[C], Locks],
        quota_for: Callable[[C], Quota] | None = None,
        rights_for: Callable[[C], Right] | None = None,
        still_for: Callable[[C], Callable[[], None]] | None = None,
        tenant_for: Callable[[C], str],
        workers: Workers,
        turns: Turns,
        limits: Limits,
        settings: Settings | None = None,
        path: str = "/dav",
        public_url: str | None = None,
        proxies: Iterable[str] = (),
        realm: str = "Storj bridge",
        served: Callable[[Served], None] | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._tree_for = tree_for
        self._locks_for = locks_for
        self._quota_for = quota_for
        self._rights_for = rights_for
        self._still_for = still_for
        self._tenant_for = tenant_for
        public = PublicURL.parse(public_url) if public_url else None
        self._origins = Origins(proxies, public)
        self._tools = Tools(
            limits=limits,
            settings=settings or Settings(),
            mount=Mount(path, public),
            workers=workers,
            turns=turns,
        )
        self.gate: Gate[Share] = Gate(
            self._admit,
            workers.sign_in,
            realm=realm,
            opening=workers.quick,
            waiting=max(1, limits.connections // 4),
        )
        """Who is let in; ``forget`` there when somebody was shut out."""
        self._served = served

    @property
    def root(self) -> str:
        """The public path of the tree's root, with a slash at its end."""
        return self._tools.mount.root

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; every error becomes an answer."""
        headers = request.headers
        peer = request.remote or ""
        forwarded = headers.get("X-Request-ID") if self._origins.trusts(peer) else None
        request_id = forwarded_request_id(forwarded) or new_request_id()
        started = time.perf_counter()
        asked = _Asked(request, request_id, self._origins.address(peer, headers))
        status = 499
        try:
            response = await self._respond(asked)
            status = response.status
        except CutOff as error:
            # The connection is gone already; there is nobody to answer.
            cause = error.__cause__
            if isinstance(cause, (FileError, StateError)):
                log.warning("a request was cut off: %r", cause, extra={"request_id": request_id})
            else:
                log.debug("a request was cut off: %r", cause, extra={"request_id": request_id})
            response = web.Response(status=500)
            response.force_close()
        finally:
            if self._served is not None:
                self._served(
                    Served(
                        request_id,
                        request.method,
                        request.raw_path,
                        status,
                        time.perf_counter() - started,
                        asked.address,
                        asked.principal,
                        headers.get("User-Agent", ""),
                    )
                )
        return response

    def _admit(self, username: str, secret: str, address: str) -> Opening[Share] | None:
        credential = self._authenticator.authenticate(username, secret, address)
        if credential is None:
            return None
        return Opening(lambda: self._share(credential), self._tenant_for(credential))

    def _share(self, credential: C) -> Share:
        tree, locks = self._tree_for(credential), self._locks_for(credential)
        quota_for, rights_for, still_for = self._quota_for, self._rights_for, self._still_for
        return Share(
            tree,
            locks,
            credential.name,
            self._tenant_for(credential),
            no_quota if quota_for is None else lambda: quota_for(credential),
            ALL_RIGHTS if rights_for is None else rights_for(credential),
            forever if still_for is None else still_for(credential),
        )

    async def _respond(self, asked: _Asked) -> web.StreamResponse:
        request = asked.request
        body: Body | None = None
        busy = False
        try:
            body = Body(request, self._tools.limits)
            return await self._dispatch(asked, body)
        except Refused as error:
            refused = error
        except (FileError, StateError) as error:
            busy = isinstance(error, (Busy, LeaseBusy))
            refused = refused_by(error) or Refused(500)
            if refused.status >= 500:
                log.warning("a request: %r", error, extra={"request_id": asked.request_id})
        except (CutOff, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("a request failed", extra={"request_id": asked.request_id})
            refused = Refused(500, "something went wrong; the log has it under this request's id")
        status = status_for(asked.agent, request.method, refused.status, busy=busy)
        if status != refused.status:
            refused = Refused(status, refused.message)
        response = refusal(refused)
        response.headers["X-Request-Id"] = asked.request_id
        if body is not None and body.unasked:
            # The client still holds its body back and may never send it: RFC 9110, section 10.1.1.
            response.force_close()
        return response

    async def _dispatch(self, asked: _Asked, body: Body) -> web.StreamResponse:
        request = asked.request
        authorization = request.headers.get("Authorization")
        if request.method == "OPTIONS" and (authorization is None or request.raw_path == "*"):
            response = options()
            response.headers["X-Request-Id"] = asked.request_id
            return response
        share = await self.gate.enter(authorization, asked.address)
        asked.principal = share.principal
        place = self._tools.mount.locate(request.raw_path)
        if request.method == "OPTIONS":
            response = options()
            response.headers["X-Request-Id"] = asked.request_id
            return response
        if isinstance(place, Above):
            return await _above(place, request, body)
        verb = VERBS.get(request.method)
        if verb is None:
            raise Refused(405, "this is no WebDAV method", headers={"Allow": METHODS})
        return await verb(self._call(asked, share, place, body))

    def _call(self, asked: _Asked, share: Share, path: Path, body: Body) -> Call:
        request = asked.request
        return Call(
            request=request,
            method=request.method,
            path=path,
            share=share,
            body=body,
            tools=self._tools,
            origins=self._origins,
            agent=asked.agent,
            extra={"X-Request-Id": asked.request_id},
        )


class _Asked:
    """A request before anybody is signed in."""

    __slots__ = ("address", "agent", "principal", "request", "request_id")

    def __init__(self, request: web.BaseRequest, request_id: str, address: str) -> None:
        self.request = request
        self.request_id = request_id
        self.address = address
        self.principal = ""
        self.agent = request.headers.get("User-Agent", "")


async def _above(place: Above, request: web.BaseRequest, body: Body) -> web.Response:
    """The read-only collections above the mount."""
    if request.method == "PROPFIND":
        text = propfind_above(place, await body.small(), request.headers.get("Depth", "1").strip())
        kind = {"Content-Type": "application/xml; charset=utf-8"}
        return web.Response(status=207, body=text, headers=kind)
    if request.method in ("GET", "HEAD"):
        text = b"WebDAV is served below: " + place.href.encode() + place.below.encode() + b"/\n"
        return web.Response(status=200, body=text, headers={"Content-Type": "text/plain"})
    raise Refused(403, "nothing can be changed here", headers={"Allow": "OPTIONS, PROPFIND"})
