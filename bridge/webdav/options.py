"""OPTIONS: what the server can do, told to everybody, also before they sign in."""

from __future__ import annotations

from aiohttp import web

from bridge.http.answer import SERVER

METHODS = "OPTIONS, GET, HEAD, PUT, DELETE, PROPFIND, PROPPATCH, MKCOL, COPY, MOVE, LOCK, UNLOCK"

CAPABILITIES = {
    "DAV": "1, 2, 3",
    "MS-Author-Via": "DAV",  # without it Windows looks for FrontPage extensions
    "Allow": METHODS,
    "Accept-Ranges": "bytes",
}


def options() -> web.Response:
    """The same answer for every resource, so that it tells nobody what exists."""
    return web.Response(status=200, headers={"Server": SERVER, **CAPABILITIES})
