"""Bodies whose clients go away, on real sockets."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest

from bridge.state.database import open_state
from tests.files.model_tree import ModelTree
from tests.webdav.polling import until
from tests.webdav.server import running


@pytest.mark.parametrize(
    ("method", "length"),
    [("PUT", 100), ("PUT", 3 << 20), ("PROPPATCH", 100)],
    ids=["whole", "streamed", "small"],
)
def test_who_waits_for_100_and_has_closed_its_half_has_cut_its_body(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, method: str, length: int
) -> None:
    state = open_state(str(tmp_path / "locks.db"))
    with (
        caplog.at_level(logging.WARNING),
        running(ModelTree(), state.locks("tenant")) as server,
        server.client().raw() as raw,
    ):
        raw.send(method, "/a", f"Content-Length: {length}", "Expect: 100-continue")
        raw.sock.shutdown(socket.SHUT_WR)
        until(lambda: len(server.served) == 1)
        assert server.served[0].status == 400
    state.close()
    assert not caplog.records
