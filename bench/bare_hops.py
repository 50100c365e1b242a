"""The ceiling as a server for many users can have it: ``bench.bare`` with the disk in a thread.

Blocks of 1 MiB still, one hop to an executor for each, the next block read while one is sent,
one being written while the next arrives.
"""

from __future__ import annotations

import asyncio
from io import FileIO

from aiohttp import StreamReader, web

from bench.bare import BLOCK, Files, main


class FilesInThreads(Files):
    """``Files``, whose large bodies never block the event loop."""

    async def _send(self, file: FileIO, response: web.StreamResponse) -> None:
        loop = asyncio.get_running_loop()
        ahead = loop.run_in_executor(None, file.read, BLOCK)
        while block := await ahead:
            ahead = loop.run_in_executor(None, file.read, BLOCK)
            await response.write(block)

    async def _receive(self, content: StreamReader, file: FileIO) -> None:
        loop = asyncio.get_running_loop()
        behind = loop.run_in_executor(None, int)
        block = bytearray()
        async for part in content.iter_any():
            block += part
            if len(block) >= BLOCK:
                await behind
                behind = loop.run_in_executor(None, file.write, block)
                block = bytearray()
        await behind
        await loop.run_in_executor(None, file.write, block)


if __name__ == "__main__":
    main(FilesInThreads)
