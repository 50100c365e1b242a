"""What reaches a log, and what never does."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from bridge.telemetry.logs import Level, configure_logs

NAME = "/private/tax return.pdf"
PASSWORD = "correct-horse-battery"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("bridge").setLevel(logging.NOTSET)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def configured(level: Level = "info") -> io.StringIO:
    stream = io.StringIO()
    configure_logs(level, "json", secrets=[PASSWORD], stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_time_level_event_and_request_id() -> None:
    stream = configured()
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger().info("request", method="GET", status=200, seconds=0.25)
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "request",
        "level": "info",
        "method": "GET",
        "request_id": "r-1",
        "seconds": 0.25,
        "status": 200,
    }


@pytest.mark.parametrize("level", ["info", "warning", "error"])
def test_a_name_passes_no_level_above_debug(level: Level) -> None:
    stream = configured("debug")
    getattr(structlog.get_logger(), level)("moved", path=NAME, anything_else=NAME)
    assert NAME not in stream.getvalue()
    assert lines(stream)[0]["path"] == "[hidden]"
    structlog.get_logger().debug("moved", path=NAME)
    assert NAME in stream.getvalue()


@pytest.mark.parametrize("field", ["password", "authorization", "secret", "kek", "token"])
def test_a_secret_passes_at_no_level(field: str) -> None:
    stream = configured("debug")
    structlog.get_logger().debug("signed in", **{field: "zzz-top-secret"})
    assert "zzz" not in stream.getvalue()


def test_known_secrets_and_their_usual_forms_are_removed_from_every_text() -> None:
    stream = configured("debug")
    log = structlog.get_logger()
    log.debug("header", what=f"x {PASSWORD} y")
    log.debug("header", what="Authorization: Basic ZGVtbzpzZWNyZXQ=")
    log.debug("identity", what="AGE-SECRET-KEY-1QQPZRYX9")
    text = stream.getvalue()
    assert PASSWORD not in text
    assert "ZGVtbzpzZWNyZXQ" not in text
    assert "QQPZRYX9" not in text


def fail() -> None:
    try:
        raise ValueError(NAME)
    except ValueError as error:
        raise RuntimeError(f"{NAME} with {PASSWORD}") from error


def test_an_exception_is_told_by_class_and_place_without_its_message() -> None:
    stream = configured()
    try:
        fail()
    except RuntimeError:
        structlog.get_logger().exception("failed")
    assert NAME not in stream.getvalue()
    (line,) = lines(stream)
    assert "builtins.RuntimeError at" in line["exception"]
    assert "from builtins.ValueError at" in line["exception"]
    assert ":fail:" in line["exception"]


def test_what_libraries_say_loses_its_texts_and_keeps_its_numbers() -> None:
    stream = configured()
    logging.getLogger("aiohttp.server").error("cannot send %s after %d tries", NAME, 3)
    logging.getLogger("py.warnings").warning("opened %s" % NAME)  # noqa: UP031, G002
    logging.getLogger("asyncio").error("never retrieved\nfuture: %s" % NAME)  # noqa: UP031, G002
    assert NAME not in stream.getvalue()
    logging.getLogger("bridge.x").warning("later: %r", OSError(NAME), extra={"request_id": "r-2"})
    assert NAME not in stream.getvalue()
    events = [line["event"] for line in lines(stream)]
    assert lines(stream)[3]["request_id"] == "r-2"
    assert events[3] == "later: OSError"
    assert events[0] == "cannot send [hidden] after 3 tries"
    assert events[2] == "never retrieved"
    assert [line["logger"] for line in lines(stream)][1] == "py.warnings"


def test_levels_below_the_configured_one_are_not_written() -> None:
    stream = configured("warning")
    structlog.get_logger().info("request")
    logging.getLogger("bridge.files").info("request")
    assert stream.getvalue() == ""
