"""The ceiling: aiohttp and nothing else, moving blocks of 1 MiB between a socket and a file.

The disk is used on the event loop itself, which no server for more than one user can afford:
``bench.bare_hops`` is the same with the disk in a thread. No encryption, no atomic replacement,
no listing; Basic authentication by one comparison. Run as ``python -m bench.bare FOLDER USER
PASSWORD``; the first line printed is the port.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import os
import signal
import sys
from io import FileIO
from pathlib import Path

import uvloop
from aiohttp import StreamReader, web

BLOCK = 1 << 20
SMALL = 64 << 10


class Files:
    """GET, PUT and MKCOL of paths under one folder."""

    def __init__(self, folder: Path, user: str, password: str) -> None:
        self._folder = folder
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._authorization = f"Basic {token}".encode()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, self._authorization):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="bare"'})
        path = self._folder / request.path.lstrip("/")
        match request.method:
            case "GET":
                return await self._get(request, path)
            case "PUT":
                return await self._put(request, path)
            case "MKCOL":
                path.mkdir()
                return web.Response(status=201)
            case _:
                return web.Response(status=405)

    async def _get(self, request: web.Request, path: Path) -> web.StreamResponse:
        try:
            file = path.open("rb", buffering=0)
        except FileNotFoundError:
            return web.Response(status=404)
        with file:
            size = os.fstat(file.fileno()).st_size
            if size <= SMALL:
                return web.Response(body=file.read())
            response = web.StreamResponse(headers={"Content-Length": str(size)})
            await response.prepare(request)
            await self._send(file, response)
            await response.write_eof()
            return response

    async def _put(self, request: web.Request, path: Path) -> web.StreamResponse:
        with path.open("wb", buffering=0) as file:
            await self._receive(request.content, file)
        return web.Response(status=201)

    async def _send(self, file: FileIO, response: web.StreamResponse) -> None:
        while block := file.read(BLOCK):
            await response.write(block)

    async def _receive(self, content: StreamReader, file: FileIO) -> None:
        async for block in content.iter_chunked(BLOCK):
            file.write(block)


async def serve(files: Files) -> None:
    app = web.Application(client_max_size=0)
    app.router.add_route("*", "/{path:.*}", files.handle)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(app, access_log=None, read_bufsize=BLOCK)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await stop.wait()
    await runner.cleanup()


def main(kind: type[Files]) -> None:
    """Serve the folder, user and password of the command line until SIGTERM."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(kind(Path(sys.argv[1]), sys.argv[2], sys.argv[3])))


if __name__ == "__main__":
    main(Files)
