"""The admin API's door: who asks, for which route, and what goes wrong."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import structlog
from aiohttp import web

from bridge.admin.asked import Answer, Asked
from bridge.admin.lasting import Lasting
from bridge.admin.openapi import PATH, document
from bridge.admin.places import Places
from bridge.admin.problems import (
    CONTENT_TYPE,
    NO_TENANT,
    UNFORESEEN,
    Meaning,
    meaning_of,
    problem,
    refuse,
)
from bridge.admin.reading import BODY, read_json, read_query, wants_csv
from bridge.admin.routes import ROOT, Route, find
from bridge.http.answer import SERVER, forwarded_request_id, new_request_id
from bridge.http.bearer import TokenGate, parse_bearer
from bridge.http.body import Body
from bridge.http.errors import Refused
from bridge.http.limits import Limits
from bridge.http.origin import Origins
from bridge.http.pool import Workers
from bridge.http.served import Served
from bridge.tenants.api import Administration, Token

_log = logging.getLogger("bridge.admin")
_audit = structlog.get_logger()

_SAFE = frozenset({"GET", "HEAD"})

_HEADERS = {"Server": SERVER, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class AdminDoor:
    """The admin API over one ``Administration``.

    Give ``handle`` to ``bridge.http.server.Server``. ``meanings``: what errors of layers mean that
    a door does not know (stores, grants). ``proxies``: whose ``X-Forwarded-For`` is believed. Made
    and used in one event loop; ``workers`` are closed by their owner, after the server has shut
    down.
    """

    def __init__(
        self,
        administration: Administration,
        *,
        workers: Workers,
        limits: Limits,
        meanings: Mapping[type[Exception], Meaning] | None = None,
        proxies: Iterable[str] = (),
        realm: str = "Storj bridge",
        served: Callable[[Served], None] | None = None,
    ) -> None:
        self._administration = administration
        self._workers = workers
        self._limits = limits
        self._meanings = meanings
        self._origins = Origins(proxies)
        self._served = served
        self._document = document()
        self._lasting: Lasting[Answer] = Lasting()
        self._places = Places(limits.wait)
        self.gate: TokenGate[Token] = TokenGate(
            administration.token, workers.sign_in, realm=realm, waiting=limits.connections // 4
        )
        """Who is let in; ``forget`` there when a token was revoked."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; every error becomes an answer."""
        peer = request.remote or ""
        forwarded = request.headers.get("X-Request-ID") if self._origins.trusts(peer) else None
        call = _Call(
            request,
            forwarded_request_id(forwarded) or new_request_id(),
            self._origins.address(peer, request.headers),
        )
        started = time.perf_counter()
        status = 499
        try:
            response = await self._respond(call)
            status = response.status
        finally:
            self._say(call, status, time.perf_counter() - started)
        return response

    async def _respond(self, call: _Call) -> web.Response:
        body: Body | None = None
        try:
            body = Body(call.request, self._limits)
            answer = await self._dispatch(call, body)
        except Refused as error:
            response = _refusal(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is logged and answered
            response = _refusal(self._meaning(call, error))
        else:
            response = _answer(answer)
        response.headers["X-Request-Id"] = call.request_id
        if body is not None and body.unasked:
            # The client still holds its body back and may never send it: RFC 9110, section 10.1.1.
            response.force_close()
        return response

    def _meaning(self, call: _Call, error: Exception) -> Refused:
        refused = meaning_of(error, self._meanings)
        extra = {"request_id": call.request_id}
        if refused is None:
            _log.error("a request failed", exc_info=error, extra=extra)
            return Refused(500, UNFORESEEN)
        if refused.status >= 500:
            _log.warning("a request: %r", error, extra=extra)
        if any(secret in refused.message for secret in call.secrets):
            return Refused(refused.status, "what was sent will not do")
        return refused

    async def _dispatch(self, call: _Call, body: Body) -> Answer:
        request = call.request
        path, _, query = _origin_form(request.raw_path).partition("?")
        if path == ROOT + PATH:
            if request.method not in _SAFE:
                raise _no_method(("GET",))
            return Answer(200, self._document)
        sent = request.headers.getall("Authorization", ())
        if len(sent) > 1:
            raise Refused(400, "send one Authorization header: a proxy may have looked at another")
        call.authorization = next(iter(sent), None)
        token = await self.gate.enter(call.authorization, call.address)
        call.token = token
        found = find(path.removeprefix(ROOT)) if path.startswith(ROOT + "/") else None
        if found is None:
            raise Refused(404, "nothing is served here")
        routes, names = found
        if token.tenant is not None and names.get("tenant", token.tenant) != token.tenant:
            # Before anything else is looked at: of a tenant that is not there, nothing could be.
            raise refuse(NO_TENANT)
        method = "GET" if request.method == "HEAD" else request.method
        route = routes.get(method)
        if route is None:
            raise _no_method(routes)
        if token.tenant is not None and not route.bound:
            raise Refused(403, "this takes the operator's token")
        call.route, call.tenant = route, names.get("tenant", "")
        values = await _sent(call, route, query, body)
        asked = Asked(**names, csv=wants_csv(request.headers.get("Accept")))
        try:
            with self._places.request(token.tenant):
                answer = await self._perform(call, token, route, asked, values)
        except _ShutOut:
            self.gate.forget()
            await self.gate.enter(call.authorization, call.address)  # who says so, as ever
            raise
        call.tenant = call.tenant or answer.tenant
        return answer

    async def _perform(
        self, call: _Call, token: Token, route: Route[Any], asked: Asked, sent: object
    ) -> Answer:
        # Among the short calls, so that a revocation never waits behind the copies of clients. The
        # operator's in a line of its own, so that it does not behind a tenant's requests, which may
        # all hang; a tenant's in that tenant's line, of which it would else have two.
        run = partial(self._workers.quick.run, line=token.tenant or ("admin", asked.tenant))
        act = partial(self._act, call, route, asked, sent)
        if route.method == "GET":
            return await run(act)
        try:
            if route.lasting:
                # By token: what waits for its turn must not begin for one who was shut out.
                key = token.id, route.name, asked.tenant, repr(sent)
                begun = partial(run, begun=True)
                return await self._lasting.join(key, act, begun) or Answer(202)
            async with self._places.change(token.tenant):
                return await run(act)
        finally:
            self.gate.forget()  # a token may be gone, or its tenant

    def _act(self, call: _Call, route: Route[Any], asked: Asked, sent: object) -> Answer:
        """Do what is asked, in a worker, if the token is still good. Raises _ShutOut.

        The body, the turn and the worker may each have been long in coming, and what is done now
        outlives the token.
        """
        text = parse_bearer(call.authorization or "")
        if text is None or self._administration.token(text) is None:
            raise _ShutOut("the token is no longer good")
        return route.perform(self._administration, asked, sent)

    def _say(self, call: _Call, status: int, seconds: float) -> None:
        request = call.request
        who = "" if call.token is None else f"token:{call.token.id}"
        if call.route is not None and call.route.method != "GET":
            _audit.info(
                "administration",
                request_id=call.request_id,
                operation=call.route.name,
                tenant=call.tenant,
                username=who,
                client=call.address,
                status=status,
            )
        if self._served is not None:
            self._served(
                Served(
                    call.request_id,
                    request.method,
                    request.raw_path,
                    status,
                    seconds,
                    call.address,
                    who,
                    request.headers.get("User-Agent", ""),
                )
            )


class _ShutOut(Exception):
    """The token was good when the request came, and is not when its turn has come."""


class _Call:
    """A request, and what becomes known of it. ``secrets``: what no answer may repeat."""

    __slots__ = (
        "address",
        "authorization",
        "request",
        "request_id",
        "route",
        "secrets",
        "tenant",
        "token",
    )

    def __init__(self, request: web.BaseRequest, request_id: str, address: str) -> None:
        self.request = request
        self.request_id = request_id
        self.address = address
        self.authorization: str | None = None
        self.token: Token | None = None
        self.route: Route[Any] | None = None
        self.tenant = ""
        self.secrets: tuple[str, ...] = ()


async def _sent(call: _Call, route: Route[Any], query: str, body: Body) -> object:
    """What the request brings, by its body or else by its query."""
    values = read_query(query)
    if not route.body:
        if body.length != 0:
            raise Refused(400, "this request takes no body", close=True)
        return values
    if values:
        raise Refused(400, "this request takes no parameters", close=True)
    sent = read_json(call.request.headers.get("Content-Type"), await body.small(BODY))
    if isinstance(sent, dict):
        grants = (sent.get("root_grant"), sent.get("own_grant"))
        call.secrets = tuple(grant for grant in grants if isinstance(grant, str) and grant)
    return sent


def _origin_form(target: str) -> str:
    """A request target without scheme and host, where it has them (RFC 9112, section 3.2.2)."""
    if target.startswith("/"):
        return target
    return "/" + target.partition("://")[2].partition("/")[2]


def _answer(answer: Answer) -> web.Response:
    headers = dict(_HEADERS)
    if answer.location is not None:
        headers["Location"] = ROOT + answer.location
    if answer.body:
        headers["Content-Type"] = answer.content_type
    return web.Response(status=answer.status, body=answer.body or None, headers=headers)


def _refusal(refused: Refused) -> web.Response:
    headers = {**_HEADERS, **refused.headers, "Content-Type": CONTENT_TYPE}
    response = web.Response(status=refused.status, body=problem(refused), headers=headers)
    if refused.close:
        response.force_close()
    return response


def _no_method(methods: Iterable[str]) -> Refused:
    allowed = {*methods, *({"HEAD"} if "GET" in methods else ())}
    return Refused(405, "this cannot be done here", headers={"Allow": ", ".join(sorted(allowed))})
