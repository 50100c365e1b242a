"""wsgidav on cheroot, as its own command starts it, but on a free port and without a log.

Run as ``python -m bench.wsgidav_peer FOLDER USER PASSWORD``; the first line printed is the port.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

from cheroot.wsgi import Server
from wsgidav.fs_dav_provider import FilesystemProvider
from wsgidav.wsgidav_app import WsgiDAVApp


def build(folder: str, user: str, password: str) -> Server:
    app = WsgiDAVApp(
        {
            "provider_mapping": {"/": FilesystemProvider(folder, readonly=False)},
            "simple_dc": {"user_mapping": {"*": {user: {"password": password}}}},
            "http_authenticator": {
                "accept_basic": True,
                "accept_digest": False,
                "default_to_digest": False,
            },
            "dir_browser": {"enable": False},
            "verbose": 0,
        }
    )
    server = Server(
        bind_addr=("127.0.0.1", 0),
        wsgi_app=app,
        numthreads=50,  # as wsgidav's own command sets it
        request_queue_size=1024,
    )
    # cheroot closes connections above 10 kept alive; here every peer keeps them all.
    server.keep_alive_conn_limit = 1000
    return server


def main() -> None:
    server = build(*sys.argv[1:4])

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    server.prepare()
    print(server.bind_addr[1], flush=True)
    try:
        server.serve()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
