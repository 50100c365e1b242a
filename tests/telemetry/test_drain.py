"""Logs that nobody reads."""

from __future__ import annotations

import json
import os

from bridge.telemetry.drain import Drain


def test_lines_come_out_in_order() -> None:
    reader, writer = os.pipe()
    drain = Drain(writer)
    for number in range(500):
        drain.write(f"{number}\n")
    drain.close()
    os.close(writer)
    with os.fdopen(reader) as lines:
        assert [int(line) for line in lines] == list(range(500))


def test_a_pipe_that_nobody_reads_holds_up_nobody_and_what_is_dropped_is_counted() -> None:
    reader, writer = os.pipe()
    drain = Drain(writer, most=100)
    line = "x" * 1_000 + "\n"
    for _ in range(10_000):
        drain.write(line)
    with os.fdopen(reader) as lines:
        first = [lines.readline() for _ in range(50)]
        drain.close()
        os.close(writer)
        rest = lines.readlines()
    told = [json.loads(text) for text in [*first, *rest] if text.startswith("{")]
    written = [text for text in [*first, *rest] if text == line]
    assert sum(entry["lines"] for entry in told) + len(written) == 10_000


def test_a_pipe_that_was_closed_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    drain = Drain(writer)
    drain.write("to nobody\n")
    drain.close()
    os.close(writer)
    assert drain.write("still no error") == 14
