"""A way to PostgreSQL that a test can cut, or let lose an answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import Self


class Proxy:
    """Listens on a port of this machine and leads to the server's socket."""

    def __init__(self, server: Path) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._silent = threading.Event()
        self.lose_commit = False
        """Whether to cut a connection in the place of the answer to its next COMMIT."""
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, through: str) -> str:
        """``through``, a URL to the server itself, by way of this."""
        host = f"host={self._server.parent}"
        assert host in through
        port = self._listener.getsockname()[1]
        return through.replace(host, f"host=127.0.0.1&port={port}&gssencmode=disable")

    def silence(self) -> None:
        """Let what is connected stay so, and hear and say nothing any more, ever."""
        self._silent.set()
        self._silent = threading.Event()

    def close(self) -> None:
        """Close it, and all that leads through it."""
        self._listener.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server))
                self._open += [client, server]
                lost = threading.Event()
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(
                        target=self._pump,
                        args=(source, sink, source is client, self._silent, lost),
                        daemon=True,
                    ).start()

    def _pump(
        self,
        source: socket.socket,
        sink: socket.socket,
        asks: bool,
        silent: threading.Event,
        lost: threading.Event,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if silent.is_set():
                    return
                if asks and self.lose_commit and b"COMMIT\0" in data:
                    self.lose_commit = False
                    lost.set()
                elif not asks and lost.is_set():
                    break
                sink.sendall(data)
        if not silent.is_set():
            for each in (source, sink):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
